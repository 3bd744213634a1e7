"""From a task's text to its plan.

Rule: the same text gives the same plan, on any machine. Any text gives a valid one.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.agents.extractive.clauses import Clause, clauses
from actors.agents.extractive.intents import intents
from actors.agents.extractive.questions import questions
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.plan import Plan
from actors.tasks.planning import MAX_QUESTIONS, QuestionDraft, assemble_plan
from actors.tasks.tool_options import ToolOption


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
    drafts = drafts or [QuestionDraft(" ".join(task_description.split()) or "(an empty task)", ())]
    kinds = yield from intents(clause.text for clause in found)
    return assemble_plan(drafts, kinds, tool_options)


def _listed(text: str) -> Cooperative[list[Clause]]:
    found: list[Clause] = []
    for clause in clauses(text):
        found.append(clause)
        yield
    return found


def _capped(drafts: list[QuestionDraft]) -> list[QuestionDraft]:
    if len(drafts) <= MAX_QUESTIONS:
        return drafts
    kept, rest = drafts[: MAX_QUESTIONS - 1], drafts[MAX_QUESTIONS - 1 :]
    text = "Further: " + "; ".join(draft.text.rstrip("?.") for draft in rest)
    return [*kept, QuestionDraft(text, _in_turns([draft.query_terms for draft in rest]))]


def _in_turns(lists: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The first words of each, then the second words: a cut at any length treats them alike."""
    longest = max(len(entry) for entry in lists)
    turns: Iterable[str] = (
        entry[place] for place in range(longest) for entry in lists if place < len(entry)
    )
    return tuple(dict.fromkeys(turns))
