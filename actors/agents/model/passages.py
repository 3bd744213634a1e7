"""The passages that a language model may write from.

Rule: bounded, and only on questions on which the library has something. What the short answer cites
comes first; then each question has its turn, with what its findings cite before what was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from actors.agents.extractive.ranking import Key, key_of
from actors.tasks.evidence import Evidence, Findings, Passage, Source

MOST_PASSAGES = 24
MOST_CHARACTERS = 24_000


def chosen(findings: Findings, evidence: tuple[Evidence, ...]) -> tuple[Passage, ...]:
    """The passages for these findings, from the evidence they were weighed from."""
    taken: dict[Key, Passage] = {}
    size = 0
    for passage in _in_turn(findings, evidence):
        if key_of(passage) in taken:
            continue
        size += len(passage.text)
        if taken and (len(taken) == MOST_PASSAGES or size > MOST_CHARACTERS):
            break
        taken[key_of(passage)] = passage
    return tuple(taken.values())


def numbered(findings: Findings) -> tuple[Source, ...]:
    """The passages to write from, with the numbers under which they may be cited."""
    passages = findings.passages or findings.sources
    return tuple(
        Source(n, p.document_id, p.title, p.section, p.position, p.text)
        for n, p in enumerate(passages[:MOST_PASSAGES], start=1)
    )


def _in_turn(findings: Findings, evidence: tuple[Evidence, ...]) -> Iterator[Passage]:
    yield from (findings.sources[finding.source] for finding in findings.answer)
    found = {given.question.step_id: given.passages for given in evidence}
    of_questions = [
        (
            *(findings.sources[finding.source] for finding in section.findings),
            *found.get(section.question.step_id, ()),
        )
        for section in findings.sections
        if section.findings or section.in_answer
    ]
    for turn in zip_longest(*of_questions):
        yield from (passage for passage in turn if passage is not None)
