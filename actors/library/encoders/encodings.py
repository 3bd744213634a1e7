"""The vectors of the excerpts of one database: computed in the background, kept, and searched.

Rule: a vector belongs to what an excerpt says (title, headings, text), which is encoded once. What has no
vector yet is encoded while a question waits, within its time; after that words decide.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from actors.errors import StorageUnavailable
from actors.library.contents import digest
from actors.library.encoders.worker import EncoderWorker, LoadedEncoder
from actors.library.readers import EVERYTHING, Reader
from actors.library.retrieval import EXCERPTS_FOUND, Found, Query
from actors.sqlite import Database
from actors.tasks.evidence import Excerpt

if TYPE_CHECKING:
    from actors.library.encoders.vectors import Ranking, Vector, VectorIndex

TEXTS_AT_ONCE = 16
"""Texts of one call in the background. A question waits for one call at most, about 0.3 s."""
_TEXTS_READ, _ROWS_READ = 256, 2_048
LOOKED_FURTHER = 8
"""How many times more vectors are looked at if too few of them are for the reader."""
_EXCERPTS_PER_LINE = 2_000
_SETTLE_S = 1.0
"""A pause after changes, so that many documents are looked through once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The vector of a query, and the vectors nearest to it: numbers in `encodings` with cosines."""

    query: Vector
    cosines: Mapping[int, float]
    by: LoadedEncoder


class Encodings:
    """The vectors of one database; `compute` runs long work in a thread."""

    def __init__(self, worker: EncoderWorker, database: Database, threads: Database) -> None:
        self._worker = worker
        self._database = database
        self._compute = threads.compute
        self._index: VectorIndex | None = None
        self._refreshing = trio.Lock()
        self._filling = trio.Lock()
        self._changed = trio.Event()
        self._may_have_dropped = False

    @property
    def problem(self) -> str:
        """Why there are no vectors; "" if nothing is wrong."""
        return self._worker.problem

    def changed(self) -> None:
        """Documents were added or removed."""
        self._may_have_dropped = True
        self._changed.set()

    async def count(self, reader: Reader = EVERYTHING) -> int:
        """How many excerpts have a vector."""
        loaded = self._worker.current
        if loaded is None:
            return 0
        count = partial(_count_encoded, model=loaded.encoder.name, reader=reader)
        return await self._database.read(count)

    # --- computing ----------------------------------------------------------------------------

    async def fill_in_background(self) -> None:
        """Give every excerpt its vector, now and after each change."""
        while True:
            self._changed = trio.Event()
            try:
                if not await self.fill():
                    await trio.sleep(self._worker.retry_s)
                    continue
            except StorageUnavailable as error:
                log.warning("some excerpts have no vectors yet: %s", error.message)
            await self._changed.wait()
            await trio.sleep(_SETTLE_S)

    async def fill(self) -> bool:
        """Give a vector to every excerpt that has none; False if the encoder fails meanwhile."""
        async with self._filling:
            loaded = await self._worker.loaded()
            return loaded is not None and await self._fill(loaded.encoder.name)

    async def _fill(self, model: str) -> bool:
        await self._database.write(partial(_forget_others, model=model))
        after, done = 0, 0
        while rows := await self._database.read(
            partial(_unencoded, model=model, after=after, limit=_TEXTS_READ)
        ):
            for start in range(0, len(rows), TEXTS_AT_ONCE):
                part = rows[start : start + TEXTS_AT_ONCE]
                await self._worker.idle()
                if not await self._encode({each: text for _, each, text in part}, model):
                    return False
                done += len(part)
                if done % _EXCERPTS_PER_LINE < len(part) and done > len(part):
                    log.info("encoded %s excerpts more", f"{done:,}")
            after = rows[-1][0]
        return True

    async def _encode(self, texts: Mapping[bytes, str], model: str) -> bool:
        from actors.library.encoders.vectors import packed

        vectors = await self._worker.encode([*texts.values()])
        if vectors is None:
            return False
        rows = [(each, packed(vector)) for each, vector in zip(texts, vectors, strict=True)]
        await self._database.write(partial(_store, model=model, rows=rows))
        return True

    # --- searching ----------------------------------------------------------------------------

    async def find(self, query: Query, find: Callable[..., Found]) -> Found | None:
        """What `find` finds with the vectors nearest to a query; None without an encoder in time."""
        with trio.move_on_after(self._worker.query_s), self._worker.urgent():
            nearest = await self.nearest(query.text, EXCERPTS_FOUND, query.reader)
            if nearest is not None:
                found = await self._database.read(partial(find, near=nearest.cosines))
                excerpts = await self.with_similarity(nearest, found.excerpts)
                return replace(found, excerpts=excerpts) if excerpts else None
        return None

    async def nearest_in_time(
        self, text: str, most: int, reader: Reader = EVERYTHING
    ) -> Nearest | None:
        """The vectors nearest to a text; None without an encoder in time."""
        with trio.move_on_after(self._worker.query_s), self._worker.urgent():
            return await self.nearest(text, most, reader)
        return None

    async def compared(self, text: str, excerpts: Sequence[Excerpt]) -> tuple[Excerpt, ...]:
        """Excerpts with their similarity to a text; as they are without an encoder in time."""
        with trio.move_on_after(self._worker.query_s), self._worker.urgent():
            if (nearest := await self.nearest(text, 1)) is not None:
                return await self.with_similarity(nearest, excerpts) or tuple(excerpts)
        return tuple(excerpts)

    async def nearest(self, text: str, most: int, reader: Reader = EVERYTHING) -> Nearest | None:
        """The vectors nearest to a text; None if the encoder fails."""
        loaded = await self._worker.loaded()
        vectors = await self._worker.encode([text]) if loaded else None
        if loaded is None or vectors is None:
            return None
        async with self._refreshing:
            index = await self._refreshed(loaded)
            ranking = index.ranking(vectors[0])
        while await self._compute(ranking.step):
            pass
        return Nearest(vectors[0], await self._best(ranking, most, reader), loaded)

    async def _best(self, ranking: Ranking, most: int, reader: Reader) -> dict[int, float]:
        """The best vectors of what the reader sees: the ranking is read on until there are enough."""
        looked = most
        while True:
            best = await self._compute(partial(ranking.best, looked))
            if reader.sees_all:
                return best
            seen = await self._database.read(partial(_seen, numbers=[*best], reader=reader))
            if len(seen) >= most or len(best) < looked:
                return {number: best[number] for number in [n for n in best if n in seen][:most]}
            looked *= LOOKED_FURTHER

    async def with_similarity(
        self, nearest: Nearest, excerpts: Sequence[Excerpt]
    ) -> tuple[Excerpt, ...]:
        """The excerpts with their similarity to the query; none if the encoder fails."""
        from actors.library.encoders.vectors import cosines, packed

        texts = {
            _content(one): encoded_text(one.title, *one.headings, one.text) for one in excerpts
        }
        model = nearest.by.encoder.name
        known = await self._database.read(partial(_vectors, model=model, contents=[*texts]))
        missing = [each for each in texts if each not in known]
        for start in range(0, len(missing), TEXTS_AT_ONCE):
            part = missing[start : start + TEXTS_AT_ONCE]
            vectors = await self._worker.encode([texts[each] for each in part])
            if vectors is None:
                return ()
            rows = [*zip(part, map(packed, vectors), strict=True)]
            await self._database.write(partial(_store, model=model, rows=rows))
            known |= dict(rows)
        found = dict(zip(known, cosines(nearest.query, [*known.values()]), strict=True))
        similarity = nearest.by.similarity
        return tuple(replace(e, similarity=similarity(found[_content(e)])) for e in excerpts)

    async def _refreshed(self, loaded: LoadedEncoder) -> VectorIndex:
        """The index, brought up to date with the database."""
        from actors.library.encoders.vectors import VectorIndex

        model = loaded.encoder.name
        index = self._index = self._index or VectorIndex(loaded.encoder.dimensions)
        if self._may_have_dropped:
            self._may_have_dropped = False
            if len(index):
                await self._compute(partial(index.keep, await self._database.read(_numbers)))
        while rows := await self._database.read(
            partial(_newer, model=model, last=index.last, limit=min(_ROWS_READ, index.room))
        ):
            await self._compute(partial(index.append, rows))
        return index


def encoded_text(*parts: str) -> str:
    """The text that a vector is computed from: title, headings and text of an excerpt."""
    return "\n".join(part for part in parts if part)


def _content(excerpt: Excerpt) -> bytes:
    return digest(excerpt.title, "\n".join(excerpt.headings), excerpt.text)


# --- statements -------------------------------------------------------------------------------


def _count_encoded(db: sqlite3.Connection, model: str, reader: Reader) -> int:
    sql = f"""SELECT count(*) FROM excerpts JOIN documents USING (number)
        WHERE {reader.sees} AND EXISTS (SELECT 1 FROM encodings
            WHERE encodings.content = excerpts.content AND model = :model)"""
    return int(db.execute(sql, {"model": model, **reader.values}).fetchone()[0])


def _forget_others(db: sqlite3.Connection, model: str) -> None:
    """Delete the vectors of other models."""
    if db.execute("SELECT 1 FROM encodings WHERE model <> ? LIMIT 1", (model,)).fetchone():
        db.execute("DELETE FROM encodings WHERE model <> ?", (model,))


def _unencoded(
    db: sqlite3.Connection, model: str, after: int, limit: int
) -> list[tuple[int, bytes, str]]:
    """Excerpts without a vector, in order, after excerpt number `after`: number, content, text.

    What is not UTF-8 any more is replaced: reading such an excerpt reports the damage.
    """
    sql = """SELECT excerpt, content, CAST(title AS BLOB), CAST(headings AS BLOB),
            CAST(text AS BLOB) FROM excerpts JOIN documents USING (number)
        WHERE excerpt > ? AND NOT EXISTS (SELECT 1 FROM encodings
            WHERE encodings.content = excerpts.content AND model = ?)
        ORDER BY excerpt LIMIT ?"""
    return [
        (number, content, encoded_text(*(part.decode(errors="replace") for part in parts)))
        for number, content, *parts in db.execute(sql, (after, model, limit)).fetchall()
    ]


def _store(db: sqlite3.Connection, model: str, rows: Sequence[tuple[bytes, bytes]]) -> None:
    """Store vectors of content that is still there."""
    sql = """INSERT OR IGNORE INTO encodings (content, model, vector) SELECT ?1, ?2, ?3
        WHERE EXISTS (SELECT 1 FROM excerpts WHERE content = ?1)"""
    db.executemany(sql, [(each, model, vector) for each, vector in rows])


def _vectors(db: sqlite3.Connection, model: str, contents: Sequence[bytes]) -> dict[bytes, bytes]:
    sql = "SELECT content, vector FROM encodings WHERE content = ? AND model = ?"
    rows = (db.execute(sql, (each, model)).fetchone() for each in contents)
    return dict(row for row in rows if row)


def _newer(db: sqlite3.Connection, model: str, last: int, limit: int) -> list[tuple[int, bytes]]:
    """Vectors with numbers after `last`."""
    sql = """SELECT encoding, vector FROM encodings WHERE encoding > ? AND model = ?
        ORDER BY encoding LIMIT ?"""
    return db.execute(sql, (last, model, limit)).fetchall()


def _seen(db: sqlite3.Connection, numbers: Sequence[int], reader: Reader) -> set[int]:
    """Which of these vectors are of excerpts that are there for the reader."""
    sql = f"""SELECT encoding FROM encodings WHERE encoding IN (SELECT value FROM json_each(:numbers))
        AND EXISTS (SELECT 1 FROM excerpts JOIN documents USING (number)
            WHERE excerpts.content = encodings.content AND {reader.sees})"""
    values = {"numbers": json.dumps(numbers), **reader.values}
    return {number for (number,) in db.execute(sql, values).fetchall()}


def _numbers(db: sqlite3.Connection) -> list[int]:
    """The numbers of all vectors."""
    return [number for (number,) in db.execute("SELECT encoding FROM encodings").fetchall()]
