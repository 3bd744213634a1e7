"""From a task's text to its plan.

Rule: the same text gives the same plan, on any machine. Any text gives a valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.agents.clauses import Clause, clauses
from actors.agents.intents import intents
from actors.agents.questions import Draft, questions
from actors.agents.slices import Sliced, at_once
from actors.agents.words import stems
from actors.tasks.plan import ANALYSIS, Helper, Plan, PlannedStep, Question

MAX_QUESTIONS = 8
"""Questions of a plan. Past it, the last one searches for the words of all that are left."""

MAX_HELPED = 16
"""Times that helpers are asked, in all."""

_MAX_WORDS = 32
_MAX_ASIDE = 12
_MAX_HEADING = 160


def plan(task_description: str, about: str = "") -> Plan:
    """The plan of a task: its analysis, a search for each question, the weighing, the writing.

    `about` is the description of a task that it follows up, and may lean on.
    """
    return at_once(planned(task_description, about))


def planned(
    task_description: str, about: str = "", helpers: tuple[Helper, ...] = ()
) -> Sliced[Plan]:
    """`plan`, in slices. Of the `helpers` those are asked that are for a question, with its text."""
    before = yield from _listed(about)
    found = yield from _listed(task_description)
    drafts = _capped((yield from questions(found, before)))
    drafts = drafts or [Draft(" ".join(task_description.split()) or "(an empty task)", ())]
    kinds = yield from intents(clause.text for clause in found)
    return plan_of(drafts, kinds, helpers)


def plan_of(
    drafts: Sequence[Draft], kinds: tuple[str, ...], helpers: tuple[Helper, ...] = ()
) -> Plan:
    """The plan that searches these questions, whoever has asked them; at most `MAX_QUESTIONS`."""
    asked = tuple(
        Question(
            f"s{number}",
            _heading(draft.text),
            " ".join(draft.words[:_MAX_WORDS]),
            aside=" ".join(draft.aside[:_MAX_ASIDE]),
        )
        for number, draft in enumerate(drafts, start=2)
    )
    further = _further(asked, helpers)
    return Plan(_steps(asked, further, kinds), (*asked, *(q for q, _ in further)), kinds)


def _listed(text: str) -> Sliced[list[Clause]]:
    found: list[Clause] = []
    for clause in clauses(text):
        found.append(clause)
        yield
    return found


Further = tuple[tuple[Question, Helper], ...]


def _further(asked: tuple[Question, ...], helpers: tuple[Helper, ...]) -> Further:
    """What the helpers are asked: each question that one is for."""
    wanted = [(q, h) for q in asked for h in helpers if h.argument and _is_for(h, q)]
    return tuple(
        (Question(f"s{number}", q.text, q.query, q.step_id, h.arguments(q)), h)
        for number, (q, h) in enumerate(wanted[:MAX_HELPED], start=len(asked) + 2)
    )


def _is_for(helper: Helper, question: Question) -> bool:
    said = {*stems(question.text), *stems(question.query)}
    return not helper.when or any(not said.isdisjoint(stems(word)) for word in helper.when)


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
        *(
            PlannedStep(q.step_id, "retrieval", h.name, f"Ask {h.name} about: {q.text}", needs)
            for q, h in further
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
