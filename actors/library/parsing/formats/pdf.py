"""PDF as blocks: the text of its pages, what was typed into its form, and notes about the rest.

Rule: the first heading is the page ("page 3"), because that is how people find a place in a PDF. A
page that cannot be read costs that page only, and a note. A line is furniture only if it has the same
text, or a number that counts the pages, at the same place of most pages. A hyphen at the end of a line
is removed only if the document does not write the word with it elsewhere.
"""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import (
    Kind,
    Outline,
    Parsed,
    collapsed,
    is_pair,
    lined,
    storable,
    titled,
)
from actors.library.parsing.formats.text_lines import (
    is_wide,
    item_of,
    leads_to_page,
    section_number,
)

T = TypeVar("T")

_NO_TITLE = re.compile(r"untitled|microsoft word|\.(docx?|tex|dvi|indd|odt|pdf)$", re.IGNORECASE)
_MOST_ANNOTATIONS = 10_000
_LOCKED = "This PDF is encrypted. Save it without a password first."
_SCANNED = (
    "This PDF holds no text, so it is probably scanned. Run it through text recognition "
    "(for example ocrmypdf) first."
)
_HIDDEN_FIELD = 1 << 13
"""The flag of a field for passwords."""
_BROKEN = re.compile(r"(\w+)-$")
_CONTINUED = re.compile(r"^(\w+)")
_HYPHENATED = re.compile(r"\w+-\w+")
_STOPS = (".", "!", "?", ":", "”", '."', ".)", "。", "！", "？", ";")
_SHORT_LINE = 0.75
_LEAST_WIDTH = 45
_EDGE = 2
"""Lines at the top and at the bottom of a page that may be furniture."""

_LONGEST_EDGE = 80
"""Letters of a line with a page number."""

Page = Sequence[str]


def parse_pdf(body: bytes) -> Parsed:
    """A PDF; its title is the one in its metadata, unless a program made that up."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableDocument(_LOCKED)
        pages = list(_pages(reader))
    except (UnreadableDocument, MemoryError, RecursionError):
        raise
    except Exception as error:  # pypdf raises whatever a broken file makes it trip over.
        raise UnreadableDocument(_reason(error)) from error
    broken = [number for number, page in enumerate(pages, start=1) if page is None]
    if pages and len(broken) == len(pages):
        raise UnreadableDocument(_reason(PyPdfError()))
    lines = [page[0] if page else [] for page in pages]
    fields = [page[1] if page else [] for page in pages]
    if not any(lines) and not any(fields):
        raise UnreadableDocument(_SCANNED)
    empty = [n for n, page in enumerate(pages, start=1) if page is not None and not any(page)]
    notes = [*_note(broken, "could not be read"), *_note(empty, "without text, probably scanned")]
    outline = Outline()
    _add_paragraphs(outline, _without_furniture(lines))
    for number, values in enumerate(fields, start=1):
        for value in values:
            outline.heading(1, f"page {number}")
            outline.keep(value, "pair")
    return Parsed(_title(reader), outline.all_blocks(), tuple(notes), _language(reader))


def _pages(reader: PdfReader) -> Iterator[tuple[list[str], list[str]] | None]:
    """Lines and field values of each page; None for one that cannot be read."""
    for number in range(len(reader.pages)):
        yield _attempt(partial(_page, reader, number))


def _page(reader: PdfReader, number: int) -> tuple[list[str], list[str]]:
    page = reader.pages[number]
    lines = lined(storable(page.extract_text())).split("\n")
    return [line for line in lines if line], list(_values(page))


def _attempt(read: Callable[[], T]) -> T | None:
    """What `read` returns, or None if this part of the document is broken."""
    try:
        return read()
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - pypdf raises whatever a broken file makes it trip over.
        return None


def _values(page: PageObject) -> Iterator[str]:
    """What was typed into the fields of a page, after their names, and texts on top of it."""
    for reference in list(page.annotations or ())[:_MOST_ANNOTATIONS]:
        annotation = reference.get_object()
        if annotation.get("/Subtype") == "/FreeText":
            yield collapsed(storable(str(annotation.get("/Contents") or "")))
        if annotation.get("/Subtype") != "/Widget":
            continue
        chain = [annotation]
        while "/Parent" in chain[-1] and len(chain) < 10:
            chain.append(chain[-1]["/Parent"].get_object())
        found = {
            key: field[key] for field in reversed(chain) for key in _FIELD_KEYS if key in field
        }
        value = found.get("/V")
        texts = value if isinstance(value, list) else [value]
        shown = ", ".join(str(text).removeprefix("/") for text in texts if text is not None)
        name = found.get("/TU") or found.get("/T") or ""
        if shown.strip() and shown != "Off" and not int(found.get("/Ff") or 0) & _HIDDEN_FIELD:
            yield collapsed(storable(f"{name}: {shown}" if name else shown))


_FIELD_KEYS = ("/V", "/T", "/TU", "/Ff")


def _note(pages: Sequence[int], what: str) -> Iterator[str]:
    if not pages:
        return
    shown = ", ".join(map(str, pages[:20])) + (", ..." if len(pages) > 20 else "")
    if "could" in what:
        yield f"Page {shown} {what}." if len(pages) == 1 else f"Pages {shown} {what}."
    else:
        yield f"Page {shown} is {what}." if len(pages) == 1 else f"Pages {shown} are {what}."


def _title(reader: PdfReader) -> str:
    found = _attempt(lambda: str((reader.metadata and reader.metadata.title) or ""))
    title = titled(found or "")
    return "" if _NO_TITLE.search(title) else title


def _language(reader: PdfReader) -> str:
    declared = _attempt(lambda: str(reader.root_object.get("/Lang") or ""))
    found = re.match(r"[A-Za-z]{2,3}(?![A-Za-z])", declared or "")
    return found[0].lower() if found else ""


def _reason(error: Exception) -> str:
    if "cryptography" in str(error) or "AES" in str(error):
        return _LOCKED
    kind = "is damaged" if isinstance(error, PyPdfError) else "cannot be read"
    return f"This PDF {kind}. Open it in a PDF viewer and save or print it as a new PDF."


def _without_furniture(pages: Sequence[Page]) -> list[list[str]]:
    """The lines of each page without running heads, feet and page numbers."""
    kept = [list(page) for page in pages]
    for end in (0, -1):
        for _ in range(_EDGE):
            if not _strip_edge(kept, end):
                break
    return kept


def _strip_edge(pages: list[list[str]], end: int) -> bool:
    """Remove the first (0) or last (-1) lines that are furniture; whether there were any."""
    shapes: dict[str, list[int]] = {}
    for number, page in enumerate(pages):
        if page:
            shapes.setdefault(_shape(page[end]), []).append(number)
    filled = sum(map(bool, pages))
    found = False
    for numbers in shapes.values():
        lines = [pages[number][end] for number in numbers]
        enough = 2 if _has_page_number(lines, numbers) else 3
        odd_or_even = len({number % 2 for number in numbers}) == 1
        share = 0.35 if odd_or_even and len(numbers) > 2 else 0.5
        if len(numbers) < enough or len(numbers) <= share * filled - (enough == 2):
            continue
        if not (len(set(lines)) == 1 or _has_page_number(lines, numbers)):
            continue
        found = True
        for number in numbers:
            del pages[number][end]
    return found


def _has_page_number(lines: Sequence[str], pages: Sequence[int]) -> bool:
    """Whether a number in the lines grows as the pages do."""
    columns = zip(*(re.findall(r"\d+", line)[:4] for line in lines))
    are_short = all(len(line) <= _LONGEST_EDGE and not line.endswith(".") for line in lines)
    return (
        len(lines) > 1
        and are_short
        and any(
            len({int(number[:9]) - page for number, page in zip(column, pages)}) == 1
            for column in columns
        )
    )


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def _add_paragraphs(outline: Outline, pages: Sequence[Page]) -> None:
    """Paragraphs, items and lines, each below the page that it begins on."""
    lines = [(number, line) for number, page in enumerate(pages, start=1) for line in page]
    lengths = sorted(len(line) for _, line in lines)
    usual = max(_LEAST_WIDTH, lengths[len(lines) * 3 // 4]) if lines else 0
    known = Counter(word.lower() for _, line in lines for word in _HYPHENATED.findall(line))
    for group in _groups(lines, usual):
        number, first = group[0]
        if not outline.open or outline.open[0][1] != f"page {number}":
            outline.heading(1, f"page {number}")
        marker, text = item_of(first) or ("", first)
        last = first
        for _, line in group[1:]:
            text, last = _continued(text, last, line, known, usual), line
        kind: Kind = "links" if leads_to_page(text) else "item" if marker else "paragraph"
        outline.keep(text, kind, marker if kind == "item" else "")


def _groups(lines: Sequence[tuple[int, str]], usual: int) -> Iterator[Sequence[tuple[int, str]]]:
    """The lines of each block."""
    start = 0
    is_item = False
    for at, (number, line) in enumerate(lines):
        before, last = lines[at - 1] if at else (number, "")
        if at > start and (
            number > before + 1
            or _is_start(last, line, usual, on_new_page=number > before)
            or (is_item and _is_short(last, line, usual))
        ):
            yield lines[start:at]
            start = at
        is_item = item_of(line) is not None if at == start else is_item
    if lines:
        yield lines[start:]


def _is_start(last: str, line: str, usual: int, *, on_new_page: bool) -> bool:
    """Whether a block begins with a line that comes after `last`."""
    item = item_of(line)
    if item is not None and (item[0] == "-" or _ends(last, usual)):
        return True
    if leads_to_page(line) or leads_to_page(last):
        return True
    is_section = "." in section_number(line)
    if last.endswith(_STOPS) and not is_pair(last):
        is_early = len(last) < _SHORT_LINE * usual
        is_sheet = is_pair(line) and len(line) < _SHORT_LINE * usual
        return is_early or is_section or is_sheet or on_new_page
    is_heading = "." in section_number(last) or len(line) >= _SHORT_LINE * usual
    return (is_heading or is_section) and _is_short(last, line, usual)


def _ends(last: str, usual: int) -> bool:
    return last.endswith(_STOPS) or len(last) < _SHORT_LINE * usual


def _is_short(line: str, following: str, usual: int) -> bool:
    """Whether a line ends where its author wanted, not where it was full."""
    first = following.split(None, 1)[0] if following else ""
    return len(line) + len(first) < _SHORT_LINE * usual and not first[:1].islower()


def _continued(paragraph: str, last: str, line: str, known: Counter[str], usual: int) -> str:
    """The paragraph, whose last line is `last`, with its next line."""
    if not paragraph:
        return line
    broken, rest = _BROKEN.search(paragraph[-80:]), _CONTINUED.match(line)
    if paragraph.endswith("\u00ad"):
        return paragraph[:-1] + line
    if broken and rest and rest[1][0].islower():
        is_compound = known[f"{broken[1]}-{rest[1]}".lower()] or _is_compound(
            paragraph[-80:], broken
        )
        return (paragraph if is_compound else paragraph[:-1]) + line
    if _is_short(last, line, usual) or line.isdigit() or last.isdigit():
        return f"{paragraph}\n{line}"
    gap = "" if is_wide(paragraph[-1]) and is_wide(line[0]) else " "
    return f"{paragraph}{gap}{line}"


def _is_compound(text: str, broken: re.Match[str]) -> bool:
    """Whether the broken word has a hyphen already, like state-of-the-art, or is a number."""
    return text[: broken.start()].endswith("-") or not broken[1].isalpha()
