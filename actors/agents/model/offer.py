"""What a model is told of the tool_options that it may ask: names, descriptions, and their arguments.

Rule: all of it but the names comes from other programs, so it is data: cleaned, bounded one by one
and in all, and between marks that it cannot forge. Who is not shown cannot be asked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.agents.model.fence import as_data, mark_for
from actors.agents.model.markup import plain
from actors.tasks.tool_options import ToolOption

log = logging.getLogger(__name__)

MOST_SHOWN = 8_000
"""Characters of all tool_options together: about half of what a small model can read."""
MOST_NAME = 128
_MOST_DEPTH = 8
_MOST_ENTRIES = 32
_MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class _Length:
    """How much is told of one tool_option."""

    does: int
    schema: int
    describes: bool


_LONG = _Length(does=400, schema=1_500, describes=True)
_SHORT = _Length(does=120, schema=400, describes=False)
"""For all of them, once they are too many for the long form."""

_FOR_PROGRAMS = frozenset(
    {"$schema", "$id", "$comment", "title", "examples", "additionalProperties"}
)
_OF_NAMES = frozenset({"properties", "$defs", "definitions"})


@dataclass(frozen=True, slots=True)
class Offer:
    """The tool_options that may be asked, by name, and how they are told to a model."""

    tool_options: Mapping[str, ToolOption]
    text: str
    mark: str

    def __bool__(self) -> bool:
        return bool(self.tool_options)


def offer_of(tool_options: Sequence[ToolOption]) -> Offer:
    """As many of the tool_options as there is room for, in their order."""
    by_name = {tool_option.name: tool_option for tool_option in tool_options}
    named = [one for name, one in by_name.items() if name == as_data(name)[:MOST_NAME]]
    told = [_told(tool_option, _LONG) for tool_option in named]
    if sum(map(len, told)) > MOST_SHOWN:
        told = [_told(tool_option, _SHORT) for tool_option in named]
    shown: dict[str, ToolOption] = {}
    room = MOST_SHOWN
    for tool_option, text in zip(named, told, strict=True):
        room -= len(text)
        if room >= 0:
            shown[tool_option.name] = tool_option
    if left_out := [name for name in by_name if name not in shown]:
        log.warning("too much for a model to read, so it cannot ask: %s", ", ".join(left_out))
    text = "\n\n".join(told[: len(shown)])
    return Offer(shown, text, mark_for(text))


def _told(tool_option: ToolOption, length: _Length) -> str:
    does = as_data(plain(tool_option.does))[: length.does]
    schema = json.dumps(
        _shown(tool_option.schema, length.describes, _MOST_DEPTH), ensure_ascii=False, default=str
    )
    return f"{tool_option.name}: {does}\narguments: {as_data(schema)[: length.schema]}"


def _shown(node: Any, describes: bool, depth: int) -> Any:
    """A schema without what only programs want, within bounds of size and depth."""
    match node:
        case dict() if depth:
            return {
                str(key)[:_MOST_TEXT]: _entries(key, part, describes, depth - 1)
                for key, part in list(node.items())[:_MOST_ENTRIES]
                if key not in _FOR_PROGRAMS and (describes or key != "description")
            }
        case list() if depth:
            return [_shown(part, describes, depth - 1) for part in node[:_MOST_ENTRIES]]
        case str():
            return node[:_MOST_TEXT]
        case bool() | int() | float() | None:
            return node
        case _:
            return "…"


def _entries(key: str, part: Any, describes: bool, depth: int) -> Any:
    """What stands under a keyword. Names of arguments are no keywords: one may be called title."""
    if key in _OF_NAMES and isinstance(part, dict):
        some = list(part.items())[:_MOST_ENTRIES]
        return {str(name)[:_MOST_TEXT]: _shown(one, describes, depth) for name, one in some}
    return _shown(part, describes, depth)
