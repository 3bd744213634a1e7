"""What every parser makes of a document: a title and blocks in reading order.

Rule: the text of a block is the document's own, and nothing is put in. White space is collapsed;
code keeps its lines and indents, a paragraph the line breaks that its format calls line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["paragraph", "item", "code", "term", "header", "row", "pair", "links"]
"""`item`: of a list; `term`: what the next blocks, with a depth of 1, define; `header` and `row`:
of a table, cells joined by " | "; `pair`: a line "Key: value"; `links`: leads elsewhere."""

_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Block:
    """One unit of a document in reading order."""

    text: str
    kind: Kind = "paragraph"
    headings: tuple[str, ...] = ()
    """The headings that it stands under, outermost first, without the document's title."""
    marker: str = ""
    """How an item is marked: "-", or its number as written: "3.", "a)"."""
    depth: int = 0
    """How deep an item is nested; what belongs to an item or a term is one deeper."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as it was read."""

    title: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    """Sentences: what was left out or could not be read."""
    language: str = ""
    """The primary BCP 47 subtag, where the document declares one."""


@dataclass(slots=True)
class Outline:
    """Collects the blocks of a document under the headings that are open."""

    blocks: list[Block] = field(default_factory=list)
    first_heading: str = ""
    open: list[tuple[int, str]] = field(default_factory=list)
    """Level and text of each open heading, outermost first."""
    _headings: tuple[str, ...] = ()
    _bare: list[Block] = field(default_factory=list)
    """The headings before the first block, as text."""

    def all_blocks(self) -> tuple[Block, ...]:
        """The blocks; of a document that has only headings, these are its text."""
        return tuple(self.blocks or self._bare)

    def heading(self, level: int, text: str) -> None:
        """Open a heading; it closes those of its level and of deeper ones."""
        if text:
            self.restore([each for each in self.open if each[0] < level])
            self.restore([*self.open, (level, text)])
            self.first_heading = self.first_heading or text
            if not self.blocks:
                self._bare.append(Block(text))

    def restore(self, headings: list[tuple[int, str]]) -> None:
        """Let just these headings be open."""
        self.open = headings
        self._headings = tuple(text for _, text in headings)

    def keep(self, text: str, kind: Kind = "paragraph", marker: str = "", depth: int = 0) -> None:
        """Add a block, unless it is empty. Lines "Key: value" become pairs."""
        if not text.strip(" |\n"):
            return
        if kind == "paragraph" and is_sheet(text):
            for line in text.split("\n"):
                self.blocks.append(Block(line, "pair", self._headings, "", depth))
        else:
            self.blocks.append(Block(text, kind, self._headings, marker, depth))

    def extend(self, blocks: Iterable[Block], depth: int = 0) -> None:
        """Add the blocks of a document within this one."""
        for b in blocks:
            path = self._headings + b.headings
            self.blocks.append(replace(b, headings=path, depth=b.depth + depth))


_PAIR = re.compile(r"[^\s:：|.!?][^:：|.!?\n]{0,39}?(?: ?: +|：\s*|:$)(?!//)")
"""A key of at most 40 characters. A colon within a word (10:30, https://) parts nothing."""

_MOST_KEY_WORDS = 5


def is_pair(line: str) -> bool:
    """Whether a line has the shape "Key: value"."""
    found = _PAIR.match(line)
    return found is not None and len(found[0].split()) <= _MOST_KEY_WORDS


def is_sheet(text: str) -> bool:
    """Whether a text is two or more lines, each "Key: value"."""
    lines = text.split("\n", 200)
    return len(lines) > 1 and all(is_pair(line) for line in lines[:200])


_LONGEST_QUESTION = 150


def is_question(text: str) -> bool:
    """Whether a text is one short line that ends in a question mark."""
    return len(text) <= _LONGEST_QUESTION and "\n" not in text and text.endswith(("?", "？", "؟"))


def with_question_headings(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, where a question before its answer has become the heading of the answer."""
    every = list(blocks)
    question, under, deeper = "", tuple[str, ...](), -1
    for number, block in enumerate(every):
        if block.headings != under or block.depth <= deeper:
            question, under, deeper = "", block.headings, -1
        following = every[number + 1] if number + 1 < len(every) else None
        if following is not None and _is_answered(block, following):
            question = block.text
            deeper = block.depth if block.kind in ("item", "term") else -1
        elif question:
            yield replace(block, headings=(*under, question))
        else:
            yield block


def _is_answered(block: Block, following: Block) -> bool:
    """Whether a block is a question and the next one belongs to it."""
    if not is_question(block.text) or block.headings != following.headings:
        return False
    if block.kind in ("item", "term"):
        return following.depth > block.depth
    is_line = block.kind in ("paragraph", "pair")
    return is_line and following.kind != "links" and not is_question(following.text)


def storable(text: str) -> str:
    """The text without lone surrogates, and without control characters, which a terminal obeys."""
    return _UNSTORABLE.sub("", text)


def titled(text: str) -> str:
    """A text as it may be a title: on one line and without control characters."""
    return collapsed(_CONTROL.sub("", text))


def collapsed(text: str) -> str:
    """The text on one line: each run of white space is one space."""
    return " ".join(text.split())


def lined(text: str) -> str:
    """The text with its line breaks; each other run of white space is one space."""
    lines = (collapsed(line) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def dedented(listing: str) -> str:
    """A listing without blank lines around it, trailing spaces and the indent of all its lines."""
    lines = [line.rstrip() for line in listing.expandtabs(8).splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[indent:] for line in lines)


def row_text(cells: Iterable[str]) -> str:
    """The cells of a row as the text of its block."""
    return " | ".join(cell.replace("|", "\\|") for cell in cells).strip()


def rendered(block: Block) -> str:
    """A block as it stands in a passage: see `actors.library.passages`."""
    match block.kind:
        case "paragraph" | "term" | "pair":
            return block.text
        case "item":
            return f"{block.marker or '-'} {block.text}"
        case "header" | "row" | "links":
            return f"| {block.text}"
        case "code":
            return "\n".join(f"    {line}" for line in block.text.split("\n"))


_TIGHT = {"item": "list", "header": "table", "row": "table", "pair": "sheet", "links": "links"}
"""Blocks that stand on lines below one another, by what they are together."""


def joined(pieces: Iterable[tuple[Kind, str]]) -> str:
    """Rendered blocks as one text: a blank line between them, none inside a list or table."""
    text: list[str] = []
    last: Kind | None = None
    for kind, piece in pieces:
        if last is not None:
            together = last == "term" or (kind in _TIGHT and _TIGHT[kind] == _TIGHT.get(last))
            text.append("\n" if together and kind != "code" else "\n\n")
        text.append(piece)
        last = kind
    return "".join(text)


def plain_text(blocks: Iterable[Block]) -> str:
    """The whole document as people read it, its headings on lines of their own."""
    pieces = [(block.kind, rendered(block)) for block in with_heading_lines(blocks)]
    return joined(piece for piece in pieces if piece[1])


def with_heading_lines(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, and before those under other headings than the last one, the new headings."""
    above: tuple[str, ...] = ()
    for block in blocks:
        if block.headings != above:
            same = 0
            while above[same:] and above[same] == "".join(block.headings[same : same + 1]):
                same += 1
            for heading in block.headings[same:] or block.headings[-1:]:
                yield Block(heading)
            above = block.headings
        yield block
