"""From the bytes of a document to its title and blocks.

Rule: pure. The same bytes give the same blocks, and what cannot be read raises
`UnsupportedMediaType` or `UnreadableDocument` with a sentence that says what to do.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import assert_never

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Parsed, collapsed, storable
from actors.library.parsing.decoding import decoded, meta_charset
from actors.library.parsing.media_types import MediaType, charset_of, media_type_of

__all__ = ["Parsed", "parse"]

_LONGEST_TITLE = 300


def parse(
    body: bytes,
    *,
    media_type: str | None = None,
    title: str | None = None,
    file_name: str | None = None,
) -> Parsed:
    """A document as it was read; `title` beats its own title, which beats the name of its file."""
    kind = media_type_of(body, media_type, file_name)
    if not body.strip():
        raise UnreadableDocument("This document is empty.")
    try:
        parsed = _parsed(body, kind, charset_of(media_type))
    except RecursionError:
        raise UnreadableDocument(
            "This document is nested too deeply. Save it as plain text first."
        ) from None
    if not any(letter.isalnum() for block in parsed.blocks for letter in block.text):
        raise UnreadableDocument("This document holds no text.")
    return _titled(parsed, title, file_name)


def _parsed(body: bytes, kind: MediaType, charset: str | None) -> Parsed:
    """Parsers are imported when they are first needed: most children need only one of them."""
    match kind:
        case "application/pdf":
            from actors.library.parsing.pdf import parse_pdf

            return parse_pdf(body)
        case "text/html":
            from actors.library.parsing.html import parse_html

            return parse_html(decoded(body, charset or meta_charset(body)))
        case "text/markdown":
            from actors.library.parsing.markdown import parse_markdown

            return parse_markdown(decoded(body, charset))
        case "text/plain":
            from actors.library.parsing.plain_text import parse_text

            return parse_text(decoded(body, charset))
        case _:
            assert_never(kind)


def _titled(parsed: Parsed, title: str | None, file_name: str | None) -> Parsed:
    """The document under its final title. What stands under just that title has no section."""
    names = (title, parsed.title, PurePath(file_name or "").stem, "Untitled")
    chosen = next(name for raw in names if (name := collapsed(storable(raw or ""))))
    blocks = (replace(b, section=_section(b.section, chosen)) for b in parsed.blocks)
    return Parsed(chosen[:_LONGEST_TITLE], tuple(blocks))


def _section(heading: str, title: str) -> str:
    return "" if heading == title else heading[:_LONGEST_TITLE]
