"""From evidence to findings: a short answer, then a section for each question.

Rule: nothing is chosen to fill a section. One that has no findings says why: its question stands in
the answer, or the library has nothing on it.
"""

from __future__ import annotations

from actors.agents.extractive.answering import answer
from actors.agents.extractive.choosing import Choice, in_reading_order
from actors.agents.extractive.intents import BY_EXAMPLE
from actors.agents.extractive.ranking import Key, Ranked, answers
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.evidence import Evidence, Finding, Findings, Passage, Section
from actors.tasks.plan import Plan

MAX_FINDINGS = 5
"""Sentences of a section."""


def weigh(plan: Plan, evidence: tuple[Evidence, ...]) -> Findings:
    """What the evidence says on the plan's questions."""
    return at_once(weighed(plan, evidence))


def weighed(plan: Plan, evidence: tuple[Evidence, ...]) -> Cooperative[Findings]:
    """`weigh`, in slices."""
    found = yield from answers(plan, evidence)
    choice, cited = Choice(), _Cited(plan.intents)
    opening = yield from answer(found, plan.intents, choice)
    short_answer = cited.findings(in_reading_order(opening))
    sections: list[Section] = []
    for of_question, given in zip(found, evidence, strict=True):
        block = yield from choice.take(of_question.ranked, MAX_FINDINGS, of_question.target)
        findings = cited.findings(in_reading_order(block))
        in_answer = not findings and bool(of_question.ranked)
        sections.append(Section(given.question, findings, in_answer))
    sample = any(given.sample for given in evidence)
    return Findings(short_answer, tuple(sections), cited.sources(), sample)


class _Cited:
    """The passages cited so far, numbered by first citation."""

    def __init__(self, intents: tuple[str, ...]) -> None:
        self._sources: dict[Key, Passage] = {}
        self._by_example = not BY_EXAMPLE.isdisjoint(intents)

    def findings(self, block: list[Ranked]) -> tuple[Finding, ...]:
        return tuple(self._finding(ranked) for ranked in block)

    def sources(self) -> tuple[Passage, ...]:
        return tuple(self._sources.values())

    def _finding(self, ranked: Ranked) -> Finding:
        passage = ranked.candidate.passage
        self._sources.setdefault(passage.key, passage)
        number = list(self._sources).index(passage.key)
        said = ranked.candidate
        shows = said.announces or self._by_example
        listing = said.listing if shows else ""
        return Finding(said.text, number, ranked.score, said.term, listing, said.items)
