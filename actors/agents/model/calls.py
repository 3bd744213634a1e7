"""The tool_options that a model would ask beside the library, and what of that is taken.

Rule: only who was offered is asked, only with arguments that its schema allows, and within bounds.
A call that cannot be taken is left out and said to be wrong; it never costs the plan. Whom a question
will do for is asked that, if only the arguments are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, create_model

from actors.agents.extractive.planning import MAX_QUESTIONS, MAX_TOOL_CALLS
from actors.agents.model.offer import Offer
from actors.agents.model.proposal import ProposedPlan
from actors.tasks.tool_options import ToolChoice, ToolOption

MOST_ARGUMENTS = 4_000
"""Bytes of the arguments of one call, as JSON."""
MOST_DEPTH = 8
_MOST_WRITTEN = 1_000
"""Characters that a model may write for the arguments of a call, where that is enforced."""
_MOST_TOLD = 200

Check = Callable[[ToolOption, Mapping[str, Any]], Awaitable[str]]
"""What is wrong with these arguments for this tool_option, in words; nothing if it can be asked them."""


def _calls(value: Any) -> list[Any]:
    """What can be a call at all: a plan is not refused for what else a model writes here."""
    several = value if isinstance(value, list) else []
    found = [_NOTHING | one for one in several if isinstance(one, dict)]
    return found[:MAX_TOOL_CALLS]


_NOTHING = {"question": None, "tool": None, "arguments": None}
_NUMBER = {"type": "integer", "enum": list(range(1, MAX_QUESTIONS + 1))}
_TEXT = {
    "type": "string",
    "maxLength": _MOST_WRITTEN,
    "description": "The arguments as a JSON object.",
}


class ProposedCall(BaseModel):
    """A tool_option that is asked for one of the questions. The types are for the model; we check."""

    question: Annotated[Any, WithJsonSchema(_NUMBER)]
    tool: Any
    arguments: Annotated[Any, WithJsonSchema(_TEXT)]


class PlanWithCalls(ProposedPlan):
    """The shape that a model is asked for when it may ask tool_options, too; see `plan_with_calls`."""

    calls: list[Any] = Field(default_factory=list)


@lru_cache(maxsize=16)
def plan_with_calls(names: tuple[str, ...]) -> type[PlanWithCalls]:
    """The shape with the names of those on offer, so that a server that enforces it takes no other."""
    tool = Annotated[Any, WithJsonSchema({"type": "string", "enum": list(names)})]
    call: Any = create_model(ProposedCall.__name__, __base__=ProposedCall, tool=(tool, ...))
    calls = Annotated[list[call], BeforeValidator(_calls)]
    bounded: Any = Field(default_factory=list, max_length=MAX_TOOL_CALLS)
    return create_model(PlanWithCalls.__name__, __base__=PlanWithCalls, calls=(calls, bounded))


@dataclass(frozen=True, slots=True)
class Taken:
    """The calls that can be made, and what is wrong with the others."""

    chosen: tuple[ToolChoice, ...] = ()
    wrong: tuple[str, ...] = ()


class _Unusable(ValueError):
    """A call cannot be taken; the message says why."""


async def taken(
    proposed: ProposedPlan, places: Sequence[int | None], offer: Offer, check: Check
) -> Taken:
    """Look at each call that is proposed. `places` says where each proposed question has gone."""
    chosen: dict[tuple[int, str, str], ToolChoice] = {}
    wrong: list[str] = []
    for call in proposed.calls if isinstance(proposed, PlanWithCalls) else ():
        try:
            place, tool_option = _for_whom(call, places, offer)
            arguments = await _checked(tool_option, call.arguments, check)
        except _Unusable as why:
            wrong.append(str(why)[:_MOST_TOLD])
        else:
            same = place, tool_option.name, json.dumps(arguments, sort_keys=True)
            chosen.setdefault(same, ToolChoice(place, tool_option, arguments))
    return Taken(tuple(chosen.values()), tuple(dict.fromkeys(wrong)))


def _for_whom(
    call: ProposedCall, places: Sequence[int | None], offer: Offer
) -> tuple[int, ToolOption]:
    """The place of the question, and who is to be asked."""
    tool_option = offer.tool_options.get(call.tool) if isinstance(call.tool, str) else None
    if tool_option is None:
        raise _Unusable(
            f"There is no tool {call.tool!r}. There are: {', '.join(offer.tool_options)}."
        )
    number = call.question
    if isinstance(number, bool) or not (isinstance(number, int) and 1 <= number <= len(places)):
        raise _Unusable(f"There is no question {number!r} for {tool_option.name}.")
    place = places[number - 1]
    if place is None:
        raise _Unusable(f"Question {number} for {tool_option.name} cannot be used.")
    return place, tool_option


async def _checked(tool_option: ToolOption, given: Any, check: Check) -> dict[str, Any] | None:
    """The arguments; None for unusable ones of a tool_option for which the question will do."""
    try:
        arguments = _arguments(tool_option, given)
        if fault := await check(tool_option, arguments):
            raise _Unusable(fault)
    except _Unusable:
        if tool_option.argument is None:
            raise
        return None
    return arguments


def _arguments(tool_option: ToolOption, given: Any) -> dict[str, Any]:
    """An object that can be stored and sent, whether it came as text or as it is."""
    try:
        value = json.loads(given) if isinstance(given, str) else given
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):  # Lone halves of pairs, NaN and endless numbers, too.
        raise _Unusable(f"The arguments for {tool_option.name} are not JSON.") from None
    if not isinstance(value, dict):
        raise _Unusable(f"The arguments for {tool_option.name} are not a JSON object.")
    if size > MOST_ARGUMENTS or _depth(value) > MOST_DEPTH:
        raise _Unusable(f"The arguments for {tool_option.name} are too large.")
    return value


def _depth(value: Any) -> int:
    """How deep it is nested; it may be counted no further than `MOST_DEPTH` + 1."""
    depth, level = 0, [value]
    while level and depth <= MOST_DEPTH:
        depth += 1
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [part for one in inner for part in one if isinstance(part, dict | list)]
    return depth
