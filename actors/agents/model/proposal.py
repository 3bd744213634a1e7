"""What a language model proposes for a plan, and the checks of it.

Rule: a model proposes questions, search terms and tool calls, nothing else; steps, ids and
dependencies are made by `assemble_plan`. The person's task is always the first question. Questions are
cleaned, and refused if nothing is left; one that nearly equals another is dropped. A
call is accepted only for a tool of the catalog, with arguments that its schema allows, and within
bounds. A call that is not accepted is left out and reported; it never costs the plan. If a call
fails only because its arguments are invalid, and the tool takes one text, the question's text is
its argument instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    create_model,
)

from actors.agents.model.markup import plain
from actors.agents.model.prompts import ToolCatalog
from actors.tasks.planning import MAX_QUESTIONS, MAX_TOOL_CALLS, QuestionDraft
from actors.tasks.tool_options import ToolChoice, ToolOption
from actors.tasks.words import telling_terms

MOST_QUESTION = 200
"""Characters of a question."""
MOST_SEARCH = 100
"""Characters of the words to search for."""
MOST_WORD = 40
MOST_ARGUMENTS = 4_000
"""Bytes of the arguments of one call, as JSON."""
MOST_DEPTH = 8
"""Levels of nested arguments."""

NEARLY_EQUAL = 0.8
"""The share of the terms of two questions that both have, from which on they are one question."""

_FEWEST_LETTERS = 3
_MOST_WRITTEN = 1_000
"""Characters of a call's arguments, for servers that enforce a schema."""
_MOST_REASON = 200
_LEADING = re.compile(
    r"^(?:[#>*+•\-\s]+|\(?\d{1,3}[.)]\s+|(?:question|q)\s*\d*\s*[:.)]\s*)+", re.IGNORECASE
)

ArgumentCheck = Callable[[ToolOption, Mapping[str, Any]], Awaitable[str]]
"""What is wrong with these arguments for this tool, in words; empty if it can be called."""


# --- questions ------------------------------------------------------------------------------------


class ProposedQuestion(BaseModel):
    """One thing to find out."""

    question: Annotated[str, StringConstraints(min_length=3, max_length=MOST_QUESTION)]
    search: Annotated[str, StringConstraints(max_length=MOST_SEARCH)] = ""


class ProposedPlan(BaseModel):
    """The shape of a model's answer."""

    questions: Annotated[list[ProposedQuestion], Field(min_length=1, max_length=MAX_QUESTIONS)]


@dataclass(frozen=True, slots=True)
class AcceptedQuestions:
    """The task, then the questions that can be used, each once, in their order.

    `places` has for each proposed question its index among them, None for an unusable one.
    """

    questions: tuple[QuestionDraft, ...]
    places: tuple[int | None, ...]

    @property
    def usable(self) -> bool:
        """Whether any of the proposed questions can be used."""
        return any(place is not None for place in self.places)


def accept_questions(proposed: ProposedPlan, task: QuestionDraft) -> AcceptedQuestions:
    """Clean the proposed questions; leave out those that are empty, or equal to others or the task.

    The words to search for of a question that is left out are the context of the one that stays. Past `MAX_QUESTIONS`, a question is left out, and its place is the task's.
    """
    accepted = [task]
    of_terms = [frozenset(telling_terms(task.text))]
    places: list[int | None] = []
    for question in proposed.questions[:MAX_QUESTIONS]:
        text = _cleaned(question.question, MOST_QUESTION)
        searched = _cleaned(question.search, MOST_SEARCH)
        if sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
            places.append(None)
            continue
        terms = frozenset(telling_terms(text))
        place = next((n for n, other in enumerate(of_terms) if _nearly_equal(terms, other)), None)
        if place is not None:
            known = accepted[place]
            accepted[place] = replace(known, context=f"{known.context} {searched}".strip())
        elif len(accepted) < MAX_QUESTIONS:
            place = len(accepted)
            accepted.append(QuestionDraft(text, f"{text} {searched}".strip()))
            of_terms.append(terms)
        places.append(place or 0)
    return AcceptedQuestions(tuple(accepted), tuple(places))


def _nearly_equal(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= NEARLY_EQUAL * len(one | other)


def _cleaned(text: str, most: int) -> str:
    """One line of text without markup, list markers and citations."""
    line = plain(text[: 2 * most]).replace("*", "").replace("|", " ")
    return " ".join(_LEADING.sub("", line)[:most].split())


# --- tool calls -----------------------------------------------------------------------------------


def _dicts(value: Any) -> list[Any]:
    """The values that may be calls; others are ignored, so that they do not cost the plan."""
    several = value if isinstance(value, list) else []
    found = [_NOTHING | one for one in several if isinstance(one, dict)]
    return found[:MAX_TOOL_CALLS]


_NOTHING = {"question": None, "tool": None, "arguments": None}
_NUMBER = {"type": "integer", "enum": list(range(1, MAX_QUESTIONS + 1))}
_ARGUMENTS = {
    "type": "string",
    "maxLength": _MOST_WRITTEN,
    "description": "The arguments as a JSON object.",
}


class ProposedCall(BaseModel):
    """A call of a tool for one of the questions. The schema is for the model; `check_calls` checks."""

    question: Annotated[Any, WithJsonSchema(_NUMBER)]
    tool: Any
    arguments: Annotated[Any, WithJsonSchema(_ARGUMENTS)]


class PlanWithCalls(ProposedPlan):
    """The shape of an answer that may call tools; see `plan_with_calls`."""

    calls: list[Any] = Field(default_factory=list)


@lru_cache(maxsize=16)
def plan_with_calls(names: tuple[str, ...]) -> type[PlanWithCalls]:
    """The shape with the names of these tools, so that a server that enforces it allows no other."""
    tool = Annotated[Any, WithJsonSchema({"type": "string", "enum": list(names)})]
    call: Any = create_model(ProposedCall.__name__, __base__=ProposedCall, tool=(tool, ...))
    calls = Annotated[list[call], BeforeValidator(_dicts)]
    bounded: Any = Field(default_factory=list, max_length=MAX_TOOL_CALLS)
    return create_model(PlanWithCalls.__name__, __base__=PlanWithCalls, calls=(calls, bounded))


@dataclass(frozen=True, slots=True)
class CheckedCalls:
    """The calls that can be made, and what is wrong with the others."""

    choices: tuple[ToolChoice, ...] = ()
    wrong: tuple[str, ...] = ()


class _UnusableCall(ValueError):
    """A call cannot be accepted; the message says why."""


async def check_calls(
    proposed: ProposedPlan,
    places: Sequence[int | None],
    tools: ToolCatalog,
    check_arguments: ArgumentCheck,
) -> CheckedCalls:
    """Check each proposed call. `places` are those of `AcceptedQuestions`."""
    choices: dict[tuple[int, str, str], ToolChoice] = {}
    wrong: list[str] = []
    for call in proposed.calls if isinstance(proposed, PlanWithCalls) else ():
        try:
            place, option = _target(call, places, tools)
            arguments = await _checked(option, call.arguments, check_arguments)
        except _UnusableCall as why:
            wrong.append(str(why)[:_MOST_REASON])
        else:
            same = place, option.name, json.dumps(arguments, sort_keys=True)
            choices.setdefault(same, ToolChoice(place, option, arguments))
    return CheckedCalls(tuple(choices.values()), tuple(dict.fromkeys(wrong)))


def _target(
    call: ProposedCall, places: Sequence[int | None], tools: ToolCatalog
) -> tuple[int, ToolOption]:
    """The index of the question, and the tool to call."""
    option = tools.tool_options.get(call.tool) if isinstance(call.tool, str) else None
    if option is None:
        known = ", ".join(tools.tool_options)
        raise _UnusableCall(f"There is no tool {call.tool!r}. There are: {known}.")
    number = call.question
    if isinstance(number, bool) or not (isinstance(number, int) and 1 <= number <= len(places)):
        raise _UnusableCall(f"There is no question {number!r} for {option.name}.")
    place = places[number - 1]
    if place is None:
        raise _UnusableCall(f"Question {number} for {option.name} cannot be used.")
    return place, option


async def _checked(
    option: ToolOption, given: Any, check_arguments: ArgumentCheck
) -> dict[str, Any] | None:
    """The arguments; None for invalid ones of a tool that can be called with the question's text."""
    try:
        arguments = _arguments(option, given)
        if fault := await check_arguments(option, arguments):
            raise _UnusableCall(fault)
    except _UnusableCall:
        if option.argument is None:
            raise
        return None
    return arguments


def _arguments(option: ToolOption, given: Any) -> dict[str, Any]:
    """An object that can be stored and sent, from an object or from its JSON."""
    try:
        value = json.loads(given) if isinstance(given, str) else given
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):  # ValueError: lone surrogates, NaN, endless numbers, too.
        raise _UnusableCall(f"The arguments for {option.name} are not JSON.") from None
    if not isinstance(value, dict):
        raise _UnusableCall(f"The arguments for {option.name} are not a JSON object.")
    if size > MOST_ARGUMENTS or _depth(value) > MOST_DEPTH:
        raise _UnusableCall(f"The arguments for {option.name} are too large.")
    return value


def _depth(value: Any) -> int:
    """How deep it is nested, counted up to `MOST_DEPTH` + 1."""
    depth, level = 0, [value]
    while level and depth <= MOST_DEPTH:
        depth += 1
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [part for one in inner for part in one if isinstance(part, dict | list)]
    return depth
