"""Retrieval: BM25 over passages and over excerpts, and with an encoder what is near in meaning.

Rule: no query is a syntax error, since only terms go into an expression. Function words are left out
of expressions unless a query has nothing else.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from actors.library.readers import EVERYTHING, Reader
from actors.library.statements import counts
from actors.sqlite_errors import checked_text
from actors.tasks.evidence import Excerpt, Passage
from actors.tasks.words import (
    STOP_WEIGHT,
    compounds,
    is_letter_of_run,
    query_terms,
    telling_terms,
    terms,
    words_with,
)

WEIGHTS = {"passage_terms": "2.0, 3.0, 1.0", "excerpt_terms": "1.0, 1.0, 1.0"}
"""BM25 weights of title, headings and text in each full-text table."""

EXCERPTS_FOUND = 40
"""Excerpts that are candidates by themselves, besides those of the passages found."""
PASSAGES_PER_SIDE, EXCERPTS_PER_SIDE = 5, 10
"""Further ones for each side of a comparison."""

FURNITURE = 3
"""An excerpt whose text stands in more documents than this is navigation or boilerplate."""

RANK_OFFSET = 60
"""The constant of reciprocal rank fusion: how little the first ranks count more than the next.

Source: Cormack, Clarke and Büttcher, "Reciprocal rank fusion", 2009.
"""

NOTHING_NEAR: Mapping[int, float] = MappingProxyType({})

_K1, _B, _AVERAGE_WORDS = 1.2, 0.75, 60

CONTEXT_WEIGHT = 0.5
MAX_TERMS, MAX_CONTEXT_TERMS = 64, 12


@dataclass(frozen=True, slots=True)
class Query:
    """What to find, and for whom: a question, text that narrows it down, and the sides that it
    compares."""

    text: str
    context: str = ""
    sides: tuple[str, ...] = ()
    reader: Reader = EVERYTHING


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first, candidate excerpts, and the weights of the query's terms.

    `unknown` are the words of the question that stand nowhere in the library, and `units` counts
    its excerpts. `sample`: they are the sample library's.
    """

    passages: tuple[Passage, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    units: int = 0
    sample: bool = False
    unknown: tuple[str, ...] = ()


def match_expression(text: str, context: str = "") -> str | None:
    """A text as an FTS5 expression; None if nothing in it can be searched for.

    Terms are alternatives, and BM25 ranks what has more and rarer ones higher. A name of several parts
    (`asyncio.TaskGroup`) also counts as a phrase. Terms of the text count twice beside the context's.
    """
    own = telling_terms(text)[:MAX_TERMS]
    phrases = [" ".join(parts) for parts in compounds(text[:2_000])][:MAX_TERMS]
    more = [term for term in telling_terms(context) if term not in own][:MAX_CONTEXT_TERMS]
    repeats = 2 if more else 1
    quoted = [
        f'"{term}"{" *" if is_letter_of_run(term) else ""}'
        for term in [*own, *phrases] * repeats + more
    ]
    return " OR ".join(quoted) or None


def find(
    db: sqlite3.Connection, query: Query, limit: int, near: Mapping[int, float] = NOTHING_NEAR
) -> Found:
    """At most `limit` passages for the query (more for a comparison), and their excerpts.

    `near` has cosines of the encodings nearest to the query. Passages by words and by meaning are
    fused by rank.
    """
    with snapshot(db):
        reader = query.reader.within(db)
        weights, units, unknown = _weights(db, query, reader)
        expression = match_expression(query.text, query.context)
        if expression is None:
            return Found((), (), weights, units, unknown=unknown)
        passages = _best(db, "passage_terms", expression, limit, reader)
        wanted: set[int] = set()
        order: dict[int, float] = {}
        if near:
            by_meaning = _near_excerpts(db, near, reader)
            wanted |= by_meaning.keys()
            order = fused([passages, by_meaning.values()], limit)
            passages = _scores(db, "passage_terms", expression, order.keys())
        for side in filter(None, map(match_expression, query.sides)):
            more = _best(db, "passage_terms", side, PASSAGES_PER_SIDE, reader)
            passages |= _scores(db, "passage_terms", expression, more.keys() - passages.keys())
            wanted |= _best(db, "excerpt_terms", side, EXCERPTS_PER_SIDE, reader).keys()
        wanted |= _excerpts_within(db, passages)
        excerpts = _best(db, "excerpt_terms", expression, EXCERPTS_FOUND, reader, wanted)
        read = _passages(db, passages)
        return Found(
            tuple(_in_order(read, order)),
            tuple(_excerpts(db, excerpts, read, reader)),
            weights,
            units,
            unknown=unknown,
        )


def matching_passages(
    db: sqlite3.Connection,
    expression: str | None,
    depth: int,
    near: Mapping[int, float] = NOTHING_NEAR,
    reader: Reader = EVERYTHING,
) -> list[Passage]:
    """At most `depth` passages by words, by meaning, or by both, best first.

    `expression` is None if words do not count. BM25 counts words in all documents. Its scores would say
    which words stand in those that are hidden from the reader, so they are replaced by ranks.
    """
    with snapshot(db):
        reader = reader.within(db)
        scores = _best(db, "passage_terms", expression, depth, reader) if expression else {}
        if near or not reader.sees_all:
            scores = fused([scores, _near_excerpts(db, near, reader).values()], depth)
        read = _passages(db, scores)
    return sorted(read.values(), key=lambda passage: -passage.score)


def fused(rankings: Iterable[Iterable[int]], most: int) -> dict[int, float]:
    """The numbers of several rankings with the sums of their reciprocal ranks, best first."""
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, number in enumerate(dict.fromkeys(ranking), start=1):
            scores[number] += 1 / (RANK_OFFSET + rank)
    return dict(sorted(scores.items(), key=lambda one: -one[1])[:most])


def _in_order(read: Mapping[int, Passage], ranks: Mapping[int, float]) -> list[Passage]:
    """The passages by their fused ranks, then those that have none by their scores."""
    numbers = sorted(read, key=lambda number: (-ranks.get(number, 0.0), -read[number].score))
    return [read[number] for number in numbers]


def _near_excerpts(
    db: sqlite3.Connection, near: Mapping[int, float], reader: Reader
) -> dict[int, int]:
    """The excerpts with these encodings and the passage of each, nearest first, no furniture."""
    sql = f"""SELECT encoding, excerpt, passage, number FROM encodings JOIN excerpts USING (content)
        JOIN passages USING (number, position) JOIN documents USING (number)
        WHERE encoding IN (SELECT value FROM json_each(:numbers)) AND {reader.sees}
        ORDER BY excerpt"""
    rows = _among(db, sql, near, reader)
    documents: defaultdict[int, set[int]] = defaultdict(set)
    for encoding, _, _, number in rows:
        documents[encoding].add(number)
    rows.sort(key=lambda row: -near[row[0]])
    return {row[1]: row[2] for row in rows if len(documents[row[0]]) <= FURNITURE}


def openings(db: sqlite3.Connection, count: int) -> Found:
    """The first `count` passages of every document, and their excerpts."""
    with snapshot(db):
        sql = "SELECT passage FROM passages WHERE NOT links AND position <= ?"
        first = {number: 0.0 for (number,) in db.execute(sql, (count,)).fetchall()}
        read = _passages(db, first)
        within = dict.fromkeys(_excerpts_within(db, first), 0.0)
        excerpts = tuple(_excerpts(db, within, read, EVERYTHING))
    return Found(tuple(read.values()), excerpts)


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All reads in the block see one state of the file."""
    with db:
        db.execute("BEGIN")
        yield


def _weights(
    db: sqlite3.Connection, query: Query, reader: Reader
) -> tuple[dict[str, float], int, tuple[str, ...]]:
    """The terms of a query with importance times IDF, the number of excerpts, and unknown words."""
    units = counts(db, reader)["excerpts"]
    in_all = "SELECT doc FROM excerpt_vocabulary WHERE term = :term"
    in_seen = f"""SELECT count(*) FROM excerpt_terms WHERE excerpt_terms MATCH :match
        {_of_seen("excerpt_terms", reader)}"""

    def held_by(term: str) -> int:
        row = db.execute(in_all, {"term": term}).fetchone()
        if row and not reader.sees_all:
            row = db.execute(in_seen, {"match": f'"{term}"', **reader.values}).fetchone()
        return row[0] if row else 0

    def idf(held: int) -> float:
        return math.log(1 + (units - held + 0.5) / (held + 0.5))

    own = query_terms(query.text)
    held = {term: held_by(term) for term in own}
    weights = {term: weight * idf(held[term]) for term, weight in own.items()}
    for term, weight in list(query_terms(query.context).items())[: 4 * MAX_CONTEXT_TERMS]:
        if term not in own and weight > STOP_WEIGHT:
            weights[term] = CONTEXT_WEIGHT * weight * idf(held_by(term))
    telling = {term for term, weight in own.items() if weight > STOP_WEIGHT}
    unknown = frozenset(term for term in telling if not held[term])
    return weights, units, words_with(unknown, query.text)


def _best(
    db: sqlite3.Connection,
    table: str,
    expression: str,
    most: int,
    reader: Reader,
    wanted: Collection[int] = (),
) -> dict[int, float]:
    """The rows that match best, and those wanted in any case, with scores: higher for a better match.

    A wanted row that does not match scores 0. They are found in the same pass: a query for given rows
    takes as long for each of them as this does for a hundred.
    """
    sql = f"""SELECT rowid, -bm25({table}, {WEIGHTS[table]}) FROM {table}
        WHERE {table} MATCH :match {_of_seen(table, reader)}
        ORDER BY rowid IN (SELECT value FROM json_each(:wanted)) DESC, 2 DESC, 1 LIMIT :most"""
    values = {"match": expression, "most": most + len(wanted), "wanted": json.dumps(sorted(wanted))}
    found = dict(db.execute(sql, {**values, **reader.values}).fetchall())
    best = sorted(found, key=lambda number: (-found[number], number))[:most]
    return {number: found.get(number, 0.0) for number in dict.fromkeys([*best, *wanted])}


def _of_seen(table: str, reader: Reader) -> str:
    """The condition that a row of a full-text table is of a document that is there for the reader."""
    if reader.sees_all:
        return ""
    unit = table.removesuffix("_terms")
    return f"""AND EXISTS (SELECT 1 FROM {unit}s JOIN documents USING (number)
        WHERE {unit} = {table}.rowid AND {reader.sees})"""


def _scores(
    db: sqlite3.Connection,
    table: str,
    expression: str | None,
    numbers: Collection[int],
) -> dict[int, float]:
    """The scores of these rows; 0 for those that do not match."""
    sql = f"""SELECT rowid, -bm25({table}, {WEIGHTS[table]}) FROM {table}
        WHERE {table} MATCH ? AND rowid IN (SELECT value FROM json_each(?))"""
    ids = json.dumps(sorted(numbers))
    found = db.execute(sql, (expression, ids)).fetchall() if expression else ()
    return {**dict.fromkeys(numbers, 0.0), **dict(found)}


def _passages(db: sqlite3.Connection, scores: Mapping[int, float]) -> dict[int, Passage]:
    sql = """SELECT passage, document_id, title, position, begin, finish,
            CAST(headings || char(0) || text AS BLOB), crc
        FROM passages JOIN documents USING (number)
        WHERE passage IN (SELECT value FROM json_each(:numbers))"""
    found = {}
    for number, document_id, title, position, begin, finish, content, crc in _among(
        db, sql, scores
    ):
        row = f"Document {document_id}, passage {position},"
        headings, _, text = checked_text(content, crc, row).partition("\0")
        section = headings.rpartition("\n")[2]
        score = scores[number]
        found[number] = Passage(document_id, title, section, position, text, score, begin, finish)
    return found


def _excerpts_within(db: sqlite3.Connection, passages: Iterable[int]) -> set[int]:
    sql = """SELECT excerpt FROM excerpts JOIN passages USING (number, position)
        WHERE passage IN (SELECT value FROM json_each(:numbers))"""
    return {number for (number,) in _among(db, sql, passages)}


def _excerpts(
    db: sqlite3.Connection,
    scores: Mapping[int, float],
    read: Mapping[int, Passage],
    reader: Reader,
) -> Iterator[Excerpt]:
    """These excerpts but the furniture, in the order of the text. `read` has the passages found."""
    by_place = {(one.document_id, one.position): one.score for one in read.values()}
    sql = f"""SELECT excerpt, document_id, title, position, begin, finish, kind, lead,
            CAST(headings || char(0) || text AS BLOB), crc
        FROM excerpts AS one JOIN documents USING (number)
        WHERE excerpt IN (SELECT value FROM json_each(:numbers)) AND (
            SELECT count(DISTINCT number) FROM (SELECT number FROM excerpts AS other
                JOIN documents USING (number)
                WHERE other.digest = one.digest AND {reader.sees} LIMIT 64)) <= {FURNITURE}
        ORDER BY number, begin"""
    for row in _among(db, sql, scores, reader):
        number, document_id, title, position, begin, finish, kind, lead, content, crc = row
        name = f"Document {document_id}, excerpt at {begin},"
        headings, _, text = checked_text(content, crc, name).partition("\0")
        yield Excerpt(
            document_id,
            title,
            tuple(headings.split("\n")) if headings else (),
            position,
            begin,
            finish,
            kind,
            text,
            bool(lead),
            by_place.get((document_id, position), 0.0),
            scores[number],
        )


def _among(
    db: sqlite3.Connection, sql: str, numbers: Iterable[int], reader: Reader = EVERYTHING
) -> list[Any]:
    """All rows of a statement over these numbers.

    All are fetched: a cursor that an error leaves open would keep its state of the file.
    """
    values = {"numbers": json.dumps(sorted(numbers)), **reader.values}
    return db.execute(sql, values).fetchall()


def bm25(text: str, weights: Mapping[str, float]) -> float:
    """BM25 as FTS5 computes it, with the weights of the question as IDF.

    Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009.
    """
    said = terms(text)
    length = _K1 * (1 - _B + _B * len(said) / _AVERAGE_WORDS)
    total = 0.0
    for term, weight in weights.items():
        count = said.count(term)
        total += weight * count * (_K1 + 1) / (count + length) if count else 0.0
    return total
