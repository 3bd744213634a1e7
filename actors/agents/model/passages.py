"""Select the passages that a language model may write from.

Rule: bounded, and never gated by what was found quotable. The passages that findings cite come first,
then the questions take turns with their best passages.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from actors.messages import Synthesize
from actors.tasks.evidence import Findings, Passage, Source
from actors.tasks.report import numbered_sources

MOST_PASSAGES = 8
MOST_CHARACTERS = 16_000


def select_passages(findings: Findings, request: Synthesize) -> tuple[Passage, ...]:
    """The best passages of the evidence, those first that the findings cite."""
    selected: dict[tuple[str, int], Passage] = {}
    size = 0
    for passage in _in_turn(findings, request):
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


def _in_turn(findings: Findings, request: Synthesize) -> Iterator[Passage]:
    yield from findings.sources
    of_questions = [found.passages for found in request.evidence]
    for turn in zip_longest(*of_questions, request.context):
        yield from (passage for passage in turn if passage is not None)
