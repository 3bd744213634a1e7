"""Org files as blocks: headings, drawers, lists, tables and source blocks.

Rule: what stands between is plain text, and read as that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from actors.library.parsing.blocks import Outline, Parsed, collapsed, dedented, lined, row_text
from actors.library.parsing.formats.plain_text import parse_text

_HEADING = re.compile(r"(\*+)\s+(.*?)(?:\s+:[\w@#%:]+:)?\s*$")
_KEYWORD = re.compile(r"\s*#\+(\w+):\s*(.*)$")
_BEGIN = re.compile(r"\s*#\+begin_(\w+)", re.IGNORECASE)
_DRAWER = re.compile(r"\s*:([\w-]+):\s*$")
_PROPERTY = re.compile(r"\s*:([\w+-]+):\s+(.*)$")
_RULE = re.compile(r"\s*\|[-+|]+\s*$")
_LINK = re.compile(r"\[\[(?:[^\]]*\]\[)?([^\]]+)\]\]")
_NOTE_MARK = re.compile(r"(?<=\S)\[fn:[\w-]+\]")
_DEFINITION = re.compile(r"\s*[-+] (.+?) ::(?:\s+(.*))?$")


def parse_org(text: str) -> Parsed:
    """An Org file; its title is that of #+TITLE, else its first heading."""
    reading = _Reading(text.replace("\r\n", "\n").split("\n"))
    while reading.at < len(reading.lines):
        reading.step()
    reading.flush()
    count = reading.comments
    note = "1 comment was left out." if count == 1 else f"{count} comments were left out."
    title = reading.title or reading.outline.first_heading
    blocks = reading.outline.all_blocks()
    return Parsed(title, blocks, (note,) if count else (), reading.language)


@dataclass
class _Reading:
    lines: list[str]
    at: int = 0
    title: str = ""
    language: str = ""
    comments: int = 0
    plain: list[str] = field(default_factory=list)
    outline: Outline = field(default_factory=Outline)

    def step(self) -> None:
        """Read one line, or the block that begins with it."""
        line = self.lines[self.at]
        self.at += 1
        if found := _HEADING.match(line):
            self.flush()
            self.outline.heading(len(found[1]), collapsed(_words(found[2])))
        elif found := _BEGIN.match(line):
            self._block(found[1].lower())
        elif found := _KEYWORD.match(line):
            self._keyword(found[1].lower(), found[2])
        elif _DRAWER.match(line):
            self._drawer()
        elif line.lstrip().startswith("|"):
            self._table(line)
        elif line.startswith("# ") or line.strip() == "#":
            self.comments += 1
        elif found := _DEFINITION.match(line):
            self.flush()
            self.outline.keep(collapsed(_words(found[1])), "term")
            self.outline.keep(
                collapsed(_words(" ".join([found[2] or "", *self._indented()]))), depth=1
            )
        else:
            self.plain.append(_words(line))

    def flush(self) -> None:
        """The plain text so far becomes blocks."""
        if any(map(str.strip, self.plain)):
            self.outline.extend(parse_text("\n".join(self.plain)).blocks)
        self.plain.clear()

    def _indented(self) -> list[str]:
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].startswith("  "):
            self.at += 1
        return self.lines[start : self.at]

    def _block(self, name: str) -> None:
        end = f"#+end_{name}"
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].strip().lower() != end:
            self.at += 1
        body = self.lines[start : self.at]
        self.at += 1
        if name == "comment":
            self.comments += 1
        elif name == "verse":
            self.flush()
            self.outline.keep(lined(_words("\n".join(body))))
        elif name in ("quote", "center"):
            self.plain += ["", *map(_words, body), ""]
        else:
            self.flush()
            self.outline.keep(dedented("\n".join(body)), "code")

    def _keyword(self, name: str, value: str) -> None:
        if name == "title":
            self.title = collapsed(f"{self.title} {value}")
        elif name == "language":
            self.language = value[:2].lower() if value[:2].isalpha() else ""
        elif name in ("author", "date", "subtitle", "description", "keywords", "caption"):
            self.flush()
            self.outline.keep(f"{name}: {collapsed(value)}", "pair")

    def _drawer(self) -> None:
        self.flush()
        while self.at < len(self.lines) and (found := _PROPERTY.match(self.lines[self.at])):
            self.outline.keep(f"{found[1]}: {collapsed(found[2])}", "pair")
            self.at += 1
        if self.at < len(self.lines) and self.lines[self.at].strip().lower() == ":end:":
            self.at += 1

    def _table(self, line: str) -> None:
        self.flush()
        rows = [line]
        while self.at < len(self.lines) and self.lines[self.at].lstrip().startswith("|"):
            rows.append(self.lines[self.at])
            self.at += 1
        for number, row in enumerate(rows):
            if _RULE.match(row):
                continue
            is_header = number == 0 and len(rows) > 1 and _RULE.match(rows[1]) is not None
            cells = [collapsed(_words(cell)) for cell in row.strip().strip("|").split("|")]
            self.outline.keep(row_text(cells), "header" if is_header else "row")


def _words(text: str) -> str:
    return _NOTE_MARK.sub("", _LINK.sub(r"\1", text))
