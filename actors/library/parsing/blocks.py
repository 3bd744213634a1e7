"""What every parser makes of a document: a title and blocks in reading order.

Rule: the text of a block is the document's own. Whitespace is collapsed (code keeps its lines),
lone surrogates and NULs are taken out, and nothing is put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prose", "list", "code", "term", "table", "links"]
"""`list` is one item, `table` one row, `term` what a definition defines; `links` leads elsewhere."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, item, row or listing, and the heading it stands under ("" for none)."""

    section: str
    text: str
    kind: Kind = "prose"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as it was read."""

    title: str
    blocks: tuple[Block, ...]


def storable(text: str) -> str:
    """The text without what neither UTF-8 nor SQLite can hold."""
    return _UNSTORABLE.sub("", text)


def collapsed(text: str) -> str:
    """The text on one line: each run of whitespace is one space."""
    return " ".join(text.split())


def dedented(listing: str) -> str:
    """A listing without blank lines around it and without trailing spaces; its indents stay."""
    lines = [line.rstrip() for line in listing.splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def rendered(block: Block) -> str:
    """A block as it stands in a passage: see `actors.library.passages`."""
    match block.kind:
        case "prose":
            return block.text
        case "list":
            return f"- {block.text}"
        case "table" | "links":
            return f"| {block.text}"
        case "code" | "term":
            return "\n".join(f"    {line}" for line in block.text.split("\n"))


def joined(pieces: Iterable[tuple[Kind, str]]) -> str:
    """Rendered blocks as one text: a blank line between them, none inside a list or table."""
    text: list[str] = []
    last: Kind | None = None
    for kind, piece in pieces:
        if last is not None:
            text.append("\n" if kind == last and kind in _ROWS else "\n\n")
        text.append(piece)
        last = kind
    return "".join(text)


_ROWS = frozenset({"list", "table", "links"})


def plain_text(blocks: Iterable[Block]) -> str:
    """The whole document as people read it, its headings on lines of their own."""
    pieces: list[tuple[Kind, str]] = []
    section = ""
    for block in blocks:
        if block.section != section:
            section = block.section
            pieces.append(("prose", section))
        pieces.append((block.kind, rendered(block)))
    return joined(piece for piece in pieces if piece[1])
