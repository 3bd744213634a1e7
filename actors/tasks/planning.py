"""Assemble a plan from its questions: step ids, dependencies, searches and tool calls.

Rule: pure and deterministic. The same questions and tools give the same plan, whoever found them,
within the bounds below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.tasks.plan import ANALYSIS, Plan, PlannedStep, Question
from actors.tasks.tool_options import ToolChoice, ToolOption, spelled
from actors.tasks.words import term_set

MAX_QUESTIONS = 8
"""Questions of a plan."""

MAX_TOOL_CALLS = 16
"""Tool calls of a plan, over all questions."""

MAX_HEADING, MAX_QUERY, MAX_CONTEXT = 160, 1_000, 400
"""Characters of a question as people read it, as it is searched, and of its context."""


_ToolCalls = tuple[tuple[Question, ToolOption], ...]


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question that has no step id yet.

    `query` is what is searched, the text itself if it is empty. `context` is text whose terms narrow
    the search down; `sides` are the things that the question compares.
    """

    text: str
    query: str = ""
    context: str = ""
    sides: tuple[str, ...] = ()


def assemble_plan(
    drafts: Sequence[QuestionDraft],
    tool_options: tuple[ToolOption, ...] = (),
    choices: Sequence[ToolChoice] | None = None,
) -> Plan:
    """The plan that searches for these questions, at most `MAX_QUESTIONS` of them.

    `choices` are the tool calls that a model has chosen; None if no model made the plan.
    """
    questions = tuple(
        Question(
            f"s{number}",
            _shortened(draft.text, MAX_HEADING),
            _shortened(draft.query or draft.text, MAX_QUERY),
            context=_shortened(draft.context, MAX_CONTEXT),
            sides=draft.sides,
        )
        for number, draft in enumerate(drafts[:MAX_QUESTIONS], start=2)
    )
    calls = _tool_calls(questions, tool_options, choices)
    steps = _steps(questions, calls)
    return Plan(steps, (*questions, *(question for question, _ in calls)))


def _shortened(text: str, most: int) -> str:
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    return f"{line[: most - 2].rsplit(' ', 1)[0].rstrip(' ,;:')} …"


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
        if (option.argument or not option.listed)
        and not (option.left_to_model and choices is not None)
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
    terms = term_set((question.text, question.query))
    return not option.when or any(not terms.isdisjoint(term_set([word])) for word in option.when)


def _steps(questions: tuple[Question, ...], calls: _ToolCalls) -> tuple[PlannedStep, ...]:
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
            f"Choose what answers {subject}",
            retrievals,
        ),
        PlannedStep(
            writing,
            "writing",
            "writer",
            "Write the report, each excerpt with its source",
            (synthesis,),
        ),
    )


def _call_described(option: ToolOption, question: Question) -> str:
    """The description of a tool call, with its arguments unless they are the question's text."""
    line = f"Ask {option.name} about: {question.text}"
    if question.arguments == option.arguments(question):
        return line
    return f"{line} ({spelled(question.arguments)})"
