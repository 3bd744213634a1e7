"""Several rankings as one.

Rule: only ranks count, never scores: those of different rankers have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

K = 60
"""Takes the edge off the first ranks; the value of the source."""


def fused(rankings: Iterable[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: what any ranking holds, best first, with its score.

    Each ranking gives 1 / (K + rank) to what it holds. Source: Cormack, Clarke and Büttcher,
    "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (K + rank)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
