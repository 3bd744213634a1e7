"""From a task's text to its plan.

Rule: the same text gives the same plan, on any machine. Any text gives a valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.agents.extractive.clauses import Clause, clauses
from actors.agents.extractive.intents import intents
from actors.agents.extractive.questions import Draft, questions
from actors.agents.extractive.words import stems
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.plan import ANALYSIS, Plan, PlannedStep, Question
from actors.tasks.tool_options import ToolChoice, ToolOption, spelled

MAX_QUESTIONS = 8
"""Questions of a plan. Past it, the last one searches for the words of all that are left."""

MAX_TOOL_CALLS = 16
"""Times that tool_options are asked, in all."""

_MAX_WORDS = 32
_MAX_ASIDE = 12
_MAX_HEADING = 160


def plan(task_description: str, about: str = "") -> Plan:
    """The plan of a task: its analysis, a search for each question, the weighing, the writing.

    `about` is the description of a task that it follows up, and may lean on.
    """
    return at_once(planned(task_description, about))


def planned(
    task_description: str, about: str = "", tool_options: tuple[ToolOption, ...] = ()
) -> Cooperative[Plan]:
    """`plan`, in slices. Of the `tool_options` those are asked that are for a question, with its text."""
    before = yield from _listed(about)
    found = yield from _listed(task_description)
    drafts = _capped((yield from questions(found, before)))
    drafts = drafts or [Draft(" ".join(task_description.split()) or "(an empty task)", ())]
    kinds = yield from intents(clause.text for clause in found)
    return plan_of(drafts, kinds, tool_options)


def plan_of(
    drafts: Sequence[Draft],
    kinds: tuple[str, ...],
    tool_options: tuple[ToolOption, ...] = (),
    chosen: Sequence[ToolChoice] | None = None,
) -> Plan:
    """The plan that searches these questions, whoever has asked them; at most `MAX_QUESTIONS`.

    `chosen` are the calls of a model that has made the plan, None if none has.
    """
    asked = tuple(
        Question(
            f"s{number}",
            _heading(draft.text),
            " ".join(draft.words[:_MAX_WORDS]),
            aside=" ".join(draft.aside[:_MAX_ASIDE]),
        )
        for number, draft in enumerate(drafts, start=2)
    )
    further = _further(asked, tool_options, chosen)
    return Plan(_steps(asked, further, kinds), (*asked, *(q for q, _ in further)), kinds)


def _listed(text: str) -> Cooperative[list[Clause]]:
    found: list[Clause] = []
    for clause in clauses(text):
        found.append(clause)
        yield
    return found


Further = tuple[tuple[Question, ToolOption], ...]


def _further(
    asked: tuple[Question, ...],
    tool_options: tuple[ToolOption, ...],
    chosen: Sequence[ToolChoice] | None,
) -> Further:
    """What the tool_options are asked: each question that one is for, and what a model has chosen.

    A model's call takes the place of the same tool_option's on the same question, as it was made for it.
    """
    calls = [
        (
            question,
            one.tool_option,
            given if given is not None else one.tool_option.arguments(question),
        )
        for one in chosen or ()
        for question, given in [(asked[one.question], one.arguments)]
    ]
    called = {(q.step_id, h.name) for q, h, _ in calls}
    due = [h for h in tool_options if h.argument and not (h.left_to_model and chosen is not None)]
    wanted = [
        (q, h, h.arguments(q))
        for q in asked
        for h in due
        if _is_for(h, q) and (q.step_id, h.name) not in called
    ]
    return tuple(
        (Question(f"s{number}", q.text, q.query, q.step_id, arguments), h)
        for number, (q, h, arguments) in enumerate(
            (wanted + calls)[:MAX_TOOL_CALLS], len(asked) + 2
        )
    )


def _is_for(tool_option: ToolOption, question: Question) -> bool:
    said = {*stems(question.text), *stems(question.query)}
    return not tool_option.when or any(
        not said.isdisjoint(stems(word)) for word in tool_option.when
    )


def _steps(
    asked: tuple[Question, ...], further: Further, kinds: tuple[str, ...]
) -> tuple[PlannedStep, ...]:
    searches = tuple(q.step_id for q in (*asked, *(q for q, _ in further)))
    weigh, write = f"s{len(searches) + 2}", f"s{len(searches) + 3}"
    needs = (ANALYSIS.step_id,)
    things = "the question" if len(asked) == 1 else f"the {len(asked)} questions"
    return (
        ANALYSIS,
        *(
            PlannedStep(q.step_id, "retrieval", "retriever", f"Find passages on: {q.text}", needs)
            for q in asked
        ),
        *(PlannedStep(q.step_id, "retrieval", h.name, _asking(h, q), needs) for q, h in further),
        PlannedStep(
            weigh,
            "synthesis",
            "analyzer",
            f"Synthesize the passages found on {things} ({', '.join(kinds)})",
            searches,
        ),
        PlannedStep(
            write, "writing", "writer", "Write the report, each sentence with its source", (weigh,)
        ),
    )


def _asking(tool_option: ToolOption, question: Question) -> str:
    """What a step does that asks a tool_option; with the arguments, if they are not the question."""
    line = f"Ask {tool_option.name} about: {question.text}"
    if question.arguments == tool_option.arguments(question):
        return line
    return f"{line} ({spelled(question.arguments)})"


def _capped(drafts: list[Draft]) -> list[Draft]:
    if len(drafts) <= MAX_QUESTIONS:
        return drafts
    kept, rest = drafts[: MAX_QUESTIONS - 1], drafts[MAX_QUESTIONS - 1 :]
    text = "Further: " + "; ".join(draft.text.rstrip("?.") for draft in rest)
    return [*kept, Draft(text, _in_turns([draft.words for draft in rest]))]


def _in_turns(lists: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The first words of each, then the second words: a cut at any length treats them alike."""
    longest = max(len(entry) for entry in lists)
    turns: Iterable[str] = (
        entry[place] for place in range(longest) for entry in lists if place < len(entry)
    )
    return tuple(dict.fromkeys(turns))


def _heading(text: str) -> str:
    if len(text) <= _MAX_HEADING:
        return text
    return text[:_MAX_HEADING].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"
