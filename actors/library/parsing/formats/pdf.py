"""PDF as blocks: the lines of its pages put together to paragraphs again.

Rule: a section is a page ("page 3"), because that is how people find a place in a PDF. A hyphen at
the end of a line goes only if the word is not written with it elsewhere in the document.
"""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Block, Parsed, collapsed, storable

_BROKEN = re.compile(r"(\w+)-$")
_CONTINUED = re.compile(r"^(\w+)")
_HYPHENATED = re.compile(r"\w+-\w+")
_STOPS = (".", "!", "?", ":", "”", '."', ".)")
_SHORT_LINE = 0.75
_NO_TITLE = re.compile(r"untitled|microsoft word|\.(docx?|tex|dvi|indd|odt|pdf)$", re.IGNORECASE)


def parse_pdf(body: bytes) -> Parsed:
    """A PDF; its title is the one in its metadata, unless a program made that up."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableDocument("This PDF is encrypted. Save it without a password first.")
        pages = [_lines(page.extract_text()) for page in reader.pages]
        title = collapsed(storable(str((reader.metadata and reader.metadata.title) or "")))
    except UnreadableDocument:
        raise
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # pypdf raises whatever a broken file makes it trip over.
        raise UnreadableDocument(_reason(error)) from error
    if not any(pages):
        raise UnreadableDocument(
            "This PDF holds no text, so it is probably scanned. Run it through text recognition "
            "(for example ocrmypdf) first."
        )
    return Parsed("" if _NO_TITLE.search(title) else title, tuple(_blocks(pages)))


def _reason(error: Exception) -> str:
    if "cryptography" in str(error) or "AES" in str(error):
        return "This PDF is encrypted. Save it without a password first."
    kind = "is damaged" if isinstance(error, PyPdfError) else "cannot be read"
    return f"This PDF {kind}. Open it in a PDF viewer and save or print it as a new PDF."


def _lines(text: str) -> list[str]:
    return [line for raw in storable(text).splitlines() if (line := collapsed(raw))]


def _blocks(pages: list[list[str]]) -> Iterator[Block]:
    """Paragraphs with the page they begin on."""
    furniture = _furniture(pages)
    lines = [
        (number, line)
        for number, page in enumerate(pages, start=1)
        for line in page
        if _shape(line) not in furniture and not line.isdigit()
    ]
    known = Counter(word.lower() for _, line in lines for word in _HYPHENATED.findall(line))
    usual = sorted(len(line) for _, line in lines)[len(lines) * 3 // 4] if lines else 0
    paragraph, begins = "", 0
    for number, line in lines:
        if not paragraph:
            begins = number
        paragraph = _continued(paragraph, line, known)
        if len(line) < _SHORT_LINE * usual and line.endswith(_STOPS):
            yield Block(paragraph, headings=(f"page {begins}",))
            paragraph = ""
    if paragraph:
        yield Block(paragraph, headings=(f"page {begins}",))


def _furniture(pages: list[list[str]]) -> set[str]:
    """Running heads and feet: first and last lines that most pages share, but for a number."""
    edges = Counter(shape for page in pages for shape in {_shape(x) for x in page[:1] + page[-1:]})
    return {shape for shape, times in edges.items() if times > 2 and times > len(pages) / 2}


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def _continued(paragraph: str, line: str, known: Counter[str]) -> str:
    """The paragraph with its next line."""
    if not paragraph:
        return line
    broken, rest = _BROKEN.search(paragraph), _CONTINUED.match(line)
    if paragraph.endswith("\u00ad"):
        return paragraph[:-1] + line
    if not (broken and rest and rest[1][0].islower()):
        return f"{paragraph} {line}"
    if known[f"{broken[1]}-{rest[1]}".lower()] or _within_compound(paragraph, broken):
        return paragraph + line
    return paragraph[:-1] + line


def _within_compound(paragraph: str, broken: re.Match[str]) -> bool:
    """Whether the broken word has a hyphen already, like state-of-the-art, or is a number."""
    return paragraph[: broken.start()].endswith("-") or not broken[1].isalpha()
