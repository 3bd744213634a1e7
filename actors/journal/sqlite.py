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
from actors.tasks.failure import Failure
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
        try:
            return [*await self._write(lambda writer: _append(writer, group))]
        except _Stale:  # Nothing has been written. Each is answered for itself.
            return await self._write(lambda writer: [_append_one(writer, one) for one in group])

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


class _Stale(Exception):
    """A writer in the group is not where the log is."""


def _append(writer: sqlite3.Connection, group: Sequence[Append]) -> list[Position]:
    """Append a whole group, in one statement a table; raises `_Stale` after having begun.

    Between two statements this thread waits for the interpreter's lock, which a busy event loop
    keeps for milliseconds: what takes a statement for each append takes a second for some hundreds.
    """
    old = [_row(append) for append in group if append.expected != EMPTY]
    new = [_row(append) + _birth(append) for append in group if append.expected == EMPTY]
    before = writer.total_changes
    if old:
        writer.execute(
            f"WITH new ({_ROW}) AS ({_values(old)}) UPDATE tasks SET status = new.status,"
            " updated_at = new.updated_at, last_seq = new.last_seq, run = new.run,"
            " degraded = new.degraded, error = new.error FROM new"
            " WHERE tasks.task_id = new.task_id AND tasks.last_seq = new.expected",
            _flat(old),
        )
    if new:
        writer.execute(
            f"WITH new ({_ROW}, {_BIRTH}) AS ({_values(new)})"
            f" INSERT INTO tasks (task_id, {_MOVING}, {_BIRTH})"
            f" SELECT task_id, {_MOVING}, {_BIRTH} FROM new WHERE true"
            " ON CONFLICT (task_id) DO NOTHING",
            _flat(new),
        )
    if writer.total_changes - before < len(group):
        raise _Stale
    _insert(writer, "INSERT INTO log", [_lines(append) for append in group])
    outputs = [
        (append.task.task_id, record.step_id, OUTPUT_VERSION, record.output)
        for append in group
        for record in append.records
        if record.output
    ]
    if outputs:
        _insert(writer, "INSERT OR REPLACE INTO outputs", outputs)
    return [append.records[-1].seq for append in group]


def _append_one(writer: sqlite3.Connection, append: Append) -> Position | ActorError:
    try:
        return _append(writer, [append])[0]
    except _Stale:
        return StaleWriter(f"Task {append.task.task_id} does not stand at {append.expected}.")


def _insert(writer: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of a task id and three columns more, into a table that has the task's mark instead."""
    writer.execute(
        f"WITH new (task_id, a, b, c) AS ({_values(rows)})"
        f" {insert} SELECT mark, a, b, c FROM new CROSS JOIN tasks USING (task_id)",
        _flat(rows),
    )


_MOVING = "status, updated_at, last_seq, run, degraded, error"
_ROW = f"task_id, expected, {_MOVING}"
_BIRTH = "created_at, task_description, deadline_s, metadata"


def _row(append: Append) -> tuple[Any, ...]:
    task = append.task
    error = json.dumps([task.error.code, task.error.message]) if task.error else None
    moving = (task.status, task.updated_at, task.last_seq, task.run, task.degraded, error)
    return (task.task_id, append.expected, *moving)


def _birth(append: Append) -> tuple[Any, ...]:
    task = append.task
    metadata = json.dumps(dict(task.metadata))
    return (task.created_at, task.task_description, task.deadline_s, metadata)


def _lines(append: Append) -> tuple[Any, ...]:
    return (append.task.task_id, append.records[0].seq, append.records[-1].seq, append.lines)


def _values(rows: Sequence[tuple[Any, ...]]) -> str:
    """`VALUES` with a placeholder for each value."""
    row = f"({', '.join('?' * len(rows[0]))})"
    return f"VALUES {', '.join([row] * len(rows))}"


def _flat(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for row in rows for value in row]


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
