"""PDF: paragraphs from lines, pages as sections, and refusals that help."""

from __future__ import annotations

import io
import re

import pytest
from pypdf import PdfReader, PdfWriter

from actors.errors import UnreadableDocument
from actors.library.parsing.parse import Parsed, parse


def pdf(*pages: list[str]) -> bytes:
    """A PDF with these lines of text on its pages."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, lines in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
        content = f"BT /F1 12 Tf 72 720 Td {shown}ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body = b"%PDF-1.4\n"
    offsets = []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    end += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return body + end.encode()


def read(*pages: list[str]) -> Parsed:
    return parse(pdf(*pages), media_type="application/pdf", file_name="paper.pdf")


FILTER = rb"<< \1 /Filter /NoSuchFilter >>"
LINE = "A line that is about as long as most of the lines are"


def test_lines_become_paragraphs_and_pages_are_sections() -> None:
    parsed = read([LINE, "and here it ends.", LINE, "ends."], [LINE, "too."])

    assert parsed.title == "paper"
    assert [(block.headings[-1], block.text) for block in parsed.blocks] == [
        ("page 1", f"{LINE} and here it ends."),
        ("page 1", f"{LINE} ends."),
        ("page 2", f"{LINE} too."),
    ]


def test_a_paragraph_goes_on_over_the_end_of_a_page() -> None:
    (block,) = read([LINE, LINE], [LINE, "and ends."]).blocks

    assert (block.headings[-1], block.text) == ("page 1", f"{LINE} {LINE} {LINE} and ends.")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{LINE} docu-", "ments."], "documents."),
        ([f"{LINE} well-", "known and well-known."], "well-known and well-known."),
        ([f"{LINE} state-of-the-", "art."], "state-of-the-art."),
        ([f"{LINE} Anglo-", "Saxon."], "Anglo- Saxon."),
    ],
)
def test_hyphens_at_line_ends_go_only_when_they_were_made_there(
    lines: list[str], expected: str
) -> None:
    (block,) = read(lines).blocks

    assert block.text == f"{LINE} {expected}"


def test_running_heads_and_page_numbers_are_left_out() -> None:
    parsed = read(*[["A Journal, page " + str(n), f"{LINE} {n}.", str(n)] for n in range(1, 5)])

    assert all("Journal" not in block.text for block in parsed.blocks)


def test_a_pdf_without_text_asks_for_text_recognition() -> None:
    with pytest.raises(UnreadableDocument, match="scanned"):
        read([])


def test_an_encrypted_pdf_asks_for_one_without_a_password() -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf([LINE]))))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)

    with pytest.raises(UnreadableDocument, match="encrypted"):
        parse(out.getvalue(), media_type="application/pdf")


@pytest.mark.parametrize("body", [b"%PDF-1.7\ngarbage", b"no pdf at all", pdf([LINE])[:200]])
def test_a_damaged_pdf_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="PDF"):
        parse(body, media_type="application/pdf")


def test_a_line_that_is_only_a_number_stays() -> None:
    (block,) = read(["The number of seats in the hall is", "730", "and it is full."]).blocks

    assert block.text == "The number of seats in the hall is\n730\nand it is full."


def test_numbers_that_do_not_count_the_pages_stay() -> None:
    parsed = read(*[[f"{LINE}.", number] for number in ("730", "12", "99", "4")])

    assert [
        n for n in ("730", "12", "99", "4") if n in " ".join(b.text for b in parsed.blocks)
    ] == [
        "730",
        "12",
        "99",
        "4",
    ]


def test_items_and_sheets_keep_their_lines() -> None:
    parsed = read(["The pump needs:", "- oil", "- water", f"{LINE}.", "Total: 45", "Tax: 9"])

    assert [(block.kind, block.text) for block in parsed.blocks] == [
        ("paragraph", "The pump needs:"),
        ("item", "oil"),
        ("item", "water"),
        ("paragraph", f"{LINE}."),
        ("pair", "Total: 45"),
        ("pair", "Tax: 9"),
    ]


def test_a_broken_page_costs_only_itself_and_a_page_without_text_is_named() -> None:
    body = pdf([f"{LINE}."], ["Lost."], [], ["Found."])
    broken = re.sub(rb"<< (/Length \d+) >>(?=\nstream\nBT /F1 12 Tf 72 720 Td .Lost)", FILTER, body)
    parsed = parse(broken)

    assert [block.text for block in parsed.blocks] == [f"{LINE}.", "Found."]
    assert parsed.notes == (
        "Page 2 could not be read.",
        "Page 3 is without text, probably scanned.",
    )


def test_an_encrypted_pdf_that_opens_without_a_password_is_read() -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf([f"{LINE}."]))))
    writer.encrypt("", "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)

    assert parse(out.getvalue()).blocks[0].text == f"{LINE}."


def test_what_was_typed_into_a_form_is_read() -> None:
    body = pdf([f"{LINE}."]).replace(
        b"/MediaBox",
        b"/Annots [<< /Type /Annot /Subtype /Widget /FT /Tx /TU (Name) /T (n) /V (Zwick) "
        b"/Rect [0 0 9 9] >> << /Subtype /Widget /FT /Btn /T (Paid) /V /Off /Rect [0 0 1 1] >> "
        b"<< /Subtype /Widget /FT /Tx /T (pin) /V (12) /Ff 8192 /Rect [0 0 1 1] >>] /MediaBox",
    )

    assert [(b.kind, b.text) for b in parse(body).blocks[1:]] == [("pair", "Name: Zwick")]
