"""Searching one database: by words, by meaning where there are vectors, and by both together.

Rule: words decide by BM25, meaning by cosine; each ranks by itself, and only their ranks are put
together (`actors.library.fusion`). What is then shown is up to `actors.library.selection`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from actors.library import statements
from actors.library.database import Database
from actors.library.documents import Ranker
from actors.library.encoders.vectors import Vectors
from actors.library.fusion import fused
from actors.library.queries import match_expression
from actors.library.selection import selected
from actors.tasks.evidence import Passage

if TYPE_CHECKING:
    from actors.library.encoders.embedding import Embedder

RELATED = 0.3
"""The cosine from which on a passage that shares no word with a query may answer it all the same.

Over the sample library, the nearest passage to a query on something else (zebras, mortgages) is at
0.18 or less, that to a query in other words ("wait longer between attempts") at 0.3 to 0.5.
"""

_DEPTH = 100
_DEPTH_PER_HIT = 4


def depth_for(limit: int) -> int:
    """How many passages a ranker names: more than are shown, as many of them fall away."""
    return max(_DEPTH, _DEPTH_PER_HIT * limit)


class Searcher:
    """A database, and its vectors if there is an embedder. What takes time is done by `workshop`."""

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
    """What is near to the query, without what shares no word with it and is too far to count."""
    return {n: score for n, score in found.near.items() if score >= RELATED or n in found.matching}


def chosen(found: statements.Candidates, limit: int) -> tuple[Passage, ...]:
    """The best by the ranking that there is, or by both together."""
    if found.matching and found.near:
        scores = fused([[*found.matching], [*found.near]])
    else:
        scores = found.matching or found.near
    ranked = (replace(found.passages[number], score=score) for number, score in scores.items())
    return selected(ranked, limit)
