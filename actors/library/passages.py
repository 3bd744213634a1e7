"""Cut a document into passages of about 200 words, each with its section and position.

Rule: a passage is within one section and is cut between blocks. A listing, list or table that fits
into a passage stays whole; a block that is too long is cut between its sentences, its lines or, when
there is no other way, its words.

Each line of a passage shows what it is: a line that is indented by four spaces is code (or a definition's term), a blank one in code included; one that begins with "| " is a row of a
table or a list of links, one with "- " an item of a list; every other line is a paragraph of prose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from actors.library.parsing.blocks import Block, Kind, joined, rendered
from actors.library.sentences import sentences

__all__ = ["Cut", "Part", "parts", "passages", "sentences"]

TARGET_WORDS = 200
_MOST_WORDS = 240
_TAIL_WORDS = 50
_LETTERS_PER_WORD = 10


@dataclass(frozen=True, slots=True)
class Cut:
    """A passage of one document, not yet part of a library; `position` counts from 1.

    `links` is true if it holds nothing but links, like a table of contents.
    """

    section: str
    position: int
    text: str
    links: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: Kind
    text: str
    words: int


def passages(blocks: Iterable[Block]) -> list[Cut]:
    """The passages of a document, in order."""
    cuts: list[Cut] = []
    for (section, links), group in groupby(blocks, key=lambda b: (b.section, b.kind == "links")):
        for pieces in _packed([piece for block in group for piece in _pieces(block)]):
            text = joined((piece.kind, piece.text) for piece in pieces)
            cuts.append(Cut(section, len(cuts) + 1, text, links))
    return cuts


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph of a passage, an item of a list, a row of a table, or a listing without indent."""

    kind: Literal["prose", "item", "row", "listing"]
    text: str


def parts(text: str) -> list[Part]:
    """A passage's text in parts, each a verbatim slice of it but for the marks of its lines."""
    found: list[Part] = []
    for paragraph in text.split("\n\n"):
        for kind, lines in groupby(paragraph.split("\n"), key=_kind_of):
            if kind == "listing":
                found.append(Part(kind, "\n".join(line[4:] for line in lines)))
            elif kind == "prose":
                found.append(Part(kind, "\n".join(lines)))
            else:
                found += [Part(kind, line[2:].strip()) for line in lines]
    return [part for part in found if part.text.strip()]


def _kind_of(line: str) -> Literal["prose", "item", "row", "listing"]:
    if line.startswith("    "):
        return "listing"
    if line.startswith("| "):
        return "row"
    return "item" if line.startswith("- ") else "prose"


def _packed(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of one section packed into passages, of which only the last may be short."""
    passage: list[_Piece] = []
    finished: list[_Piece] = []
    for together in _wholes(pieces):
        if passage and _words(passage) + _words(together) > _MOST_WORDS:
            if finished:
                yield finished
            finished, passage = _parted(passage)
        passage += together
    if finished and passage and _words(passage) < _TAIL_WORDS:
        finished, passage = finished + passage, []
    yield from (part for part in (finished, passage) if part)


def _wholes(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Groups of pieces that stay together: a list's items or a table's rows, if they fit."""
    for kind, group in groupby(pieces, key=lambda piece: piece.kind):
        rows = list(group)
        if kind in ("list", "table") and _words(rows) <= _MOST_WORDS:
            yield rows
        else:
            yield from ([row] for row in rows)


def _parted(passage: list[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    """A full passage, and its last piece if that introduces what follows, for the next one."""
    last = passage[-1]
    announces = last.kind == "term" or (last.kind == "prose" and last.text.endswith(":"))
    if len(passage) > 1 and announces:
        return passage[:-1], [last]
    return passage, []


def _words(pieces: Iterable[_Piece]) -> int:
    return sum(piece.words for piece in pieces)


def _size(text: str) -> int:
    """The number of words; long words count as several, so that every script is bounded."""
    return max(len(text.split()), len(text) // _LETTERS_PER_WORD)


def _pieces(block: Block) -> Iterator[_Piece]:
    """The block as passages will hold it, in parts if it is too long for one."""
    for part in [block.text] if _size(block.text) <= _MOST_WORDS else _parts(block):
        text = rendered(Block(block.section, part, block.kind))
        yield _Piece(block.kind, text, _size(part))


def _parts(block: Block) -> Iterator[str]:
    """A long block in slices of at most about 200 words."""
    as_lines = block.kind in ("code", "term")
    units = block.text.split("\n") if as_lines else sentences(block.text)
    start = end = size = 0
    for unit in (short for long in units for short in _short(long)):
        begin = block.text.index(unit, end)
        if size and size + _size(unit) > TARGET_WORDS:
            yield block.text[start:end]
            start, size = begin, 0
        end = begin + len(unit)
        size += _size(unit)
    yield block.text[start:end]


def _short(unit: str) -> Iterator[str]:
    """A sentence or line; if it is too long, cut between words or, failing that, within one."""
    if _size(unit) <= TARGET_WORDS:
        yield unit
        return
    at = 0
    while at < len(unit):
        window = unit[at : at + TARGET_WORDS * _LETTERS_PER_WORD]
        words = window.split(" ")
        head = window
        if len(words) > TARGET_WORDS:
            head = " ".join(words[:TARGET_WORDS])
        elif at + len(window) < len(unit) and " " in window[1:]:
            head = window[: window.rindex(" ", 1)]
        if head.strip():
            yield head
        at += len(head)
        at += len(unit[at : at + 1]) - len(unit[at : at + 1].lstrip(" "))
