"""Select the passages that a language model may write from.

Rule: bounded, and never gated by what was found quotable. The passages that findings cite come first,
then the questions take turns with their best passages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

from actors.messages import Synthesize
from actors.tasks.evidence import Findings, Passage, Source
from actors.tasks.report import numbered_sources

MOST_PASSAGES = 8
MOST_CHARACTERS = 16_000


def with_passages(findings: Findings, request: Synthesize) -> Findings:
    """The findings with the best passages of the evidence, those first that the findings cite."""
    selected: dict[tuple[str, int], Passage] = {}
    size = 0
    for passage in _in_turn(findings, request):
        if len(selected) == MOST_PASSAGES:
            break
        fits = not selected or size + len(passage.text) <= MOST_CHARACTERS
        if fits and passage.key not in selected:
            selected[passage.key] = passage
            size += len(passage.text)
    samples = {p.document_id for found in request.evidence if found.sample for p in found.passages}
    shown = {passage.document_id for passage in selected.values()}
    passages = tuple(selected.values())
    return replace(findings, passages=passages, sample_documents=tuple(sorted(samples & shown)))


def numbered_passages(findings: Findings) -> tuple[Source, ...]:
    """The passages to write from, with the numbers under which they may be cited."""
    return numbered_sources((findings.passages or findings.sources)[:MOST_PASSAGES])


def _in_turn(findings: Findings, request: Synthesize) -> Iterator[Passage]:
    yield from findings.sources
    of_questions = [found.passages for found in request.evidence]
    for turn in zip_longest(*of_questions, request.context):
        yield from (passage for passage in turn if passage is not None)
