"""Cutting a document into passages of about 200 words that know where they stand.

Rule: a passage lies within one section and is cut between blocks. A listing, list or table that fits
into a passage stays whole; a block that is too long is cut between its sentences, its lines or, when
there is no other way, its words.

The kind of each line of a passage can be recognized: a line that is indented by four spaces is code,
a blank one in code included; one that begins with "| " is a row of a table or a link, one with "- "
or a number an item of a list; every other line belongs to a paragraph, a term or a sheet of pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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

    `links` is true if it only leads elsewhere, like a table of contents.
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
    for (headings, links), group in groupby(blocks, key=lambda b: (b.headings, b.kind == "links")):
        section = headings[-1] if headings else ""
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
                found += [Part(kind, _MARK.sub("", line, count=1).strip()) for line in lines]
    return [part for part in found if part.text.strip()]


def _kind_of(line: str) -> Literal["prose", "item", "row", "listing"]:
    if line.startswith("    "):
        return "listing"
    if line.startswith("| "):
        return "row"
    return "item" if _MARK.match(line) else "prose"


_MARK = re.compile(r"(?:[-|]|\(?(?:\d{1,9}|[a-z])\)|\d{1,9}\.) ")


def _packed(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of one section put together to passages, none but the last much too short."""
    passage: list[_Piece] = []
    finished: list[_Piece] = []
    size = 0
    for together in _wholes(pieces):
        more = _words(together)
        if passage and size + more > _MOST_WORDS:
            if finished:
                yield finished
            finished, passage = _parted(passage)
            size = _words(passage)
        passage += together
        size += more
    if finished and passage and _words(passage) < _TAIL_WORDS:
        finished, passage = finished + passage, []
    yield from (part for part in (finished, passage) if part)


def _wholes(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """The pieces that stay together: the items of a list or rows of a table, if they fit."""
    for kind, group in groupby(pieces, key=lambda piece: piece.kind):
        rows = list(group)
        if kind in ("item", "row", "pair") and _words(rows) <= _MOST_WORDS:
            yield rows
        else:
            yield from ([row] for row in rows)


def _parted(passage: list[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    """A full passage and what it gives to the next: a last piece that announces what follows."""
    last = passage[-1]
    ends = last.text.endswith((":", "："))
    announces = last.kind in ("term", "header") or (last.kind == "paragraph" and ends)
    if len(passage) > 1 and announces:
        return passage[:-1], [last]
    return passage, []


def _words(pieces: Iterable[_Piece]) -> int:
    return sum(piece.words for piece in pieces)


def _size(text: str) -> int:
    """Its words; long ones count as several, so that a passage is bounded in every script."""
    return max(len(text.split()), len(text) // _LETTERS_PER_WORD)


def _pieces(block: Block) -> Iterator[_Piece]:
    """The block as it will stand in passages, in parts if it is too long for one."""
    for part in [block.text] if _size(block.text) <= _MOST_WORDS else _parts(block):
        text = rendered(block if part is block.text else replace(block, text=part))
        yield _Piece(block.kind, text, _size(part))


def _parts(block: Block) -> Iterator[str]:
    """A long block in slices of at most about 200 words."""
    as_lines = block.kind == "code"
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
    """A sentence or line as it is, or cut between words, or even within one, if it is endless."""
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
