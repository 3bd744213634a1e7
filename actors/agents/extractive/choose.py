"""Choose the excerpts that answer a question, best first.

    score = BM25 of the passage + BM25 of the excerpt          each relative to the best found
          + coverage of the question by the excerpt, a little for its heading, document and place

then one excerpt after another: the best that is unlike those chosen, with a preference for the
document that answered first.

Rule: whole excerpts, word for word. A long paragraph is cut to a run of its sentences.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from actors.library.sentences import sentences
from actors.runtime.cooperative import Cooperative
from actors.tasks.evidence import Evidence, Excerpt
from actors.tasks.words import telling_terms, term_set, terms

COVERAGE, HEADING, DOCUMENT = 0.5, 0.2, 0.2
LEAD = 0.2
"""Weights beside the two BM25 scores, which weigh 1 each. `tests/bench/answers.py` measures them."""

SAME = 0.8
"""Weight of the likeness to an excerpt chosen before (MMR)."""
ELSEWHERE = 0.2
"""Weight of leaving the documents chosen from, by how little of the evidence is there."""

MOST_EXCERPTS, MOST_WORDS, PARAGRAPH_WORDS, BELOW_WORDS = 5, 170, 65, 100
"""Excerpts and words for one question; words of a paragraph, and of what is below it or of a list."""
MOST_CANDIDATES = 80
"""Excerpts that are scored, those first that match best."""

STOP = 0.4
"""An excerpt with less than this share of the best score is not shown."""

EXCERPTS_PER_SLICE = 8
"""Excerpts that are compared with the question between two pauses."""

NOTHING_AT, CLOSEST_AT = (0.05, 0.05), (0.10, 0.075)
"""Coverage below a + b lg n, n the excerpts of the library: no answer; no direct answer. By chance
more words of a question meet in one excerpt of a large library."""

MOSTLY_UNKNOWN = 0.5
"""Words that stand nowhere are named if they have more than this share of the question's weight:
what shares only the other words with the question may be about something else."""

SIMILARITY = 1.0
"""Weight of the similarity to the question, where there is an encoder. An excerpt without one (a
tool's, say) counts as the average."""
SIMILAR_SHARE = 0.7
"""An excerpt with less than this share of the best similarity is not shown, if the best answers."""
SIMILAR_CLOSEST_AT, SIMILAR_ANSWER_AT = 0.40, 0.50
"""A similarity from which on excerpts are the closest, or an answer, whatever words they share."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The excerpts for one question, best first, and whether they answer it.

    `unknown` are words that no source has, if they are most of the question.
    """

    excerpts: tuple[Excerpt, ...]
    answers: bool
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scored:
    excerpt: Excerpt
    terms: frozenset[str]
    all_terms: frozenset[str]
    score: float
    coverage: float


def choose(evidence: Evidence) -> Cooperative[Choice]:
    """The excerpts that answer the question of the evidence best."""
    scored = yield from _scored(evidence)
    if not scored:
        return Choice((), answers=False)
    tools = [one for one in scored if one.excerpt.origin == "tool"]
    best = max((one.coverage for one in scored if one not in tools), default=0.0)
    units = math.log10(max(evidence.units, 10))
    nothing, closest = (a + b * units for a, b in (NOTHING_AT, CLOSEST_AT))
    similar = max(one.excerpt.similarity or 0.0 for one in scored)
    if best < (closest if tools else nothing) and similar < SIMILAR_CLOSEST_AT:
        scored = [one for one in scored if one.excerpt.origin in ("tool", "page")]
    if not scored:
        return Choice((), answers=False)
    chosen = _greedy(evidence, scored)
    cut = tuple(_shortened(one.excerpt, evidence.weights) for one in chosen)
    answers = best >= closest or similar >= SIMILAR_ANSWER_AT or bool(tools)
    return Choice(cut, answers, _unknown(evidence, scored))


def _unknown(evidence: Evidence, scored: Sequence[_Scored]) -> tuple[str, ...]:
    """The words of the question that no source has, if they carry most of its weight."""
    if not evidence.unknown:
        return ()
    had = frozenset().union(*(one.all_terms for one in scored))
    unknown = tuple(word for word in evidence.unknown if had.isdisjoint(terms(word)))
    lost = sum(evidence.weights.get(term, 0.0) for term in term_set(unknown))
    return unknown if lost > MOSTLY_UNKNOWN * sum(evidence.weights.values()) else ()


# --- scoring ------------------------------------------------------------------------------------


def _scored(evidence: Evidence) -> Cooperative[list[_Scored]]:
    """Each excerpt with its score; repeated text only once."""
    total = sum(evidence.weights.values()) or 1.0
    shares = _document_shares(evidence.excerpts)
    best_passage = max((e.passage_score for e in evidence.excerpts), default=0.0) or 1.0
    best_unit = max((e.score for e in evidence.excerpts), default=0.0) or 1.0

    known = [e.similarity for e in evidence.excerpts if e.similarity is not None]
    average = sum(known) / len(known) if known else 0.0

    def matched(excerpt: Excerpt) -> float:
        similarity = average if excerpt.similarity is None else excerpt.similarity
        return (
            excerpt.passage_score / best_passage
            + excerpt.score / best_unit
            + SIMILARITY * similarity
        )

    found: dict[str, _Scored] = {}

    def rank(excerpt: Excerpt) -> tuple[bool, float]:
        return excerpt.origin == "tool", matched(excerpt)

    candidates = _similar_enough(evidence.excerpts)
    around = cache(lambda texts: frozenset(terms(" ".join(texts))))  # Many have the same headings.
    best_first = sorted(candidates, key=rank, reverse=True)[:MOST_CANDIDATES]
    for number, excerpt in enumerate(best_first):
        if number % EXCERPTS_PER_SLICE == 0:
            yield
        own = frozenset(terms(excerpt.text))
        heading = around(excerpt.headings)
        everything = own | around((*excerpt.headings, excerpt.title))

        def covered(by: frozenset[str]) -> float:
            return sum(w for term, w in evidence.weights.items() if term in by) / total

        coverage = covered(everything)
        score = (
            matched(excerpt)
            + COVERAGE * covered(own)
            + HEADING * covered(heading)
            + DOCUMENT * shares[excerpt.document_id]
            + LEAD * excerpt.lead
        )
        found.setdefault(excerpt.text, _Scored(excerpt, own, everything, score, coverage))
    return sorted(found.values(), key=lambda one: -one.score)


def _similar_enough(excerpts: Sequence[Excerpt]) -> Sequence[Excerpt]:
    """The excerpts without those that an encoder finds far less similar than the best."""
    best = max((e.similarity for e in excerpts if e.similarity is not None), default=0.0)
    if best < SIMILAR_ANSWER_AT:
        return excerpts
    least = SIMILAR_SHARE * best
    return [e for e in excerpts if e.similarity is None or e.similarity >= least]


def _document_shares(excerpts: Sequence[Excerpt]) -> Mapping[str, float]:
    """The share of each document in the scores of all passages."""
    passages = {(e.document_id, e.position): e.passage_score for e in excerpts}
    shares: defaultdict[str, float] = defaultdict(float)
    total = sum(passages.values()) or 1.0
    for (document, _), score in passages.items():
        shares[document] += score / total
    return shares


# --- choosing -----------------------------------------------------------------------------------


def _greedy(evidence: Evidence, scored: list[_Scored]) -> list[_Scored]:
    """The best excerpt of each side of a comparison, then the best of what is left."""
    shares = _document_shares(evidence.excerpts)
    chosen: list[_Scored] = []
    for wanted, unwanted in _sides(evidence.question.sides):
        naming = [one for one in scored if one not in chosen and wanted & one.all_terms]
        if naming:
            chosen.append(max(naming, key=lambda one: _fit(one, wanted, unwanted)))
    for one in scored:  # A tool was asked just this, in whatever words it answers.
        document = one.excerpt.document_id
        shown = any(document == other.excerpt.document_id for other in chosen)
        if one.excerpt.origin == "tool" and not shown:
            chosen.append(one)
    floor = STOP * scored[0].score
    words = sum(_words(one) for one in chosen)
    while len(chosen) < MOST_EXCERPTS and words < MOST_WORDS:
        left = [one for one in scored if one not in chosen]
        if not left:
            break
        best = max(left, key=lambda one: _value(one, chosen, shares))
        if _value(best, chosen, shares) < floor:
            break
        chosen.append(best)
        words += _words(best)
    return chosen


def _sides(sides: tuple[str, ...]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """For each side its terms, and the terms that only the other side has."""
    named = [frozenset(telling_terms(side)) for side in sides]
    return [
        (own, frozenset().union(*(other for other in named if other is not own)) - own)
        for own in named
    ]


def _fit(one: _Scored, wanted: frozenset[str], unwanted: frozenset[str]) -> float:
    """How well an excerpt stands for one side: it names that side, and better not the other."""
    other = len(unwanted & one.terms) / (len(unwanted) or 1)
    return one.score + len(wanted & one.all_terms) / len(wanted) - other


def _value(one: _Scored, chosen: list[_Scored], shares: Mapping[str, float]) -> float:
    if not chosen:
        return one.score
    likeness = max(_likeness(one.terms, other.terms) for other in chosen)
    document = one.excerpt.document_id
    away = all(document != other.excerpt.document_id for other in chosen)
    return one.score - SAME * likeness - (ELSEWHERE * (1 - shares[document]) if away else 0.0)


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller set that both have."""
    return len(one & other) / (min(len(one), len(other)) or 1)


def _words(one: _Scored) -> int:
    return min(len(one.excerpt.text.split()), PARAGRAPH_WORDS)


# --- cutting ------------------------------------------------------------------------------------


def _shortened(excerpt: Excerpt, weights: Mapping[str, float]) -> Excerpt:
    """A long paragraph cut to some of its sentences, a long list or definition to its beginning."""
    if excerpt.kind == "paragraph":
        head, separator, below = excerpt.text.partition("\n\n")
        return replace(excerpt, text=_best_run(head, weights) + separator + _beginning(below))
    if excerpt.kind in ("list", "definition"):
        return replace(excerpt, text=_beginning(excerpt.text))
    return excerpt


def _best_run(text: str, weights: Mapping[str, float]) -> str:
    """The run of whole sentences that covers most of the question, the first of several."""
    if len(text.split()) <= PARAGRAPH_WORDS:
        return text
    units = list(sentences(text))
    best: tuple[float, int, int] = (-1.0, 0, 1)
    for first in range(len(units)):
        words, seen, last = 0, set[str](), first
        while last < len(units) and words + len(units[last].split()) <= PARAGRAPH_WORDS:
            words += len(units[last].split())
            seen.update(terms(units[last]))
            last += 1
        covered = sum(weight for term, weight in weights.items() if term in seen)
        if covered > best[0] + 1e-9:
            best = covered, first, max(last, first + 1)
    _, first, last = best
    begin = text.index(units[first])
    end = text.index(units[last - 1], begin) + len(units[last - 1])
    return f"{'… ' if first else ''}{text[begin:end]}{' …' if last < len(units) else ''}"


def _beginning(text: str) -> str:
    """The first lines, as many as `BELOW_WORDS` words allow, at least one."""
    lines = text.split("\n")
    words = kept = 0
    while kept < len(lines) and (kept == 0 or words + len(lines[kept].split()) <= BELOW_WORDS):
        words += len(lines[kept].split())
        kept += 1
    if kept == len(lines):
        return text
    found = "\n".join(lines[:kept]).rstrip()
    return found if lines[kept - 1].startswith("    ") else f"{found} …"
