"""How good a ranking of documents is, by what people judged.

`ranking` is a list of documents, best first, each once; `grades` says how relevant each judged
document is. Above 0 is relevant, and what was not judged counts as not relevant.

Rule: pure, from 0 to 1, and as trec_eval measures; a mean is taken over the queries for which
anything is relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

NDCG_AT = 10
RECALL_AT = 50
DEPTH = max(NDCG_AT, RECALL_AT)
"""Documents that a ranking needs."""


@dataclass(frozen=True, slots=True)
class Measures:
    """nDCG@10, recall@50 and (mean) reciprocal rank."""

    ndcg: float
    recall: float
    reciprocal_rank: float


def measured(ranking: Sequence[str], grades: Mapping[str, float]) -> Measures:
    """All measures of the ranking for one query, for which something must be relevant."""
    return Measures(
        ndcg(ranking, grades), recall(ranking, grades), reciprocal_rank(ranking, grades)
    )


def mean(measures: Sequence[Measures]) -> Measures:
    """The mean over queries, of which there must be one."""
    return Measures(
        sum(one.ndcg for one in measures) / len(measures),
        sum(one.recall for one in measures) / len(measures),
        sum(one.reciprocal_rank for one in measures) / len(measures),
    )


def ndcg(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """Normalised discounted cumulative gain of the first 10.

    The gain of a document is its grade, divided by log2(rank + 1); the sum is divided by that of the
    best ranking there could be. Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation
    of IR techniques", 2002, with the discount that trec_eval uses.
    """
    ideal = sorted(grades.values(), reverse=True)
    return _gain([grades.get(document, 0.0) for document in ranking]) / _gain(ideal)


def recall(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """The part of the relevant documents that is among the first 50.

    Source: Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, chapter 8.
    """
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:RECALL_AT])) / len(relevant)


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """1 / the rank of the first relevant document; 0 if none is there.

    Source: Voorhees, "The TREC-8 question answering track report", 1999.
    """
    ranks = (r for r, document in enumerate(ranking, start=1) if grades.get(document, 0) > 0)
    return 1 / next(ranks, float("inf"))


def _gain(gains: Sequence[float]) -> float:
    return sum(
        max(gain, 0.0) / log2(rank + 1) for rank, gain in enumerate(gains[:NDCG_AT], start=1)
    )
