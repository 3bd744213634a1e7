"""From the bytes of a document to its title and blocks.

Rule: pure. The same bytes give the same blocks, and what cannot be read raises
`UnsupportedMediaType`, `UnreadableDocument` or `ExtraMissing` with a sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import PurePath
from typing import Any

from actors.errors import ExtraMissing, UnreadableDocument
from actors.library.parsing.blocks import Block, Parsed, storable, titled, with_question_headings
from actors.library.parsing.decoding import decoded, decoding_notes
from actors.library.parsing.media_types import (
    BY_MEDIA_TYPE,
    SOURCE_CODE,
    DocumentKind,
    charset_of,
    media_type_of,
)

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
    kind = BY_MEDIA_TYPE[media_type_of(body, media_type, file_name)]
    if not body.strip():
        raise UnreadableDocument("This document is empty.")
    try:
        parsed = _parsed(body, kind, charset_of(media_type))
        if kind.media_type != SOURCE_CODE:
            parsed = replace(parsed, blocks=tuple(with_question_headings(parsed.blocks)))
    except RecursionError:
        raise UnreadableDocument(
            "This document is nested too deeply. Save it as plain text first."
        ) from None
    if not any(letter.isalnum() for block in parsed.blocks for letter in block.text):
        raise UnreadableDocument("This document holds no text.")
    return _titled(parsed, title, file_name)


def _parsed(body: bytes, kind: DocumentKind, charset: str | None) -> Parsed:
    """A parser is imported when it is first needed: most children need only one of them."""
    module, _, function = kind.parser.partition(".")
    try:
        package = import_module(f"actors.library.parsing.formats.{module}")
        parser: Callable[[Any], Parsed] = getattr(package, function)
        if kind.is_binary:
            return parser(body)
        parsed = parser(decoded(body, charset))
        return replace(parsed, notes=(*decoding_notes(body, charset), *parsed.notes))
    except ModuleNotFoundError:
        if kind.extra is None:
            raise
        raise ExtraMissing(kind.extra, f"Reading {kind.suffixes[0]} files") from None


def _titled(parsed: Parsed, title: str | None, file_name: str | None) -> Parsed:
    """The document under its final title, which is not a heading of its blocks."""
    names = (title, parsed.title, PurePath(file_name or "").stem, "Untitled")
    chosen = next(name for raw in names if (name := titled(raw or "")))
    blocks = tuple(_storable(parsed.blocks, chosen))
    return replace(parsed, title=chosen[:_LONGEST_TITLE], blocks=blocks)


def _storable(blocks: Iterable[Block], title: str) -> Iterator[Block]:
    paths: dict[tuple[str, ...], tuple[str, ...]] = {}
    for block in blocks:
        if block.headings not in paths:
            path = tuple(titled(heading)[:_LONGEST_TITLE] for heading in block.headings)
            paths[block.headings] = path[1:] if path[:1] == (title,) else path
        text, path = storable(block.text), paths[block.headings]
        if text == block.text and path == block.headings:
            yield block
        elif text:
            yield replace(block, text=text, headings=path)
