"""PDF as blocks: the text of its pages, what was typed into its form, and notes about the rest.

Rule: the first heading is the page ("page 3"), because that is how people find a place in a PDF. A
page that cannot be read costs that page only, and a note.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Outline, Parsed, collapsed, lined, storable, titled
from actors.library.parsing.formats.pdf_lines import add_paragraphs, without_furniture

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
    add_paragraphs(outline, without_furniture(lines))
    for number, values in enumerate(fields, start=1):
        for value in values:
            outline.heading(1, f"page {number}")
            outline.keep(value, "pair")
    return Parsed(_title(reader), tuple(outline.blocks), tuple(notes), _language(reader))


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
