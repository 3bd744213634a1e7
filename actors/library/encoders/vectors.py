"""Search by meaning: the vectors of one database, if the extra `vectors` is installed.

The vectors of a document are computed when it is added, and stored with it. Passages without vectors
(added before the extra was installed, say) get theirs in the background while the library is open, a
few at a time, and are found by their words until then.

Rule: long work runs in the database's threads, in slices of at most about 20 ms; between two slices
the asker may be cancelled. The number of a vector is never used twice, so a vector that was read once
need not be read again.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from actors.errors import StorageUnavailable
from actors.library.documents import ParsedDocument
from actors.library.parsing.blocks import storable
from actors.library.statements import snapshot, worth
from actors.sqlite import Database

if TYPE_CHECKING:
    from actors.library.encoders.embedding import Embedder

_LONGEST_QUERY = 4_000
_TEXTS_AT_ONCE = 16
_ROWS_AT_ONCE = 2_048
_PAUSE_S = 0.05
"""Between two slices of filling in the background, so that it uses at most half a processor."""

_REPAIR = "Try: pip install --force-reinstall 'terzetto[vectors]'"

_log = logging.getLogger(__name__)


@cache
def packaged_embedder() -> Embedder | None:
    """The embedder of the extra `vectors`; None where that is not installed, or broken."""
    package = find_spec("wordllama")
    if package is None or not package.submodule_search_locations:
        return None
    try:
        from actors.library.encoders.embedding import Embedder

        return Embedder(Path(package.submodule_search_locations[0]))
    except (OSError, ImportError) as error:
        _log.warning("Passages are found by their words only: %s. %s", error, _REPAIR)
        return None


def embeddable(title: str, section: str, text: str) -> str:
    """The text of a passage that its vector is computed from."""
    return "\n".join(part for part in (title, section, text) if part)


class Vectors:
    """The vectors of one database; `workshop` computes."""

    def __init__(self, embedder: Embedder, database: Database, workshop: Database) -> None:
        from actors.library.encoders.vector_index import VectorIndex

        self._embedder = embedder
        self._database = database
        self._compute = workshop.compute
        self._index = VectorIndex()
        self._dropped = 0
        self._refreshing = trio.Lock()

    async def adopt(self) -> None:
        """Forget vectors that another model made."""
        model = self._embedder.model
        if await self._database.read(_model) != model:
            await self._database.write(partial(_adopt_model, model=model))

    async def with_vectors(self, reading: ParsedDocument) -> ParsedDocument:
        """A document to be added, with a vector for each of its passages."""
        title = reading.document.title
        texts = [embeddable(title, cut.section, cut.text) for cut in reading.cuts]
        return replace(reading, vectors=tuple(await self.embeddings(texts)))

    async def embeddings(self, texts: Sequence[str]) -> list[bytes]:
        """The vectors of texts, in their stored form."""
        found: list[bytes] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            found += await self._compute(partial(self._embedder.embeddings, part))
        return found

    async def fill(self, pause_s: float = 0.0) -> None:
        """Give a vector to every passage that has none."""
        if await self._database.read(_is_complete):
            return
        after = 0
        while passages := await self._database.read(
            partial(_passages_without, after=after, limit=_TEXTS_AT_ONCE)
        ):
            embeddings = await self.embeddings([embeddable(*row[1:]) for row in passages])
            await self._database.write(partial(_store, passages=passages, embeddings=embeddings))
            after = passages[-1][0]
            await trio.sleep(pause_s)

    async def fill_in_background(self) -> None:
        """Read the vectors that are stored, then fill in the missing ones, with pauses.

        What cannot be stored is tried again at the next start.
        """
        try:
            async with self._refreshing:
                await self._refresh()
            await self.fill(_PAUSE_S)
        except StorageUnavailable as error:
            _log.warning("Some passages have no vectors yet: %s", error.message)

    async def nearest(self, query: str, most: int) -> dict[int, float]:
        """At most so many vectors by number, nearest to the query first, with their cosines."""
        text = storable(query[:_LONGEST_QUERY])
        vector = await self._compute(partial(self._embedder.vector, text))
        async with self._refreshing:
            await self._refresh()
            ranking = self._index.ranking(vector)
        while await self._compute(ranking.step):
            pass
        return await self._compute(partial(ranking.best, most))

    async def _refresh(self) -> None:
        """Bring the index up to date with the database."""
        while True:
            room = min(_ROWS_AT_ONCE, self._index.room)
            newer = partial(_newer, last=self._index.last, limit=room)
            rows, dropped = await self._database.read(newer)
            if not len(self._index):
                self._dropped = dropped
            if rows:
                await self._compute(partial(self._index.append, rows))
            elif dropped != self._dropped:
                left = await self._database.read(_numbers)
                await self._compute(partial(self._index.keep, left))
                self._dropped = dropped
            else:
                return


# --- statements -------------------------------------------------------------------------------

BarePassage = tuple[int, str, str, str]
"""A passage without a vector: its number, title, section and text."""


def _model(db: sqlite3.Connection) -> str | None:
    """The model that made the vectors in the library; None before there are any."""
    row = db.execute("SELECT model FROM vector_model").fetchone()
    return row[0] if row else None


def _adopt_model(db: sqlite3.Connection, model: str) -> None:
    """Make this the model of the vectors, and delete those of another one."""
    db.execute("DELETE FROM vectors")
    db.execute("DELETE FROM vector_model")
    db.execute("INSERT INTO vector_model VALUES (?)", (model,))


def _is_complete(db: sqlite3.Connection) -> bool:
    """Whether every passage has a vector; counts in indexes, which is fast."""
    sql = "SELECT (SELECT count(*) FROM passages) = (SELECT count(*) FROM vectors)"
    (complete,) = db.execute(sql).fetchone()
    return bool(complete)


def _passages_without(db: sqlite3.Connection, after: int, limit: int) -> list[BarePassage]:
    """Passages that have no vector, in order, after passage number `after`.

    What is not UTF-8 any more is replaced, and `_store` then finds that the passage differs.
    """
    sql = """SELECT passage, CAST(title AS BLOB), CAST(section AS BLOB), CAST(text AS BLOB)
        FROM titled_passages
        WHERE passage > ? AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.passage = titled_passages.passage)
        ORDER BY passage LIMIT ?"""
    return [
        (passage, *(part.decode(errors="replace") for part in parts))
        for passage, *parts in db.execute(sql, (after, limit))
    ]


def _store(
    db: sqlite3.Connection, passages: Sequence[BarePassage], embeddings: Sequence[bytes]
) -> None:
    """Store the vectors of those passages that have not changed since they were read."""
    sql = """INSERT OR IGNORE INTO vectors (passage, embedding) SELECT passage, ? FROM titled_passages
        WHERE passage = ? AND title = ? AND section = ? AND text = ?"""
    db.executemany(
        sql, [(each, *passage) for passage, each in zip(passages, embeddings, strict=True)]
    )


def _newer(
    db: sqlite3.Connection, last: int, limit: int
) -> tuple[list[tuple[int, bytes, float]], int]:
    """Vectors with numbers after `last` (number, bytes, the worth of its passage), and how many
    vectors were ever deleted."""
    sql = f"""SELECT vector, embedding, {worth("vectors.passage")} FROM vectors
        WHERE vector > ? ORDER BY vector LIMIT ?"""
    with snapshot(db):
        found = db.execute(sql, (last, limit)).fetchall()
        (dropped,) = db.execute("SELECT number FROM dropped_vectors").fetchone()
    return found, int(dropped)


def _numbers(db: sqlite3.Connection) -> array[int]:
    """The numbers of all vectors, without an object for each."""
    rows = db.execute("SELECT vector FROM vectors INDEXED BY sqlite_autoindex_vectors_1")
    return array("q", (number for (number,) in rows))
