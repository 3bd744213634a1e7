"""Source code as blocks: listings below the names of the functions and classes that they define.

Rule: the code is kept as it is, comments too. A definition takes the comment and the decorators
above it along.
"""

from __future__ import annotations

import re

from actors.library.parsing.blocks import Outline, Parsed, dedented

_MODIFIERS = r"(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\(\w+\))?|unsafe|extern|inline|virtual|override|open|sealed|data|const)"
_DEFINES = (
    r"def|class|function\*?|func|fun|fn|interface|struct|enum|trait|impl|module|namespace|type|"
    r"sub|proc|defmodule|defp?|object|record|protocol|create\s+(?:or\s+replace\s+)?"
    r"(?:table|view|function|procedure|index|trigger)(?:\s+if\s+not\s+exists)?"
)
_DEFINITION = re.compile(
    rf"(\s*)(?:{_MODIFIERS}\s+){{0,6}}(?:{_DEFINES})\s+(?:<[^>]{{0,80}}>\s*)?([\w.$:\"`]{{1,80}})",
    re.IGNORECASE,
)
_C_FUNCTION = re.compile(r"()[A-Za-z_][\w\s*&:<>,]{0,100}?[\s*&]([A-Za-z_]\w*)\s*\([^;]{0,200}$")
_SHELL_FUNCTION = re.compile(r"()([A-Za-z_][\w-]*)\s*\(\)\s*\{?\s*$")
_ABOVE = re.compile(r"\s*(?:#|//|/\*|\*|--|;|@|\[|\"\"\"|%)")
_DEEPEST_INDENT = 8


def parse_source(text: str) -> Parsed:
    """A source file, with the names of what it defines as headings."""
    outline = Outline()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    part: list[str] = []
    for line in lines:
        name = _defined(line)
        if name is not None:
            above = _above(part)
            outline.keep(dedented("\n".join(part[: len(part) - above])), "code")
            part = part[len(part) - above :]
            outline.heading(1 + name[0], name[1])
        part.append(line)
    outline.keep(dedented("\n".join(part)), "code")
    return Parsed("", tuple(outline.blocks))


def _defined(line: str) -> tuple[int, str] | None:
    """The indent and the name of what a line defines."""
    found = _DEFINITION.match(line) or _SHELL_FUNCTION.match(line) or _C_FUNCTION.match(line)
    if found is None or line.lstrip().startswith(("return ", "else ", "if ", "while ", "for ")):
        return None
    indent = len(line) - len(line.lstrip())
    return (indent, found[2].strip('"`:')) if indent <= _DEEPEST_INDENT else None


def _above(part: list[str]) -> int:
    """How many of the last lines are comments or decorators."""
    count = 0
    while count < len(part) and _ABOVE.match(part[-1 - count]):
        count += 1
    return count
