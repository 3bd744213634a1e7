"""The log on disk: SQLite in WAL mode with `synchronous=FULL`.

Rule: one transaction is one thread call that nothing abandons. One connection writes; readers have
read-only connections of their own and hold no transaction across an await.
"""

from __future__ import annotations

import json
import queue
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar, cast

import trio

from actors.errors import ActorError, StorageUnavailable
from actors.journal import schema
from actors.journal.log import (
    EMPTY,
    PIECE_BYTES,
    Append,
    IndexPage,
    Piece,
    Position,
    StaleWriter,
    lines_after,
)
from actors.tasks.evidence import Failure
from actors.tasks.life import Task, TaskStatus

T = TypeVar("T")

READERS = 2
"""How many reads run at once, each on a connection of its own."""

OUTPUT_VERSION = 1
"""The form of the private outputs that this release writes."""


@asynccontextmanager
async def open_sqlite_store(file: Path) -> AsyncIterator[SqliteStore]:
    """Open or create the database; raises `schema.UnusableDatabase` and then changes nothing."""
    store = await trio.to_thread.run_sync(SqliteStore, file)
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


class SqliteStore:
    """A `Store` in one SQLite file."""

    def __init__(self, file: Path) -> None:
        self._writer = schema.connect(file)
        self._write_limiter = trio.CapacityLimiter(1)
        self._read_limiter = trio.CapacityLimiter(READERS)
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(schema.connect_reader(file))

    def close(self) -> None:
        """Close every connection; the last one folds the WAL into the file."""
        while not self._readers.empty():
            self._readers.get().close()
        self._writer.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction() -> T:
            try:
                with self._writer:
                    self._writer.execute("BEGIN IMMEDIATE")
                    return work(self._writer)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise StorageUnavailable("There is no room left for the log.") from None
                raise

        return await trio.to_thread.run_sync(transaction, limiter=self._write_limiter)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def reading() -> T:
            reader = self._readers.get_nowait()
            try:
                return work(reader)
            finally:
                self._readers.put(reader)

        return await trio.to_thread.run_sync(reading, limiter=self._read_limiter)

    # --- the log ----------------------------------------------------------------------------

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        return await self._write(lambda writer: [_append(writer, one) for one in group])

    async def read(self, task_id: str, after: int) -> Piece | None:
        return await self._read(lambda reader: _read_piece(reader, task_id, after))

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        def work(reader: sqlite3.Connection) -> dict[str, bytes]:
            return dict(
                reader.execute(
                    "SELECT step_id, body FROM outputs JOIN tasks USING (mark) WHERE task_id = ?",
                    (task_id,),
                ).fetchall()
            )

        return await self._read(work)

    async def delete(self, task_id: str) -> None:
        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM tasks WHERE task_id = ?", (task_id,))

        await self._write(work)

    # --- the index --------------------------------------------------------------------------

    async def page(self, status: TaskStatus | None, limit: int, before: int | None) -> IndexPage:
        only = "AND status = :status" if status else ""

        def work(reader: sqlite3.Connection) -> IndexPage:
            with closing(reader.cursor()) as cursor:
                cursor.row_factory = cast(Any, sqlite3.Row)
                rows = cursor.execute(
                    f"SELECT * FROM tasks WHERE mark < :before {only} ORDER BY mark DESC LIMIT :most",
                    {"before": before or 2**62, "status": status, "most": limit + 1},
                ).fetchall()
            page = rows[:limit]
            more = page[-1]["mark"] if len(rows) > limit else None
            return IndexPage(tuple(_task_of(row) for row in page), more)

        return await self._read(work)

    async def unfinished(self) -> list[str]:
        def work(reader: sqlite3.Connection) -> list[str]:
            rows = reader.execute(
                "SELECT task_id FROM tasks WHERE status IN ('executing', 'queued')"
                " ORDER BY status, updated_at, mark"
            )
            return [task_id for (task_id,) in rows]

        return await self._read(work)

    async def counts(self) -> Mapping[TaskStatus, int]:
        def work(reader: sqlite3.Connection) -> Mapping[TaskStatus, int]:
            rows = reader.execute("SELECT status, count(*) FROM tasks GROUP BY status")
            return dict(rows.fetchall())

        return await self._read(work)

    async def claim(self) -> bool:
        def work(writer: sqlite3.Connection) -> bool:
            (orderly,) = writer.execute("SELECT orderly FROM owner").fetchone()
            writer.execute("UPDATE owner SET orderly = 0")
            return bool(orderly)

        return await self._write(work)

    async def release(self) -> None:
        def work(writer: sqlite3.Connection) -> None:
            writer.execute("UPDATE owner SET orderly = 1")

        await self._write(work)


def _append(writer: sqlite3.Connection, append: Append) -> Position | ActorError:
    task = append.task
    error = json.dumps([task.error.code, task.error.message]) if task.error else None
    moving = (task.status, task.updated_at, task.last_seq, task.run, task.degraded, error)
    if append.expected == EMPTY:
        found = writer.execute(
            "INSERT INTO tasks (status, updated_at, last_seq, run, degraded, error, task_id,"
            " created_at, task_description, deadline_s, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (task_id) DO NOTHING RETURNING mark",
            (
                *moving,
                task.task_id,
                task.created_at,
                task.task_description,
                task.deadline_s,
                json.dumps(dict(task.metadata)),
            ),
        ).fetchone()
    else:
        found = writer.execute(
            "UPDATE tasks SET status = ?, updated_at = ?, last_seq = ?, run = ?, degraded = ?,"
            " error = ? WHERE task_id = ? AND last_seq = ? RETURNING mark",
            (*moving, task.task_id, append.expected),
        ).fetchone()
    if found is None:
        return StaleWriter(f"Task {task.task_id} does not stand at {append.expected}.")
    (mark,) = found
    first, last = append.records[0].seq, append.records[-1].seq
    writer.execute("INSERT INTO log VALUES (?, ?, ?, ?)", (mark, first, last, append.lines))
    writer.executemany(
        "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)",
        [(mark, r.step_id, OUTPUT_VERSION, r.output) for r in append.records if r.output],
    )
    return last


def _read_piece(reader: sqlite3.Connection, task_id: str, after: int) -> Piece | None:
    found: list[bytes] = []
    size, last = 0, after
    rows = reader.execute(
        "SELECT first_seq, log.last_seq, lines FROM log JOIN tasks USING (mark)"
        " WHERE task_id = ? AND log.last_seq > ? ORDER BY first_seq",
        (task_id, after),
    )
    with closing(rows):
        for first_seq, last_seq, lines in rows:
            found.append(lines_after(lines, first_seq, after))
            size, last = size + len(found[-1]), last_seq
            if size >= PIECE_BYTES:
                break
    return Piece(after + 1, last, b"".join(found)) if found else None


def _task_of(row: sqlite3.Row) -> Task:
    return Task(
        task_id=row["task_id"],
        task_description=row["task_description"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status=row["status"],
        last_seq=row["last_seq"],
        run=row["run"],
        error=Failure(*json.loads(row["error"])) if row["error"] else None,
        degraded=bool(row["degraded"]),
        deadline_s=row["deadline_s"],
        metadata=json.loads(row["metadata"]),
    )
