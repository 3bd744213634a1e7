"""Markdown as blocks, with tables and the front matter of note-taking programs.

Rule: marks are taken off, words stay: link texts are text, targets and images are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from actors.library.parsing.blocks import Block, Kind, Parsed, collapsed, dedented
from actors.library.parsing.html import parse_fragment

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(.*?)\n(?:---|\.\.\.)[^\S\n]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[^\S\n]*(.+)$", re.MULTILINE)


def parse_markdown(text: str) -> Parsed:
    """A Markdown text; its title is that of its front matter, else its first heading."""
    text = text.replace("\r\n", "\n").lstrip("\n")
    front = _FRONT_MATTER.match(text)
    reading = _Reading()
    reading.read(
        MarkdownIt("commonmark").enable("table").parse(text[front.end() :] if front else text)
    )
    named = _FRONT_TITLE.search(front[1]) if front else None
    title = named[1].strip().strip("\"'") if named else reading.title
    return Parsed(title, tuple(reading.blocks))


@dataclass
class _Reading:
    """How far the tokens were read."""

    title: str = ""
    section: str = ""
    blocks: list[Block] = field(default_factory=list)
    row: list[str] | None = None
    item: bool = False

    def read(self, tokens: Sequence[Token]) -> None:
        for number, token in enumerate(tokens):
            match token.type:
                case "inline":
                    self._inline(_words(token), before=tokens[number - 1].type)
                case "fence" | "code_block":
                    self._keep(dedented(token.content), "code")
                case "html_block":
                    for block in parse_fragment(token.content):
                        self._keep(block.text, block.kind)
                case "list_item_open":
                    self.item = True
                case "tr_open":
                    self.row = []
                case "tr_close":
                    self._keep(" | ".join(self.row or ()), "table")
                    self.row = None

    def _inline(self, text: str, *, before: str) -> None:
        if before == "heading_open":
            self.section = text
            self.title = self.title or text
        elif self.row is not None:
            self.row.append(text)
        else:
            self._keep(text, "list" if self.item else "prose")
            self.item = False

    def _keep(self, text: str, kind: Kind) -> None:
        if text.strip(" |\n"):
            self.blocks.append(Block(self.section, text, kind))


def _words(inline: Token) -> str:
    return collapsed("".join(_word(child) for child in inline.children or ()))


def _word(token: Token) -> str:
    match token.type:
        case "text" | "code_inline":
            return token.content
        case "softbreak" | "hardbreak":
            return " "
        case _:
            return ""
