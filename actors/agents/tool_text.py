"""What a tool answered as passages, so that it can be weighed and cited like a document.

Rule: every word of a passage is the tool's own, and the tool and its arguments say where it is from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from actors.library.parsing.blocks import Block, collapsed, storable, with_heading_lines
from actors.library.parsing.formats.plain_text import parse_text
from actors.library.passages import passages
from actors.tasks.evidence import Passage
from actors.tasks.tool_options import spelled
from actors.tools.catalog import ToolResult

MAX_DEPTH = 32


def tool_passages(
    tool: str, arguments: Mapping[str, Any], result: ToolResult
) -> tuple[Passage, ...]:
    """The passages of a result, in its order; it may be long, so this belongs in a thread."""
    section = _section(arguments, result)
    document_id = f"tool:{tool}:{_hash(arguments)}"
    blocks = (
        replace(block, text=storable(block.text), headings=(section,))
        for block in with_heading_lines(_blocks(result.text))
    )
    return tuple(
        Passage(document_id, tool, section, cut.position, cut.text) for cut in passages(blocks)
    )


def _hash(arguments: Mapping[str, Any]) -> str:
    spelled = json.dumps(dict(arguments), sort_keys=True, default=str)
    return hashlib.sha256(spelled.encode(errors="replace")).hexdigest()[:12]


def _section(arguments: Mapping[str, Any], result: ToolResult) -> str:
    """The arguments in a line, and what of the result is not in the passages."""
    line = spelled(arguments)
    without = [*result.passed_over, *(["what did not fit"] if result.cut else [])]
    return f"{line} (without {', '.join(without)})" if without else line


def _blocks(text: str) -> Iterator[Block]:
    """The blocks of a text, or the strings and values of one that is JSON."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            yield from _leaves(value, "", MAX_DEPTH)
            return
    yield from parse_text(text).blocks


def _leaves(value: Any, name: str, depth: int) -> Iterator[Block]:
    """What is in a JSON value, in its order: texts as they are, other values after their names."""
    match value:
        case dict() if depth:
            for key, inner in value.items():
                yield from _leaves(inner, key, depth - 1)
        case list() if depth:
            for inner in value:
                yield from _leaves(inner, name, depth - 1)
        case str() if len(value.split()) > 3:
            yield from parse_text(value).blocks
        case dict() | list() | None:
            return
        case _:
            spelled = collapsed(value if isinstance(value, str) else json.dumps(value))
            if spelled:
                yield Block(f"{name}: {spelled}" if name else spelled, "item")
