"""Passages of about 200 words: what a search shows and a language model reads.

Rule: a passage is one run of the document's text inside one section, cut between blocks. A list or
table that fits into a passage stays whole, and a paragraph that announces what follows goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from actors.library.layout import Layout, Piece
from actors.tasks.words import terms

MOST_WORDS = 240
SHORT_WORDS = 50
"""A last passage of a section with fewer words joins the one before."""


@dataclass(frozen=True, slots=True)
class PassageCut:
    """A passage of one document; `position` counts from 1, `start` and `end` are in its text.

    `links` is true if it only leads elsewhere, like a table of contents.
    """

    headings: tuple[str, ...]
    position: int
    start: int
    end: int
    text: str
    links: bool
    terms: str
    """The terms of the text, as they are indexed."""

    @property
    def section(self) -> str:
        """The innermost heading, "" for none."""
        return self.headings[-1] if self.headings else ""


def cut_passages(layout: Layout) -> tuple[PassageCut, ...]:
    """The passages of a document, in order."""
    cuts: list[PassageCut] = []
    by_section = groupby(layout.pieces, key=lambda p: (p.block.headings, p.block.kind == "links"))
    for (headings, links), group in by_section:
        for pieces in _packed(list(group)):
            start, end = pieces[0].start, pieces[-1].end
            text = layout.text[start:end]
            found = " ".join(terms(text))
            cuts.append(PassageCut(headings, len(cuts) + 1, start, end, text, links, found))
    return tuple(cuts)


def _packed(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces of one section put together to passages, none but the last much too short."""
<<<<<<< HEAD
    passage: list[Piece] = []
    finished: list[Piece] = []
    for together in _wholes(pieces):
        if passage and _words(passage) + _words(together) > MOST_WORDS:
            if finished:
                yield finished
            finished, passage = _split_lead_in(passage)
        passage += together
    if finished and passage and _words(passage) < SHORT_WORDS:
=======
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
>>>>>>> h-parse
        finished, passage = finished + passage, []
    yield from (part for part in (finished, passage) if part)


def _wholes(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces that stay together: a list or a table, if it fits."""
    for run, group in groupby(pieces, key=_run_of):
        rows = list(group)
        if run and _words(rows) <= MOST_WORDS:
            yield rows
        else:
            yield from ([row] for row in rows)


def _run_of(piece: Piece) -> str:
    kind = piece.block.kind
    if kind == "item":
        return "list"
    return "table" if kind in ("header", "row") else ""


def _split_lead_in(passage: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """A full passage, and what goes into the next: a last piece that announces what follows."""
    last = passage[-1].block
    announces = last.kind in ("term", "header") or last.text.rstrip().endswith((":", "："))
    if len(passage) > 1 and announces:
        return passage[:-1], passage[-1:]
    return passage, []


def _words(pieces: Sequence[Piece]) -> int:
    return sum(piece.words for piece in pieces)
<<<<<<< HEAD
=======


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
>>>>>>> h-parse
