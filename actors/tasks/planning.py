"""Assemble a plan from its questions: step ids, dependencies, searches and tool calls.

Rule: pure and deterministic. Whoever found the questions, the same questions, intents and tools
give the same plan, within the bounds below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from actors.tasks.plan import ANALYSIS, Plan, PlannedStep, Question
from actors.tasks.tool_options import ToolChoice, ToolOption, spelled
from actors.tasks.words import stems

MAX_QUESTIONS = 8
"""Questions of a plan."""

MAX_TOOL_CALLS = 16
"""Tool calls of a plan, over all questions."""

_MAX_QUERY_TERMS = 32
_MAX_CONTEXT_TERMS = 12
_MAX_HEADING = 160

_AUXILIARY = (
    r"(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have|happens?|changed|"
    r"makes?)\b"
)
_IS_QUESTION = re.compile(
    rf"(?:\w+ )?(?:how|why|when|where|who)(?: and (?:how|why|when|where))?(?: (?:many|much|long|"
    rf"often|far|fast|big|large|small|soon)(?: \w+)?)? {_AUXILIARY}"
    rf"|(?:\w+ )?(?:what|which|whose)(?: (?!an?\b|the\b)\w+){{0,3}}? {_AUXILIARY}|{_AUXILIARY}",
    re.IGNORECASE,
)
_PLAIN_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*[,:?]?(?=\s|$)")

_ToolCalls = tuple[tuple[Question, ToolOption], ...]


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question that has no step id yet: the text for people, and the terms to search for.

    `context_terms` narrow the search down and are no part of the question.
    """

    text: str
    query_terms: tuple[str, ...]
    context_terms: tuple[str, ...] = ()


def assemble_plan(
    drafts: Sequence[QuestionDraft],
    intents: tuple[str, ...],
    tool_options: tuple[ToolOption, ...] = (),
    choices: Sequence[ToolChoice] | None = None,
) -> Plan:
    """The plan that searches for these questions, at most `MAX_QUESTIONS` of them.

    `choices` are the tool calls that a model has chosen; None if no model made the plan.
    """
    questions = tuple(
        Question(
            f"s{number}",
            _shortened(draft.text),
            " ".join(draft.query_terms[:_MAX_QUERY_TERMS]),
            aside=" ".join(draft.context_terms[:_MAX_CONTEXT_TERMS]),
        )
        for number, draft in enumerate(drafts, start=2)
    )
    calls = _tool_calls(questions, tool_options, choices)
    steps = _steps(questions, calls, intents)
    return Plan(steps, (*questions, *(question for question, _ in calls)), intents)


def as_heading(text: str) -> str:
    """A question as a heading: a capital first, a question mark if it is one, no full stop."""
    bare = text.strip().rstrip(" .;,:!?？") or text.strip()
    is_name = not _PLAIN_WORD.match(bare)  # os.path and sqlite3 keep their lower-case letter.
    heading = bare if is_name else bare[:1].upper() + bare[1:]
    return f"{heading}?" if _IS_QUESTION.match(bare) else heading


def _shortened(text: str) -> str:
    if len(text) <= _MAX_HEADING:
        return text
    return text[:_MAX_HEADING].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def _tool_calls(
    questions: tuple[Question, ...],
    tool_options: tuple[ToolOption, ...],
    choices: Sequence[ToolChoice] | None,
) -> _ToolCalls:
    """Each question with each tool that is for it, then the calls that a model has chosen.

    If a model chose a tool for a question, its call replaces the default call of that tool.
    """
    chosen = [
        (question, choice.tool_option, choice.arguments)
        for choice in choices or ()
        for question in [questions[choice.question]]
    ]
    replaced = {(question.step_id, option.name) for question, option, _ in chosen}
    by_default = [
        option
        for option in tool_options
        if option.argument and not (option.left_to_model and choices is not None)
    ]
    default = [
        (question, option, None)
        for question in questions
        for option in by_default
        if _is_for(option, question) and (question.step_id, option.name) not in replaced
    ]
    numbered = enumerate([*default, *chosen][:MAX_TOOL_CALLS], len(questions) + 2)
    return tuple(
        (
            Question(
                f"s{number}",
                question.text,
                question.query,
                question.step_id,
                option.arguments(question) if arguments is None else arguments,
            ),
            option,
        )
        for number, (question, option, arguments) in numbered
    )


def _is_for(option: ToolOption, question: Question) -> bool:
    terms = {*stems(question.text), *stems(question.query)}
    return not option.when or any(not terms.isdisjoint(stems(word)) for word in option.when)


def _steps(
    questions: tuple[Question, ...], calls: _ToolCalls, intents: tuple[str, ...]
) -> tuple[PlannedStep, ...]:
    retrievals = tuple(q.step_id for q in (*questions, *(q for q, _ in calls)))
    synthesis, writing = f"s{len(retrievals) + 2}", f"s{len(retrievals) + 3}"
    needs = (ANALYSIS.step_id,)
    subject = "the question" if len(questions) == 1 else f"the {len(questions)} questions"
    return (
        ANALYSIS,
        *(
            PlannedStep(q.step_id, "retrieval", "retriever", f"Find passages on: {q.text}", needs)
            for q in questions
        ),
        *(
            PlannedStep(q.step_id, "retrieval", option.name, _call_described(option, q), needs)
            for q, option in calls
        ),
        PlannedStep(
            synthesis,
            "synthesis",
            "analyzer",
            f"Synthesize the passages found on {subject} ({', '.join(intents)})",
            retrievals,
        ),
        PlannedStep(
            writing,
            "writing",
            "writer",
            "Write the report, each sentence with its source",
            (synthesis,),
        ),
    )


def _call_described(option: ToolOption, question: Question) -> str:
    """The description of a tool call, with its arguments unless they are the question's text."""
    line = f"Ask {option.name} about: {question.text}"
    if question.arguments == option.arguments(question):
        return line
    return f"{line} ({spelled(question.arguments)})"
