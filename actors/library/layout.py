"""The text of a document: its blocks laid out line by line, with the place of each.

    Heading

    A paragraph that announces a list:

    - an item
      - a nested one
    | a | row |
        code, indented by four blanks

Rule: this text is what `/documents/{id}/text` shows and what every `start` and `end` counts in. The
text of a block stands in it word for word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from actors.library.parsing.blocks import Block
from actors.library.sentences import sentences

MAX_WORDS = 200
"""The most words of one piece. A longer block is cut between sentences, lines or words."""

CHARACTERS_PER_WORD = 10
"""Longer words count as several, so that a piece is bounded in every script."""

_ROWS = frozenset({"item", "header", "row", "pair", "links"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, or a part of a long one, at its place in the text of the document."""

    block: Block
    start: int
    end: int
    words: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The text of a document and its pieces in order."""

    text: str
    pieces: tuple[Piece, ...]


def lay_out(blocks: Iterable[Block]) -> Layout:
    """Lay blocks out as text: a blank line between them, none inside a list, table or sheet."""
    lines: list[str] = []
    pieces: list[Piece] = []
    at = 0
    last: Block | None = None

    def write(text: str) -> None:
        nonlocal at
        lines.append(text)
        at += len(text)

    for block in blocks:
        if last is None or block.headings != last.headings:
            for heading in _new_headings(last.headings if last else (), block.headings):
                write(f"{'' if at == 0 else chr(10) * 2}{heading}")
        if at:
            joined = last is not None and last.headings == block.headings
            write("\n" if joined and _share_lines(last, block) else "\n\n")
        indent, body = _rendered(block)
        write(indent)
        begin = at
        write(body)
        pieces += [
            Piece(block, begin + start, begin + end, size_of(body[start:end]))
            for start, end in _cut(body, as_lines=block.kind == "code")
        ]
        last = block
    return Layout("".join(lines), tuple(pieces))


def size_of(text: str) -> int:
    """The words of a text; very long ones count as several."""
    return max(len(text.split()), len(text) // CHARACTERS_PER_WORD)


def _new_headings(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The headings that open with a block: all from the first that differs."""
    same = 0
    while same < len(before) and same < len(now) and before[same] == now[same]:
        same += 1
    return now[same:]


def _share_lines(last: Block | None, block: Block) -> bool:
    if last is None or block.kind not in _ROWS:
        return False
    return last.kind == block.kind or (last.kind == "header" and block.kind == "row")


def _rendered(block: Block) -> tuple[str, str]:
    """The indent of a block's first line, and the block as it stands in the text."""
    match block.kind:
        case "code":
            return "", "\n".join(f"    {line}" for line in block.text.split("\n"))
        case "item":
            return "  " * block.depth, f"{block.marker or '-'} {block.text}"
        case "header" | "row":
            return "", f"| {block.text} |"
        case "links":
            return "", f"- {block.text}"
        case "paragraph" | "term" | "pair":
            return "  " * min(block.depth, 1), block.text


def _cut(body: str, *, as_lines: bool) -> Iterator[tuple[int, int]]:
    """Places of the parts of a block, each of at most `MAX_WORDS` words."""
    if size_of(body) <= MAX_WORDS:
        yield 0, len(body)
        return
    units = body.split("\n") if as_lines else sentences(body)
    start = end = size = 0
    for unit in (short for long in units for short in _short(long)):
        begin = body.index(unit, end)
        if size and size + size_of(unit) > MAX_WORDS:
            yield start, end
            start, size = begin, 0
        end = begin + len(unit)
        size += size_of(unit)
    if end > start:
        yield start, end


def _short(unit: str) -> Iterator[str]:
    """A sentence or line, cut between words, or inside one, if it is longer than a piece may be."""
    at = 0
    while at < len(unit):
        window = unit[at : at + MAX_WORDS * CHARACTERS_PER_WORD]
        if at + len(window) < len(unit) and " " in window[1:]:
            window = window[: window.rindex(" ", 1)]
        words = window.split(" ")
        part = " ".join(words[:MAX_WORDS])
        if part.strip():
            yield part
        at += max(len(part), 1)
        while unit[at : at + 1] == " ":
            at += 1
