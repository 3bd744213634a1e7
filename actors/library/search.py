"""Search: from any text to the passages that match it best.

Words are ranked by BM25 and, where there are vectors, meaning by cosine; reciprocal rank fusion joins
both. `actors.library.selection` then decides which passages are shown.

Rule: no query is a syntax error, and only ranks are joined: scores of two rankers cannot be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from actors.library import statements
from actors.library.documents import ParsedDocument, Ranker
from actors.library.encoders.vectors import Vectors
from actors.library.selection import selected
from actors.sqlite import Database, MemoryDatabase
from actors.tasks.evidence import Passage

if TYPE_CHECKING:
    from actors.library.encoders.embedding import Embedder

RELATED = 0.3
"""The least cosine of a passage that may answer a query without sharing a word with it.

In the sample library, the nearest passage to a query about something else (zebras, mortgages) has
0.18 or less, the one to a query in other words ("wait longer between attempts") 0.3 to 0.5.
"""

_DEPTH = 100
_DEPTH_PER_HIT = 4

FUSION_K = 60
"""Lessens the difference between the first ranks; the value of the source."""

_WORD_PARTS = re.compile(r"[^\W_]+")
_MOST_TERMS = 64

_STOP_WORDS = """a about above after again against all also am an and any are as at be because been before
    being below between both but by can could did do does doing down during each either few for
    from further get had has have having he her here hers him his how i if in into is it its just
    let like may me might more most much must my no nor not now of off on once only or other our
    out over own per please same shall she should so some such tell than that the their them then
    there these they this those through to too under until up upon us use used uses using very
    was we were what when where which while who whom whose why will with within without would you
    your"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def depth_for(limit: int) -> int:
    """How many passages each ranker returns: more than are shown, as many are dropped later."""
    return max(_DEPTH, _DEPTH_PER_HIT * limit)


class Searcher:
    """Searches one database, by vectors too if there is an embedder; `workshop` computes."""

    def __init__(self, database: Database, workshop: Database, embedder: Embedder | None) -> None:
        self.database = database
        self.vectors = Vectors(embedder, database, workshop) if embedder is not None else None
        self.rankers: tuple[Ranker, ...] = ("bm25", "vectors") if embedder else ("bm25",)
        self._workshop = workshop

    async def search(
        self, query: str, limit: int, rankers: Collection[Ranker]
    ) -> tuple[Passage, ...]:
        """The passages that match best by these of its `rankers`, best first."""
        expression = match_expression(query)
        if expression is None:
            return ()
        depth = depth_for(limit)
        near: dict[int, float] = {}
        if self.vectors is not None and "vectors" in rankers:
            near = await self.vectors.nearest(query, depth)
        words = expression if "bm25" in rankers else None
        find = partial(statements.candidates, expression=words, vectors=near, depth=depth)
        found = await self.database.read(find)
        if words:
            found = replace(found, near=_related(found))
        return await self._workshop.compute(partial(chosen, found, limit))


def _related(found: statements.Candidates) -> dict[int, float]:
    """The near passages, without those that share no word with the query and are below `RELATED`."""
    return {n: score for n, score in found.near.items() if score >= RELATED or n in found.matching}


def chosen(found: statements.Candidates, limit: int) -> tuple[Passage, ...]:
    """The best passages by the one ranking that found any, or by both joined."""
    if found.matching and found.near:
        scores = fused([[*found.matching], [*found.near]])
    else:
        scores = found.matching or found.near
    ranked = (replace(found.passages[number], score=score) for number, score in scores.items())
    return selected(ranked, limit)


def search_documents(
    readings: Iterable[ParsedDocument], query: str, limit: int, check: Callable[[], object]
) -> tuple[Passage, ...]:
    """The passages of these documents that match best, as a library without vectors finds them.

    It blocks; `check` is called between documents and may raise to stop it.
    """
    expression = match_expression(query)
    if expression is None:
        return ()
    with closing(MemoryDatabase(statements.SCHEMA)) as database:
        for reading in readings:
            check()
            database.write_now(partial(statements.insert, reading=reading, source=None))
        check()
        depth = depth_for(limit)
        find = partial(statements.candidates, expression=expression, vectors={}, depth=depth)
        return chosen(database.read_now(find), limit)


def fused(rankings: Iterable[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: every item of any ranking, best first, with its score.

    Each ranking adds 1 / (FUSION_K + rank) to its items. Source: Cormack, Clarke and Büttcher,
    "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (FUSION_K + rank)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


def match_expression(query: str) -> str | None:
    """The query as an FTS5 expression, or None if nothing in it can be searched for.

    Only letters and digits go in, as quoted strings. Words are alternatives; `bm25` ranks passages
    with more and rarer ones higher, and a word that is twice in the query counts twice. A word of
    several parts (`asyncio.TaskGroup`) is searched as a whole and in parts.
    """
    words = [word for word in query.split() if _WORD_PARTS.search(word)]
    telling = [word for word in words if not _is_stop_word(word)] or words
    terms: list[str] = []
    for word in telling:
        parts = _WORD_PARTS.findall(word.lower())
        if len(parts) > 1:
            terms.append(" ".join(parts))
            parts = [part for part in parts if part not in STOP_WORDS and len(part) > 1]
        terms += parts
    quoted = [f'"{term}"' for term in terms[:_MOST_TERMS]]
    return " OR ".join(quoted) or None


def _is_stop_word(word: str) -> bool:
    return "".join(_WORD_PARTS.findall(word.lower())) in STOP_WORDS
