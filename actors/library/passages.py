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
    passage: list[Piece] = []
    finished: list[Piece] = []
    for together in _wholes(pieces):
        if passage and _words(passage) + _words(together) > MOST_WORDS:
            if finished:
                yield finished
            finished, passage = _split_lead_in(passage, together)
        passage += together
    if finished and passage and _words(passage) < SHORT_WORDS:
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


def _split_lead_in(passage: list[Piece], following: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """A full passage, and what goes into the next: a last piece that announces what follows."""
    last = passage[-1].block
    announces = last.kind in ("term", "header") or last.text.rstrip().endswith((":", "："))
    fits = _words(passage[-1:]) + _words(following) <= MOST_WORDS
    if len(passage) > 1 and announces and fits:
        return passage[:-1], passage[-1:]
    return passage, []


def _words(pieces: Sequence[Piece]) -> int:
    return sum(piece.words for piece in pieces)
