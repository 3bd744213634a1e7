"""From the evidence of a plan to the findings of a report.

Rule: the library, tools, pages and the followed-up task are evidence alike. What a tool or page says
on a question is shown in any case, since it was asked just that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from actors.agents.extractive.choose import choose
from actors.library.excerpts import paragraphs
from actors.library.retrieval import bm25
from actors.messages import Synthesize
from actors.runtime.cooperative import Cooperative
from actors.tasks.evidence import (
    Evidence,
    Excerpt,
    Finding,
    Findings,
    Passage,
    Section,
)
from actors.tasks.words import query_terms


def synthesized(request: Synthesize) -> Cooperative[Findings]:
    """The findings on every question; pauses after each."""
    sections: list[Section] = []
    sources: dict[tuple[str, int], Passage] = {}
    sample = False
    for evidence in _by_question(request):
        choice = yield from choose(evidence)
        passages = {passage.key: passage for passage in evidence.passages}
        findings = []
        for excerpt in choice.excerpts:
            key = (excerpt.document_id, excerpt.position)
            sources.setdefault(key, passages.get(key) or _passage_of(excerpt))
            number = list(sources).index(key)
            findings.append(Finding(excerpt.text, number, excerpt.score, excerpt.kind))
            sample = sample or (evidence.sample and excerpt.origin == "library")
        sections.append(
            Section(
                evidence.question,
                tuple(findings),
                choice.answers,
                evidence.missed,
                choice.unknown,
            )
        )
        yield
    return Findings(tuple(sections), tuple(sources.values()), sample)


def _by_question(request: Synthesize) -> Iterator[Evidence]:
    """One `Evidence` per question: the library's and pages', with that of tools and the context."""
    for found in request.evidence:
        if found.question.of:
            continue
        weights = found.weights or query_terms(found.question.query)
        found = replace(found, weights=weights)
        asked = [e for e in request.evidence if e.question.of == found.question.step_id]
        more = [one for e in asked for one in e.excerpts or paragraphs(e.passages, "tool")]
        more += paragraphs(request.context, "context")
        passages = (*found.passages, *(p for e in asked for p in e.passages), *request.context)
        texts = {passage.key: passage.text for passage in passages}
        yield replace(
            found,
            passages=passages,
            excerpts=(*found.excerpts, *(_scored(one, texts, weights) for one in more)),
            missed=(*found.missed, *(failure for e in asked for failure in e.missed)),
        )


def _passage_of(excerpt: Excerpt) -> Passage:
    """The source of an excerpt whose passage is not among those retrieved."""
    section = excerpt.headings[-1] if excerpt.headings else ""
    return Passage(
        excerpt.document_id,
        excerpt.title,
        section,
        excerpt.position,
        excerpt.text,
        excerpt.passage_score,
        excerpt.start,
        excerpt.end,
    )


def _scored(
    excerpt: Excerpt, texts: Mapping[tuple[str, int], str], weights: Mapping[str, float]
) -> Excerpt:
    """An excerpt that is not in the library, with the scores that it would have there."""
    passage = texts.get((excerpt.document_id, excerpt.position), excerpt.text)
    whole, own = bm25(passage, weights), bm25(excerpt.text, weights)
    return replace(excerpt, passage_score=whole, score=own)
