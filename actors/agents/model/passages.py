"""Select the passages that a language model may write from.

Rule: bounded, and only for questions on which the library has something. The passages that the
short answer cites come first. Then the questions take turns, each with the passages that its
findings cite before its other passages.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from actors.tasks.evidence import Evidence, Findings, Passage, Source
from actors.tasks.report import numbered_sources

MOST_PASSAGES = 24
MOST_CHARACTERS = 24_000


def select_passages(findings: Findings, evidence: tuple[Evidence, ...]) -> tuple[Passage, ...]:
    """The passages for these findings, from the evidence that they were made of."""
    selected: dict[tuple[str, int], Passage] = {}
    size = 0
    for passage in _in_turn(findings, evidence):
        if passage.key in selected:
            continue
        size += len(passage.text)
        if selected and (len(selected) == MOST_PASSAGES or size > MOST_CHARACTERS):
            break
        selected[passage.key] = passage
    return tuple(selected.values())


def numbered_passages(findings: Findings) -> tuple[Source, ...]:
    """The passages to write from, with the numbers under which they may be cited."""
    return numbered_sources((findings.passages or findings.sources)[:MOST_PASSAGES])


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
