"""Excerpts: the units that a report quotes, each with what it needs to be understood.

    paragraph      a paragraph, with the code that follows it
    list           a list with the paragraph that announces it; a long one item by item
    row            a table row under the table's header
    definition     a term with its text
    pair           a line "Key: value"

Rule: an excerpt is the document's own text. Lead-ins and table headers are repeated before a part
that is quoted alone; nothing else is put in. Every block but links is in at least one excerpt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from actors.library.layout import Layout, Piece
from actors.tasks.evidence import Excerpt, ExcerptKind, Origin, Passage
from actors.tasks.words import terms

LIST_WORDS = 110
"""A list with more words is quoted item by item."""
LEAD_IN_WORDS = 60
"""A longer paragraph is an excerpt of its own, even if it announces what follows."""


@dataclass(frozen=True, slots=True)
class ExcerptCut:
    """An excerpt of one document. `start` and `end` are the place of its last part in the text.

    `lead`: it opens its section. `text` holds lines as in `actors.library.layout`.
    """

    kind: ExcerptKind
    headings: tuple[str, ...]
    start: int
    end: int
    text: str
    lead: bool
    terms: str
    """The terms of the text, as they are indexed."""


def cut_excerpts(layout: Layout) -> tuple[ExcerptCut, ...]:
    """The excerpts of a document, in order."""
    found: list[ExcerptCut] = []
    for headings, group in groupby(layout.pieces, key=lambda piece: piece.block.headings):
        pieces = [piece for piece in group if piece.block.kind != "links"]
        first = True
        for kind, parts in _Section(pieces).excerpts():
            found.append(_cut(layout, kind, headings, parts, lead=first))
            first = False
    return tuple(found)


def _cut(
    layout: Layout,
    kind: ExcerptKind,
    headings: tuple[str, ...],
    parts: list[Piece],
    *,
    lead: bool,
) -> ExcerptCut:
    """An excerpt of these pieces. The first one is repeated from elsewhere if it stands apart."""
    end = parts[-1].end
    if len(parts) > 1 and (kind == "row" or layout.text[parts[0].end : parts[1].start].strip()):
        start = parts[1].start
        text = f"{layout.text[parts[0].start : parts[0].end]}\n{layout.text[start:end]}"
    else:
        start = parts[0].start
        text = layout.text[start:end]
    return ExcerptCut(kind, headings, start, end, text, lead, " ".join(terms(text)))


class _Section:
    """Walks the pieces of one section once."""

    def __init__(self, pieces: list[Piece]) -> None:
        self._pieces = pieces
        self._at = 0

    def excerpts(self) -> Iterator[tuple[ExcerptKind, list[Piece]]]:
        header: Piece | None = None
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            kind = piece.block.kind
            if kind != "row":
                header = piece if kind == "header" else None
            match kind:
                case "header":
                    self._at += 1
                    if not self._next_is("row"):
                        yield "row", [piece]
                case "row":
                    self._at += 1
                    yield "row", [header, piece] if header else [piece]
                case "pair":
                    self._at += 1
                    yield "pair", [piece]
                case "term":
                    yield "definition", self._definition()
                case "item":
                    yield from self._list([])
                case "code":
                    yield "code", self._take_while("code")
                case _:
                    yield from self._paragraph()

    def _next_is(self, *kinds: str) -> bool:
        return self._at < len(self._pieces) and self._pieces[self._at].block.kind in kinds

    def _take_while(self, *kinds: str) -> list[Piece]:
        start = self._at
        while self._next_is(*kinds):
            self._at += 1
        return self._pieces[start : self._at]

    def _paragraph(self) -> Iterator[tuple[ExcerptKind, list[Piece]]]:
        piece = self._pieces[self._at]
        self._at += 1
        if self._next_is("code"):
            yield "paragraph", [piece, *self._take_while("code")]
        elif self._next_is("item") and _announces(piece):
            yield from self._list([piece])
        else:
            yield "paragraph", [piece]

    def _list(self, lead_in: list[Piece]) -> Iterator[tuple[ExcerptKind, list[Piece]]]:
        """A list with all that belongs to its items."""
        start = self._at
        while self._at < len(self._pieces) and (
            self._next_is("item") or self._pieces[self._at].block.depth > 0
        ):
            self._at += 1
        body = self._pieces[start : self._at]
        if sum(piece.words for piece in body) <= LIST_WORDS:
            yield "list", [*lead_in, *body]
            return
        top = min(piece.block.depth for piece in body if piece.block.kind == "item")
        item: list[Piece] = []
        for piece in body:
            if item and piece.block.kind == "item" and piece.block.depth <= top:
                yield "list", [*lead_in, *item]
                item = []
            item.append(piece)
        yield "list", [*lead_in, *item]

    def _definition(self) -> list[Piece]:
        """A term, or several in a row, with the text that defines it."""
        found = self._take_while("term")
        words = 0
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            if piece.block.kind == "term" or not piece.block.depth or words > LIST_WORDS:
                break
            words += piece.words
            found.append(piece)
            self._at += 1
        return found


def _announces(piece: Piece) -> bool:
    text = piece.block.text.rstrip()
    return piece.words <= LEAD_IN_WORDS and not text.endswith((".", "!", "?", "。", "！", "？"))


def paragraphs(passages: Iterable[Passage], origin: Origin) -> list[Excerpt]:
    """The paragraphs of passages from elsewhere as excerpts, without scores."""
    found = []
    for passage in passages:
        at = passage.start
        for paragraph in passage.text.split("\n\n"):
            if paragraph.strip():
                found.append(
                    Excerpt(
                        passage.document_id,
                        passage.title,
                        (passage.section,) if passage.section else (),
                        passage.position,
                        at,
                        at + len(paragraph),
                        _kind_of(paragraph),
                        paragraph,
                        origin=origin,
                    )
                )
            at += len(paragraph) + 2
    return found


def _kind_of(paragraph: str) -> ExcerptKind:
    if paragraph.startswith("    "):
        return "code"
    if paragraph.startswith("| "):
        return "row"
    return "list" if paragraph.startswith("- ") else "paragraph"
