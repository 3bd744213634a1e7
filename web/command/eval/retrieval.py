"""`terzetto eval retrieval`: measure how well the library finds the documents judged relevant.

The library's search runs as the agents use it: by words (bm25), and with an encoder also by meaning
(encoder) and by both (fused).
The rank of a document is that of its best passage. As in BEIR, a document that has the id of the
query is left out, because it is the query.

Without `--documents`, the person's own library is measured. Then a judged id is a document's id,
its source (the path or URL it was ingested from) or its title, in this order.

Measures compare a ranking, which is a list of documents, best first, each once, with grades. A
grade above 0 means relevant; documents without a grade count as not relevant. Each measure is from
0 to 1 and equals that of trec_eval. Means are over the queries with at least one relevant document.

Rule: the data folder is not changed: documents that are given are added to a library in memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from math import log2
from pathlib import Path

from actors.clock import wall_clock
from actors.errors import InvalidRequest, UnreadableDocument
from actors.library.documents import Ranker
from actors.library.encoders.encoder import LoadEncoder
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from web.command.eval.judged_files import (
    Judgements,
    read_documents,
    read_judgements,
    read_queries,
)
from web.data_folder import FolderHeld, hold

NDCG_AT = 10
RECALL_AT = 50
DEPTH = max(NDCG_AT, RECALL_AT)
"""The number of documents that the measures need of a ranking."""
_PASSAGES = 200


# --- Measures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RankingMeasures:
    """nDCG@10, recall@50 and (mean) reciprocal rank."""

    ndcg: float
    recall: float
    reciprocal_rank: float


def measure_ranking(ranking: Sequence[str], grades: Mapping[str, float]) -> RankingMeasures:
    """The measures of the ranking for one query, which needs a relevant document."""
    return RankingMeasures(
        ndcg(ranking, grades), recall(ranking, grades), reciprocal_rank(ranking, grades)
    )


def mean_measures(measures: Sequence[RankingMeasures]) -> RankingMeasures:
    """The means over at least one query."""
    return RankingMeasures(
        sum(one.ndcg for one in measures) / len(measures),
        sum(one.recall for one in measures) / len(measures),
        sum(one.reciprocal_rank for one in measures) / len(measures),
    )


def ndcg(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """Normalised discounted cumulative gain of the first 10.

    The gain of a document is its grade, divided by log2(rank + 1). The sum is divided by that of
    the best possible ranking. Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of
    IR techniques", 2002, with the discount that trec_eval uses.
    """
    ideal = sorted(grades.values(), reverse=True)
    return _gain([grades.get(document, 0.0) for document in ranking]) / _gain(ideal)


def recall(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """The share of the relevant documents that is among the first 50.

    Source: Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, chapter 8.
    """
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:RECALL_AT])) / len(relevant)


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """1 / the rank of the first relevant document; 0 if there is none.

    Source: Voorhees, "The TREC-8 question answering track report", 1999.
    """
    ranks = (r for r, document in enumerate(ranking, start=1) if grades.get(document, 0) > 0)
    return 1 / next(ranks, float("inf"))


def _gain(gains: Sequence[float]) -> float:
    return sum(
        max(gain, 0.0) / log2(rank + 1) for rank, gain in enumerate(gains[:NDCG_AT], start=1)
    )


# --- The evaluation -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetrievalEvaluation:
    """The measures of each ranker, that of the agents last, and counts.

    `left_out` counts queries without a relevant document, `unasked` judged queries that are not
    among the queries, `unknown` judged documents that are not in the library.
    """

    queries: int
    left_out: int
    unasked: int
    judged: int
    unknown: int
    rankers: dict[str, RankingMeasures]

    def as_json(self) -> str:
        """One JSON object. Its own measures are those of the search that the agents use."""
        rankers = {
            name: {
                f"ndcg@{NDCG_AT}": m.ndcg,
                f"recall@{RECALL_AT}": m.recall,
                "mrr": m.reciprocal_rank,
            }
            for name, m in self.rankers.items()
        }
        used = rankers[[*rankers][-1]]
        counts = {
            "queries": self.queries,
            "queries_left_out": self.left_out,
            "judged_queries_missing": self.unasked,
            "judged_documents": self.judged,
            "unknown_documents": self.unknown,
        }
        return json.dumps({**counts, **used, "rankers": rankers})

    def as_table(self) -> str:
        """A line for each ranker."""
        lines = [f"{self.queries} queries, {self.judged} judged documents"]
        lines.append(f"{'ranker':<9} {'nDCG@10':>9} {'recall@50':>9} {'MRR':>9}")
        for name, m in self.rankers.items():
            lines.append(f"{name:<9} {m.ndcg:9.3f} {m.recall:9.3f} {m.reciprocal_rank:9.3f}")
        return "\n".join(lines)


async def evaluate_files(
    data_dir: Path,
    queries: Path,
    judgements: Path,
    documents: Sequence[Path],
    encoder: LoadEncoder | None = None,
) -> RetrievalEvaluation:
    """Read the files and measure. Raises `InvalidRequest` and `FolderHeld`."""
    asked, graded = read_queries(queries), read_judgements(judgements)
    if documents:
        async with collection(documents, encoder) as (library, ids):
            return await evaluate(library, asked, graded, ids)
    async with own_library(data_dir, encoder) as library:
        names = {name for grades in graded.values() for name in grades}
        known = {name: await library.identify(name) for name in sorted(names)}
        return await evaluate(library, asked, graded, {n: i for n, i in known.items() if i})


@asynccontextmanager
async def collection(
    paths: Sequence[Path], encoder: LoadEncoder | None = None
) -> AsyncIterator[tuple[Library, dict[str, str]]]:
    """A library in memory with the documents of these files, and its ids by those in the files."""
    ids: dict[str, str] = {}
    opened = open_library(None, now=wall_clock, parser=InlineParser(), encoder=encoder)
    async with opened as library:
        for path in paths:
            for document in read_documents(path):
                if document.name in ids:
                    raise InvalidRequest(
                        f"{path}: document {document.name} is in another file already."
                    )
                body = document.text.encode("utf-8", "replace")
                try:
                    added = await library.add(
                        body, media_type="text/plain; charset=utf-8", title=document.title
                    )
                except UnreadableDocument:
                    continue  # Some collections have documents without text. No search finds those.
                ids[document.name] = added.document.document_id
        yield library, ids


@asynccontextmanager
async def own_library(data_dir: Path, encoder: LoadEncoder | None = None) -> AsyncIterator[Library]:
    """The library of the data folder, locked while in use. Raises `FolderHeld`."""
    with ExitStack() as held:
        try:
            held.enter_context(hold(data_dir))
        except FolderHeld:
            raise FolderHeld(
                f"Another terzetto process is using {data_dir}; stop it, or give --documents."
            ) from None
        async with open_library(data_dir, now=wall_clock, encoder=encoder) as library:
            yield library


async def evaluate(
    library: Library, queries: dict[str, str], judgements: Judgements, ids: dict[str, str]
) -> RetrievalEvaluation:
    """Search for each query with a relevant document; `ids` maps judged ids to the library's."""
    asked = _judged_queries(queries, judgements, ids)
    names = {name for query in asked for name in judgements[query.name]}
    unknown = names.difference(ids)
    if not queries.keys() & judgements.keys():
        raise InvalidRequest(
            f"None of the queries has judgements: the queries have ids such as {min(queries)}, the "
            f"judgements have ids such as {min(judgements)}."
        )
    if not asked:
        raise InvalidRequest(
            "The judgements name no relevant document (a grade above 0) for any of these queries."
        )
    if unknown == names:
        raise InvalidRequest(
            f"The library has none of the judged documents, {len(names)} in all, such as "
            f"{min(unknown)}. Give the collection with --documents."
        )
    await library.encode_all()
    rankings: dict[str, tuple[Ranker, ...]] = {"bm25": ("bm25",)}
    if "encoder" in library.rankers:
        rankings |= {"encoder": ("encoder",), "fused": ("bm25", "encoder")}
    found = {name: await _mean_over(library, asked, used) for name, used in rankings.items()}
    unasked = len(judgements.keys() - queries.keys())
    left_out = len(queries) - len(asked)
    return RetrievalEvaluation(len(asked), left_out, unasked, len(names), len(unknown), found)


@dataclass(frozen=True, slots=True)
class _JudgedQuery:
    """A query and its grades, by the library's ids for the documents that are in it."""

    name: str
    text: str
    itself: str | None
    grades: dict[str, float]


def _judged_queries(
    queries: dict[str, str], judgements: Judgements, ids: dict[str, str]
) -> list[_JudgedQuery]:
    """The queries with a relevant document other than themselves."""
    asked = []
    for name, text in queries.items():
        judged = judgements.get(name, {})
        grades = {ids.get(each, each): grade for each, grade in judged.items() if each != name}
        if any(grade > 0 for grade in grades.values()):
            asked.append(_JudgedQuery(name, text, ids.get(name), grades))
    return asked


async def _mean_over(
    library: Library, asked: Sequence[_JudgedQuery], rankers: Collection[Ranker]
) -> RankingMeasures:
    each = []
    for query in asked:
        ranking = await _ranked_documents(library, query, rankers)
        each.append(measure_ranking(ranking, query.grades))
    return mean_measures(each)


async def _ranked_documents(
    library: Library, query: _JudgedQuery, rankers: Collection[Ranker]
) -> list[str]:
    """The first `DEPTH` documents that the search finds, or all if there are fewer."""
    limit = _PASSAGES
    while True:
        hits = await library.search(query.text, limit=limit, rankers=rankers)
        found = dict.fromkeys(passage.document_id for passage in hits.passages)
        documents = [one for one in found if one != query.itself]
        if len(documents) >= DEPTH or len(hits.passages) < limit:
            return documents[:DEPTH]
        limit *= 4
