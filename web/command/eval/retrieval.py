"""`terzetto eval retrieval`: how well the library finds what people judged to be relevant.

A document ranks where its best passage does. What is measured is the very search that agents use,
folding and all, once for each ranker and once for all together. As in BEIR, a document whose id is
that of the query is left out: it is the query.

Without documents of its own the collection is the person's library, and a judged id is the id of a
document, or the source (the path it was ingested from), or the title, whichever is found first.

Rule: it changes nothing: documents that are given go into a library in memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.clock import wall_clock
from actors.errors import InvalidRequest, UnreadableDocument
from actors.library.documents import Ranker
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from web.command.eval.judged_queries import (
    Judgements,
    read_documents,
    read_judgements,
    read_queries,
)
from web.command.eval.ranking_measures import DEPTH, Measures, mean, measured
from web.data_folder import FolderHeld, hold

_PASSAGES = 200


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured, by ranker.

    `left_out` are queries for which nothing is judged to be relevant, `unasked` judged queries that
    are not among the queries, `unknown` judged documents that are not in the library.
    """

    queries: int
    left_out: int
    unasked: int
    judged: int
    unknown: int
    rankers: dict[str, Measures]

    def as_json(self) -> str:
        """One JSON object."""
        rankers = {
            name: {"ndcg_at_10": m.ndcg, "recall_at_50": m.recall, "mrr": m.reciprocal_rank}
            for name, m in self.rankers.items()
        }
        counts = {
            "queries": self.queries,
            "queries_left_out": self.left_out,
            "judged_queries_missing": self.unasked,
            "judged_documents": self.judged,
            "unknown_documents": self.unknown,
        }
        return json.dumps({**counts, "rankers": rankers})

    def as_table(self) -> str:
        """A line for each ranker."""
        lines = [f"{self.queries} queries, {self.judged} judged documents"]
        lines.append(f"{'ranker':<9} {'nDCG@10':>9} {'recall@50':>9} {'MRR':>9}")
        for name, m in self.rankers.items():
            lines.append(f"{name:<9} {m.ndcg:9.3f} {m.recall:9.3f} {m.reciprocal_rank:9.3f}")
        return "\n".join(lines)


async def evaluate_files(
    data_dir: Path, queries: Path, judgements: Path, documents: Sequence[Path]
) -> Evaluation:
    """Read the files and measure; raises `InvalidRequest` and `FolderHeld`."""
    asked, graded = read_queries(queries), read_judgements(judgements)
    if documents:
        async with collection(documents) as (library, ids):
            return await evaluate(library, asked, graded, ids)
    async with own_library(data_dir) as library:
        names = {name for grades in graded.values() for name in grades}
        known = {name: await library.identify(name) for name in sorted(names)}
        return await evaluate(library, asked, graded, {n: i for n, i in known.items() if i})


@asynccontextmanager
async def collection(paths: Sequence[Path]) -> AsyncIterator[tuple[Library, dict[str, str]]]:
    """The documents of these files in a library in memory, and their ids there by their own."""
    ids: dict[str, str] = {}
    async with open_library(None, now=wall_clock, parser=InlineParser()) as library:
        for path in paths:
            for document in read_documents(path):
                if document.name in ids:
                    raise InvalidRequest(
                        f"{path}: document {document.name} is in another file, too."
                    )
                body = document.text.encode("utf-8", "replace")
                try:
                    added = await library.add(
                        body, media_type="text/plain; charset=utf-8", title=document.title
                    )
                except UnreadableDocument:
                    continue  # Some collections have documents without text. Nothing finds those.
                ids[document.name] = added.document.document_id
        yield library, ids


@asynccontextmanager
async def own_library(data_dir: Path) -> AsyncIterator[Library]:
    """The library of the data folder, which is held meanwhile; raises `FolderHeld`."""
    with ExitStack() as held:
        try:
            held.enter_context(hold(data_dir))
        except FolderHeld:
            raise FolderHeld(
                f"Another terzetto process is using {data_dir}; stop it, or give --documents."
            ) from None
        async with open_library(data_dir, now=wall_clock) as library:
            yield library


async def evaluate(
    library: Library, queries: dict[str, str], judgements: Judgements, ids: dict[str, str]
) -> Evaluation:
    """Ask every query for which something is relevant; `ids` has what the library calls documents."""
    asked = _judged_queries(queries, judgements, ids)
    names = {name for query in asked for name in judgements[query.name]}
    unknown = names.difference(ids)
    if not queries.keys() & judgements.keys():
        raise InvalidRequest(
            f"None of the queries is judged: theirs are ids such as {min(queries)}, and the judgements "
            f"are for ids such as {min(judgements)}."
        )
    if not asked:
        raise InvalidRequest(
            "The judgements name no relevant document (a grade above 0) for any of these queries."
        )
    if unknown == names:
        raise InvalidRequest(
            f"None of the {len(names)} judged documents is in the library, such as "
            f"{min(unknown)}. Give the collection with --documents."
        )
    await library.fill_vectors()
    rankers: dict[str, tuple[Ranker, ...]] = {one: (one,) for one in library.rankers}
    if len(rankers) > 1:
        rankers["fused"] = library.rankers
    found = {name: await _mean_over(library, asked, used) for name, used in rankers.items()}
    unasked = len(judgements.keys() - queries.keys())
    left_out = len(queries) - len(asked)
    return Evaluation(len(asked), left_out, unasked, len(names), len(unknown), found)


@dataclass(frozen=True, slots=True)
class _JudgedQuery:
    """A query and the grades of documents, by their ids in the library where they are in it."""

    name: str
    text: str
    itself: str | None
    grades: dict[str, float]


def _judged_queries(
    queries: dict[str, str], judgements: Judgements, ids: dict[str, str]
) -> list[_JudgedQuery]:
    """The queries for which something else than themselves is relevant."""
    asked = []
    for name, text in queries.items():
        judged = judgements.get(name, {})
        grades = {ids.get(each, each): grade for each, grade in judged.items() if each != name}
        if any(grade > 0 for grade in grades.values()):
            asked.append(_JudgedQuery(name, text, ids.get(name), grades))
    return asked


async def _mean_over(
    library: Library, asked: Sequence[_JudgedQuery], rankers: Sequence[Ranker]
) -> Measures:
    each = []
    for query in asked:
        ranking = await _ranked_documents(library, query, rankers)
        each.append(measured(ranking, query.grades))
    return mean(each)


async def _ranked_documents(
    library: Library, query: _JudgedQuery, rankers: Sequence[Ranker]
) -> list[str]:
    """The first documents that a search finds, as deep as it takes."""
    limit = _PASSAGES
    while True:
        hits = await library.search(query.text, limit=limit, rankers=rankers)
        found = dict.fromkeys(passage.document_id for passage in hits.passages)
        documents = [one for one in found if one != query.itself]
        if len(documents) >= DEPTH or len(hits.passages) < limit:
            return documents[:DEPTH]
        limit *= 4
