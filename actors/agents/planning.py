"""From a task's text to its plan.

Rule: the same text gives the same plan, on any machine. Any text gives a valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.agents.clauses import Clause, clauses
from actors.agents.intents import intents
from actors.agents.questions import Draft, questions
from actors.agents.slices import Sliced, at_once
from actors.tasks.plan import ANALYSIS, Plan, PlannedStep, Question

MAX_QUESTIONS = 8
"""Questions of a plan. Past it, the last one searches for the words of all that are left."""

_MAX_WORDS = 32
_MAX_HEADING = 160


def plan(task_description: str) -> Plan:
    """The plan of a task: its analysis, a search for each question, the weighing, the writing."""
    return at_once(planned(task_description))


def planned(task_description: str) -> Sliced[Plan]:
    """`plan`, in slices."""
    found: list[Clause] = []
    for clause in clauses(task_description):
        found.append(clause)
        yield
    drafts = _capped((yield from questions(found)))
    drafts = drafts or [Draft(" ".join(task_description.split()) or "(an empty task)", ())]
    kinds = yield from intents(clause.text for clause in found)
    return plan_of(drafts, kinds)


def plan_of(drafts: Sequence[Draft], kinds: tuple[str, ...]) -> Plan:
    """The plan that searches these questions, whoever has asked them; at most `MAX_QUESTIONS`."""
    asked = tuple(
        Question(f"s{number}", _heading(draft.text), " ".join(draft.words[:_MAX_WORDS]))
        for number, draft in enumerate(drafts, start=2)
    )
    return Plan(steps=_steps(asked, kinds), questions=asked, intents=kinds)


def _steps(asked: tuple[Question, ...], kinds: tuple[str, ...]) -> tuple[PlannedStep, ...]:
    weigh, write = f"s{len(asked) + 2}", f"s{len(asked) + 3}"
    searches = tuple(question.step_id for question in asked)
    needs = (ANALYSIS.step_id,)
    things = "the question" if len(asked) == 1 else f"the {len(asked)} questions"
    return (
        ANALYSIS,
        *(
            PlannedStep(q.step_id, "retrieval", "retriever", f"Find passages on: {q.text}", needs)
            for q in asked
        ),
        PlannedStep(
            weigh,
            "synthesis",
            "analyzer",
            f"Weigh the passages found on {things} ({', '.join(kinds)})",
            searches,
        ),
        PlannedStep(
            write, "writing", "writer", "Write the report, each sentence with its source", (weigh,)
        ),
    )


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
