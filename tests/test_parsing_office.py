"""Documents that are archives: docx, odt and epub, and archives that are none of these."""

from __future__ import annotations

import io
import sys
import zipfile

import pytest
from blocks_of import parsed, shown

from actors.errors import ExtraMissing, UnreadableDocument
from actors.library.parsing.frames import Job
from actors.library.parsing.media_types import media_type_of
from actors.library.parsing.process import open_parser

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_RELATED = "http://schemas.openxmlformats.org/package/2006/relationships"
_KIND = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"


def archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            stored = zipfile.ZIP_STORED if name == "mimetype" else None
            made.writestr(name, text, stored)
    return out.getvalue()


def relation(kind: str, target: str) -> str:
    inner = f'<Relationship Id="r1" Type="{_KIND}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{_RELATED}">{inner}</Relationships>'


def paragraph(text: str, style: str = "") -> str:
    named = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{named}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx() -> bytes:
    raised = '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
    cells = "".join(f"<w:tc>{paragraph(x)}</w:tc>" for x in ("1", "2"))
    heads = "".join(f"<w:tc>{paragraph(x)}</w:tc>" for x in ("a", "b"))
    body = (
        paragraph("My title", "Title")
        + paragraph("Part", "Heading1")
        + f"<w:p><w:r><w:t>Ten 10</w:t></w:r><w:r>{raised}<w:t>6</w:t></w:r></w:p>"
        + f"<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr>{heads}</w:tr><w:tr>{cells}</w:tr></w:tbl>"
    )
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{i}"><w:name w:val="{name}"/></w:style>'
        for i, name in (("Title", "Title"), ("Heading1", "heading 1"))
    )
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relation("officeDocument", "word/document.xml"),
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
            "word/_rels/document.xml.rels": relation("styles", "styles.xml"),
        }
    )


def odt(body: str) -> bytes:
    names = "".join(f' xmlns:{n}="{_OASIS}:{n}:1.0"' for n in ("office", "text", "table", "style"))
    styles = """<style:style style:name="T1"><style:text-properties style:text-position="super"/>
        </style:style><text:list-style style:name="L1"><text:list-level-style-number/>
        </text:list-style>"""
    content = f"""<office:document-content{names}><office:automatic-styles>{styles}
        </office:automatic-styles><office:body><office:text>{body}</office:text></office:body>
        </office:document-content>"""
    return archive({"mimetype": ODT, "content.xml": content})


def epub() -> bytes:
    container = f"""<container xmlns="{_OASIS}:container"><rootfiles>
        <rootfile full-path="O/c.opf"/></rootfiles></container>"""
    package = """<package xmlns="http://www.idpf.org/2007/opf"
        xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Book</dc:title>
        <dc:language>de-AT</dc:language></metadata><manifest><item id="a" href="a.xhtml"/>
        <item id="b" href="b%20x.xhtml"/><item id="c" href="gone.xhtml"/></manifest><spine>
        <itemref idref="b"/><itemref idref="a"/><itemref idref="c"/></spine></package>"""
    return archive(
        {
            "mimetype": EPUB,
            "META-INF/container.xml": container,
            "O/c.opf": package,
            "O/a.xhtml": "<html><body><h1>Two</h1><p>Second.</p></body></html>",
            "O/b x.xhtml": "<html><body><h1>One</h1><p>First.</p></body></html>",
        }
    )


def test_a_word_document_has_title_headings_tables_and_exponents() -> None:
    pytest.importorskip("mammoth")
    document = parsed(docx(), DOCX)

    assert document.title == "My title"
    assert shown(document) == [
        "Part[paragraph] Ten 10^6",
        "Part[header] a | b",
        "Part[row] 1 | 2",
    ]


def test_an_opendocument_text_keeps_its_notes_and_numbers() -> None:
    body = """<text:h text:outline-level="1">Head</text:h><text:p>Ten 10<text:span
        text:style-name="T1">6</text:span><text:note><text:note-citation>1</text:note-citation>
        <text:note-body><text:p>The note.</text:p></text:note-body></text:note>.</text:p>
        <text:list text:style-name="L1"><text:list-item><text:p>one</text:p></text:list-item>
        </text:list>"""
    document = parsed(odt(body), ODT)

    assert document.title == "Head"
    assert shown(document) == ["[paragraph] Ten 10^6.", "[item 1.] one", "[paragraph] The note."]


def test_a_book_is_read_in_the_order_of_its_chapters() -> None:
    document = parsed(epub(), EPUB)

    assert (document.title, document.language) == ("Book", "de")
    assert shown(document) == ["One[paragraph] First.", "Two[paragraph] Second."]
    assert document.notes == ("The chapter O/gone.xhtml is missing.",)


@pytest.mark.parametrize(("body", "kind"), [(docx(), DOCX), (odt(""), ODT), (epub(), EPUB)])
def test_the_kind_of_an_archive_is_known_without_a_name(body: bytes, kind: str) -> None:
    assert media_type_of(body, None, None) == kind


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mammoth", None)

    with pytest.raises(ExtraMissing, match=r"docx files needs the extra office"):
        parsed(docx(), DOCX)


async def test_the_error_for_a_missing_extra_comes_out_of_the_child() -> None:
    hidden = "import sys; sys.modules['mammoth'] = None\n"
    run = "from actors.library.parsing.child import main; main()"

    async with open_parser(command=[sys.executable, "-c", hidden + run]) as parser:
        with pytest.raises(ExtraMissing, match=r"pip install 'terzetto\[office\]'"):
            await parser.parse(Job(docx(), DOCX))


@pytest.mark.parametrize("media_type", [DOCX, ODT, EPUB])
@pytest.mark.parametrize("body", [b"PK\x03\x04 no archive", archive({"x": "y"}), docx()[:300]])
def test_a_damaged_archive_is_refused(media_type: str, body: bytes) -> None:
    pytest.importorskip("mammoth")
    with pytest.raises(UnreadableDocument, match="damaged"):
        parsed(body, media_type)


def test_an_archive_is_measured_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(5):
            made.writestr(f"{number}.xml", b"\0" * (64 << 20))

    assert len(out.getvalue()) < 1 << 20
    with pytest.raises(UnreadableDocument, match="too large when it is unpacked"):
        parsed(out.getvalue(), ODT)


def test_a_book_whose_text_is_far_larger_than_its_file_is_refused() -> None:
    container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfile full-path="b.opf"/></container>'
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><item id="a" href="a.html"/>'
        '<itemref idref="a"/></package>'
    )
    book = {"META-INF/container.xml": container, "b.opf": package}
    small = archive({**book, "a.html": "<p>hello world</p>" * 1_000})
    bomb = archive({**book, "a.html": "<p>hello world</p>" * 600_000})

    assert len(bomb) < 100_000
    assert len(parsed(small, EPUB).blocks) == 1_000
    with pytest.raises(UnreadableDocument, match="too much text for its size"):
        parsed(bomb, EPUB)


@pytest.mark.parametrize(
    ("media_type", "name"), [(DOCX, "word/document.xml"), (ODT, "content.xml")]
)
def test_a_text_that_is_far_larger_than_its_file_is_refused(media_type: str, name: str) -> None:
    pytest.importorskip("mammoth")

    with pytest.raises(UnreadableDocument, match="too much text for its size"):
        parsed(archive({name: "<a>x</a>" * 1_000_000}), media_type)
