"""Plain text as blocks: paragraphs, items, listings and underlined headings.

Rule: lines belong together until a blank line parts them; a listing is what is indented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from actors.library.parsing.blocks import Block, Parsed, collapsed, dedented

_UNDERLINE = re.compile(r"([=\-~^\"*#+])\1{2,}\s*$")
_ITEM = re.compile(r"\s{0,3}(?:[-*•]|\d{1,3}[.)])\s+(?=\S)")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+")


def parse_text(text: str) -> Parsed:
    """A text; its title is its first heading, if it has any."""
    blocks: list[Block] = []
    title = section = ""
    for paragraph in _BLANK.split(
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    ):
        lines = [line for line in paragraph.split("\n") if line.strip()]
        if len(lines) > 1 and _UNDERLINE.match(lines[0]) and _UNDERLINE.match(lines[-1]):
            lines.pop(0)
        if len(lines) > 1 and _UNDERLINE.match(lines[1]) and not lines[0][0].isspace():
            section = collapsed(lines[0])
            title = title or section
            lines = lines[2:]
        blocks += _blocks(section, lines)
    return Parsed(title, tuple(blocks))


def _blocks(section: str, lines: list[str]) -> Iterator[Block]:
    """The blocks of lines between which no blank line stands."""
    if not lines or all(_UNDERLINE.match(line.strip()) for line in lines):
        return
    if all(line.startswith(("    ", "\t")) for line in lines):
        yield Block(section, dedented("\n".join(lines).expandtabs(4)), "code")
        return
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or _ITEM.match(lines[end]):
            text = collapsed(" ".join(lines[start:end]))
            item = _ITEM.match(lines[start])
            yield Block(
                section,
                _ITEM.sub("", text) if item else text,
                "list" if item else "prose",
            )
            start = end
