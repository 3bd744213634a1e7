"""Plain text as blocks: sections, paragraphs, items, sheets of pairs, and listings.

Rule: lines belong together until a blank line parts them. A text that is indented as a whole, such
as an RFC or a manual page, is text; a listing is indented further than that and has no sentences.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from actors.library.parsing.blocks import (
    Outline,
    Parsed,
    collapsed,
    dedented,
    is_pair,
    is_question,
    is_sheet,
)
from actors.library.parsing.formats.text_lines import (
    UNDERLINE,
    are_own_lines,
    indent_of,
    is_capitals,
    is_columns,
    is_contents,
    is_prose,
    is_short,
    is_wide,
    is_wide_lead,
    item_of,
    manual_page,
    number_of,
    section_number,
    unwrapped,
    usual_width,
    without_furniture,
)

_CAPITALS, _SHORT = 10, 20
"""Levels of headings that are headings by their looks; numbered ones have 11 and deeper."""

_MARKED = re.compile(r"(={2,6}|#{1,6})\s+(\S.{0,100}?)(?:\s+\1)?")
"""A heading of a wiki or of Markdown."""

_UNWRAPPED = 120
_CENTERED, _OPENING = 8, 4
"""The least indent of a centered title, and how many groups of lines may come before it."""

_LISTING_INDENT, _LEAST_HANG = 4, 3


def parse_text(text: str) -> Parsed:
    """A text; its title is its first heading, if it begins with one."""
    lines = without_furniture(text.replace("\r\n", "\n").replace("\r", "\n"))
    manual = manual_page(lines)
    groups = list(_groups(lines))
    reading = _Reading(groups, _body_indent(groups), usual_width(lines), manual)
    for number in range(len(groups)):
        reading.read(number)
    return Parsed(reading.title, reading.outline.all_blocks())


def _groups(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines between blank ones."""
    group: list[str] = []
    for line in (*lines, ""):
        if line.strip():
            group.append(line.rstrip())
        elif group:
            yield group
            group = []


def _body_indent(groups: Sequence[Sequence[str]]) -> int:
    """The indent of most of the text."""
    weights: Counter[int] = Counter()
    for group in groups:
        if item_of(group[0]) is None and is_prose(group) and len(collapsed(" ".join(group))) > 40:
            weights[indent_of(group[1:] or group)] += len(group)
    return weights.most_common(1)[0][0] if weights else 0


@dataclass
class _Reading:
    """How far the groups of lines were read."""

    groups: list[list[str]]
    body: int
    width: int
    title: str = ""
    outline: Outline = field(default_factory=Outline)
    underlines: list[str] = field(default_factory=list)
    indents: list[int] = field(default_factory=list)
    """Of the items that are open, outermost first."""

    def read(self, number: int) -> None:
        """The blocks of one group."""
        lines = list(self.groups[number])
        if (marked := _MARKED.fullmatch(lines[0])) and len(lines) == 1:
            self._heading(len(marked[1]), marked[2], number)
            return
        if len(lines) > 2 and UNDERLINE.match(lines[0]) and UNDERLINE.match(lines[2]):
            lines.pop(0)
        if len(lines) > 1 and (mark := UNDERLINE.match(lines[1])) and is_short(lines[0]):
            self._heading(1 + self._level(mark[1]), lines[0], number)
            lines = lines[2:]
        elif level := self._heading_level(lines, number):
            self._heading(level, lines[0], number)
            lines = lines[1:]
        if lines and not all(UNDERLINE.match(line) for line in lines):
            self._blocks(lines)

    def _level(self, mark: str) -> int:
        """Marks of underlines in the order in which they came."""
        if mark not in self.underlines:
            self.underlines.append(mark)
        return self.underlines.index(mark)

    def _heading(self, level: int, line: str, number: int) -> None:
        self.indents.clear()
        self.outline.heading(level, collapsed(line))
        if number == 0 or level == 1 or not self.outline.blocks:
            self.title = self.title or collapsed(line)

    def _heading_level(self, lines: list[str], number: int) -> int:
        """The level of a group's first line, or 0 if it is not a heading."""
        first, is_alone = lines[0], len(lines) == 1
        following = lines[1:] or next(iter(self.groups[number + 1 : number + 2]), [])
        if not is_short(first) or not following or is_pair(first):
            return 0
        own, next_indent = indent_of([first]), indent_of(following[:1])
        if number < _OPENING and is_alone and own >= max(_CENTERED, self.body) and not self.title:
            return 1
        if own > self.body or is_contents(following):
            return 0
        if section := section_number(first):
            return self._numbered_level(section, first, following, is_alone)
        if item_of(first) is not None or (first.lstrip()[0].islower() and not is_alone):
            return 0
        if is_capitals(first) and (is_alone or next_indent > own):
            return _CAPITALS
        is_lead = not is_alone and own == 0 < self.body and next_indent >= self.body
        is_sheet_lead = not is_alone and bool(_sheet(following))
        if is_lead or is_wide_lead(lines) or is_sheet_lead or self._is_short_lead(lines):
            return _SHORT
        if is_alone and not is_question(first) and self._is_text(following, own):
            return _SHORT
        return 0

    def _is_short_lead(self, lines: list[str]) -> bool:
        """Whether a first line ends early and the rest is a paragraph."""
        if len(lines) < 2 or lines[1].lstrip()[0].islower() or item_of(lines[1]) is not None:
            return False
        if is_question(collapsed(lines[0])):
            return False
        is_early = len(lines[0]) < 0.6 * self.width and len(lines[1]) > 1.5 * len(lines[0])
        return is_early and indent_of(lines[:1]) <= indent_of(lines[1:2]) and is_prose(lines[1:])

    def _numbered_level(
        self, section: str, first: str, following: list[str], is_alone: bool
    ) -> int:
        """Sections have numbers such as 2.3, or stand alone above a text that is not an item."""
        level = _CAPITALS + 1 + section.count(".")
        own, next_indent = indent_of([first]), indent_of(following[:1])
        if "." in section:
            return level if is_alone or next_indent > own or is_prose(following) else 0
        is_item = item_of(following[0]) is not None or (next_indent > max(own, self.body))
        is_next = bool(section_number(following[0]))
        return (
            level
            if is_alone and not is_item and (not is_next or "." in section_number(following[0]))
            else 0
        )

    def _is_text(self, following: list[str], indent: int) -> bool:
        """Whether a group is more than one more short line."""
        if indent_of(following[:1]) >= indent and _sheet(following):
            return True
        if indent_of(following[:1]) < indent or is_columns(following):
            return False
        if item_of(following[0]) is not None:
            return True
        text = unwrapped(following)
        return not is_short(text) and (len(text.split()) > 5 or is_wide(text[0]))

    def _blocks(self, lines: list[str]) -> None:
        indent = indent_of(lines)
        if is_contents(lines):
            for line in lines:
                self.outline.keep(collapsed(line), "links")
            return
        if (
            len(lines) > 1
            and lines[0].endswith(":")
            and indent_of(lines[1:]) > indent_of(lines[:1])
        ):
            self._paragraphs(lines[:1], self._depth_of(indent))
            self._blocks(lines[1:])
            return
        items = _items(lines)
        if items:
            self._lists(lines, items)
            return
        depth = self._depth_of(indent)
        sheet = _sheet(lines)
        if sheet:
            self.outline.keep("\n".join(sheet), depth=depth)
        elif self._is_hanging(lines):
            self.outline.keep(collapsed(lines[0]), "term", depth=depth)
            self.outline.keep(unwrapped(lines[1:]), depth=depth + 1)
        elif self._is_listing(lines, indent, depth):
            self.outline.keep(dedented("\n".join(lines)), "code", depth=depth)
        else:
            self._paragraphs(lines, depth)

    def _depth_of(self, indent: int) -> int:
        """How deep text with this indent is: it belongs to an item that is indented less."""
        while self.indents and indent <= self.indents[-1]:
            self.indents.pop()
        return len(self.indents)

    def _is_hanging(self, lines: list[str]) -> bool:
        """Whether a short line stands above its explanation, as in a list of options."""
        if len(lines) < 2 or len(lines[0].strip()) > 0.6 * self.width:
            return False
        first, rest = indent_of(lines[:1]), indent_of(lines[1:])
        is_deeper = rest >= first + _LEAST_HANG and indent_of(lines[1:2]) == rest
        return is_deeper and (is_prose(lines[1:]) or first >= self.body > 0)

    def _is_listing(self, lines: list[str], indent: int, depth: int) -> bool:
        if is_columns(lines):
            return True
        base = max(self.body, self.indents[-1] if self.indents else 0)
        least = 2 if self.body or depth else _LISTING_INDENT
        return indent >= base + least and not is_prose(lines)

    def _paragraphs(self, lines: list[str], depth: int) -> None:
        """One paragraph, or several where a line is one, or begins with the blank of one."""
        if len(lines) > 1 and is_question(collapsed(lines[0])):
            self.outline.keep(collapsed(lines[0]), depth=depth)
            lines = lines[1:]
        longest = _UNWRAPPED // 2 if is_wide(lines[0].strip()[0]) else _UNWRAPPED
        are_paragraphs = sum(len(line) for line in lines) > longest * len(lines)
        start = 0
        for end in range(1, len(lines) + 1):
            if end == len(lines) or are_paragraphs or lines[end].startswith("\u3000"):
                part = lines[start:end]
                start = end
                if are_own_lines(part, self.width):
                    self.outline.keep("\n".join(map(collapsed, part)), depth=depth)
                else:
                    self.outline.keep(unwrapped(part), depth=depth)

    def _lists(self, lines: list[str], items: list[int]) -> None:
        """Items, and before them the line that announces them."""
        if items[0]:
            self._blocks_without_items(lines[: items[0]])
        for start, end in zip(items, [*items[1:], len(lines)]):
            indent = indent_of([lines[start]])
            while self.indents and indent <= self.indents[-1]:
                self.indents.pop()
            marker, first = item_of(lines[start]) or ("-", lines[start])
            text = unwrapped([first, *lines[start + 1 : end]])
            self.outline.keep(text, "item", marker, len(self.indents))
            self.indents.append(indent)

    def _blocks_without_items(self, lines: list[str]) -> None:
        sheet = _sheet(lines)
        if sheet:
            self.outline.keep("\n".join(sheet))
        else:
            self._paragraphs(lines, self._depth_of(indent_of(lines)))


def _items(lines: list[str]) -> list[int]:
    """Which lines begin an item. A wrapped line that begins with a number is none."""
    found: list[int] = []
    last: dict[int, int] = {}
    for at, line in enumerate(lines):
        item = item_of(line)
        if item is None:
            continue
        number, indent = number_of(item[0]), indent_of([line])
        if at == 0 or number in (0, 1) or number == last.get(indent, -1) + 1:
            found.append(at)
            last[indent] = number
    is_bullet = any(item_of(lines[at]) == ("-", lines[at].strip()[1:].strip()) for at in found)
    return found if is_bullet or found[:1] == [0] or len(found) > 1 else []


def _sheet(lines: list[str]) -> list[str]:
    """The lines "Key: value" of a sheet, those that go on joined; empty if it is none."""
    pairs: list[str] = []
    indent = indent_of(lines[:1])
    for line in lines:
        if pairs and indent_of([line]) > indent + 1:
            pairs[-1] += " " + collapsed(line)
        else:
            pairs.append(collapsed(line))
    return pairs if is_sheet("\n".join(pairs)) else []
