"""All that is known on each question, from whomever it came.

Rule: a question of the plan has one body of evidence; what tool_options said on it is part of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from actors.messages import Synthesize
from actors.tasks.evidence import Evidence, Passage


def gathered(request: Synthesize) -> tuple[Evidence, ...]:
    """For each question what the library has, then what tool_options said, then the context."""
    helped: dict[str, list[Passage]] = {}
    for found in request.evidence:
        if found.question.of:
            helped.setdefault(found.question.of, []).extend(found.passages)
    return tuple(
        replace(found, passages=_each_once((*found.passages, *more, *request.context)))
        for found in request.evidence
        if not found.question.of
        for more in [helped.get(found.question.step_id, [])]
    )


def _each_once(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    first: dict[tuple[str, int], Passage] = {}
    for passage in passages:
        first.setdefault((passage.document_id, passage.position), passage)
    return tuple(first.values())
