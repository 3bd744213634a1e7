"""The log on disk: a `Store` over one SQLite database.

Rule: an append of a whole group is one transaction, and a reader holds none across an await.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args
from zlib import crc32

from actors.errors import ActorError
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
from actors.sqlite import BUSY_WAIT, BusyWait, Database, Schema, checked, open_database
from actors.tasks.failure import Failure
from actors.tasks.life import Task, TaskStatus

log = logging.getLogger(__name__)

OUTPUT_VERSION = 1
"""The form of the private outputs that this release writes."""

SCHEMA = Schema(
    noun="log",
    application_id=0x5445525A,  # "TERZ" in ASCII.
    steps=(
        """
        CREATE TABLE tasks (
            mark INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            last_seq INTEGER NOT NULL,
            run INTEGER NOT NULL,
            degraded INTEGER NOT NULL,
            error TEXT,
            task_description TEXT NOT NULL,
            deadline_s REAL,
            metadata TEXT NOT NULL
        );
        CREATE INDEX tasks_by_status ON tasks (status, mark);
        CREATE TABLE log (
            mark INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
            first_seq INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            lines BLOB NOT NULL,
            PRIMARY KEY (mark, last_seq)
        );
        CREATE TABLE outputs (
            mark INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
            step_id TEXT NOT NULL,
            version INTEGER NOT NULL,
            body BLOB NOT NULL,
            PRIMARY KEY (mark, step_id)
        );
        CREATE TABLE owner (orderly INTEGER NOT NULL);
        INSERT INTO owner VALUES (1);
        """,
        """
        ALTER TABLE log ADD COLUMN crc INTEGER; -- CRC-32 of the lines; NULL in older rows
        ALTER TABLE outputs ADD COLUMN crc INTEGER; -- CRC-32 of the body; NULL in older rows
        """,
        """
        ALTER TABLE tasks ADD COLUMN owner TEXT;
        CREATE INDEX tasks_by_owner ON tasks (owner, mark);
        """,
    ),
    fatal_writes=True,
)


@asynccontextmanager
async def open_sqlite_store(file: Path, busy: BusyWait = BUSY_WAIT) -> AsyncIterator[SqliteStore]:
    """Open or create the log; raises what `actors.sqlite.open_database` raises."""
    async with open_database(SCHEMA, file, busy) as database:
        yield SqliteStore(database)


class SqliteStore:
    """A `Store` in one SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- the log ----------------------------------------------------------------------------

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        try:
            return [*await self._database.write(partial(_append, group=group))]
        except _Stale:  # Nothing has been written. Each append gets its own answer.
            return await self._database.write(partial(_append_each, group=group))

    async def read(self, task_id: str, after: int) -> Piece | None:
        return await self._database.read(partial(_read_piece, task_id=task_id, after=after))

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        def work(reader: sqlite3.Connection) -> dict[str, bytes]:
            rows = reader.execute(
                "SELECT step_id, body, crc FROM outputs JOIN tasks USING (mark) WHERE task_id = ?",
                (task_id,),
            ).fetchall()  # A cursor that an error leaves open would keep its state of the file.
            return {
                step_id: checked(body, crc, f"Task {task_id}, output of step {step_id},")
                for step_id, body, crc in rows
            }

        return await self._database.read(work)

    async def delete(self, task_id: str) -> None:
        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM tasks WHERE task_id = ?", (task_id,))

        await self._database.write(work)

    # --- the index --------------------------------------------------------------------------

    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        only = "AND status = :status" if status else ""
        only += " AND owner = :owner" if owner is not None else ""

        def work(reader: sqlite3.Connection) -> IndexPage:
            with closing(reader.cursor()) as cursor, _lenient_text(reader):
                cursor.row_factory = cast(Any, sqlite3.Row)
                rows = cursor.execute(
                    f"SELECT * FROM tasks WHERE mark < :before {only} ORDER BY mark DESC LIMIT :most",
                    {
                        "before": before or 2**62,
                        "most": limit + 1,
                        "status": status,
                        "owner": owner,
                    },
                ).fetchall()
            page = rows[:limit]
            more = page[-1]["mark"] if len(rows) > limit else None
            return IndexPage(tuple(_tasks_of(page)), more)

        return await self._database.read(work)

    async def unfinished(self) -> list[str]:
        def work(reader: sqlite3.Connection) -> list[str]:
            with _lenient_text(reader):
                rows = reader.execute(
                    "SELECT task_id FROM tasks WHERE status IN ('executing', 'queued')"
                    " ORDER BY status, updated_at, mark"
                ).fetchall()
            return [str(task_id) for (task_id,) in rows]

        return await self._database.read(work)

    async def counts(self) -> Mapping[TaskStatus, int]:
        def work(reader: sqlite3.Connection) -> Mapping[TaskStatus, int]:
            rows = reader.execute("SELECT status, count(*) FROM tasks GROUP BY status")
            return dict(rows.fetchall())

        return await self._database.read(work)

    async def claim(self) -> bool:
        def work(writer: sqlite3.Connection) -> bool:
            (orderly,) = writer.execute("SELECT orderly FROM owner").fetchone()
            writer.execute("UPDATE owner SET orderly = 0")
            return bool(orderly)

        return await self._database.write(work)

    async def release(self) -> None:
        def work(writer: sqlite3.Connection) -> None:
            writer.execute("UPDATE owner SET orderly = 1")

        await self._database.write(work)


class _Stale(Exception):
    """An append in the group expects another position than the log has."""


def _append(writer: sqlite3.Connection, group: Sequence[Append]) -> list[Position]:
    """Append a whole group with one statement for each table; raises `_Stale`.

    Between two statements this thread waits for the interpreter's lock, which a busy event loop
    keeps for milliseconds: with a statement for each append, some hundreds would take a second.
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
    _insert(
        writer,
        "INSERT INTO log (mark, first_seq, last_seq, lines, crc)",
        [_lines(append) for append in group],
    )
    outputs = [
        (append.task.task_id, record.step_id, OUTPUT_VERSION, record.output, crc32(record.output))
        for append in group
        for record in append.records
        if record.output
    ]
    if outputs:
        _insert(
            writer, "INSERT OR REPLACE INTO outputs (mark, step_id, version, body, crc)", outputs
        )
    return [append.records[-1].seq for append in group]


def _append_each(
    writer: sqlite3.Connection, group: Sequence[Append]
) -> list[Position | ActorError]:
    return [_append_one(writer, append) for append in group]


def _append_one(writer: sqlite3.Connection, append: Append) -> Position | ActorError:
    try:
        return _append(writer, [append])[0]
    except _Stale:
        return StaleWriter(f"The log of task {append.task.task_id} is not at {append.expected}.")


def _insert(writer: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of a task id and four more columns; the table has the task's mark instead."""
    writer.execute(
        f"WITH new (task_id, a, b, c, d) AS ({_values(rows)})"
        f" {insert} SELECT mark, a, b, c, d FROM new CROSS JOIN tasks USING (task_id)",
        _flat(rows),
    )


_MOVING = "status, updated_at, last_seq, run, degraded, error"
_ROW = f"task_id, expected, {_MOVING}"
_BIRTH = "created_at, task_description, deadline_s, metadata, owner"


def _row(append: Append) -> tuple[Any, ...]:
    task = append.task
    error = json.dumps([task.error.code, task.error.message]) if task.error else None
    moving = (task.status, task.updated_at, task.last_seq, task.run, task.degraded, error)
    return (task.task_id, append.expected, *moving)


def _birth(append: Append) -> tuple[Any, ...]:
    task = append.task
    metadata = json.dumps(dict(task.metadata))
    return (task.created_at, task.task_description, task.deadline_s, metadata, task.owner)


def _lines(append: Append) -> tuple[Any, ...]:
    first, last = append.records[0].seq, append.records[-1].seq
    return (append.task.task_id, first, last, append.lines, crc32(append.lines))


def _values(rows: Sequence[tuple[Any, ...]]) -> str:
    """`VALUES` with a placeholder for each value."""
    row = f"({', '.join('?' * len(rows[0]))})"
    return f"VALUES {', '.join([row] * len(rows))}"


def _flat(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for row in rows for value in row]


def _read_piece(reader: sqlite3.Connection, task_id: str, after: int) -> Piece | None:
    found: list[bytes] = []
    size, last = 0, after
    rows = reader.execute(  # In the order of the key, so that no more rows are read than used.
        "SELECT first_seq, log.last_seq, lines, crc FROM log JOIN tasks USING (mark)"
        " WHERE task_id = ? AND log.last_seq > ? ORDER BY log.last_seq",
        (task_id, after),
    )
    with closing(rows):
        for first_seq, last_seq, lines, crc in rows:
            checked(lines, crc, f"Task {task_id}, event {first_seq},")
            found.append(lines_after(lines, first_seq, after))
            size, last = size + len(found[-1]), last_seq
            if size >= PIECE_BYTES:
                break
    return Piece(after + 1, last, b"".join(found)) if found else None


@contextmanager
def _lenient_text(reader: sqlite3.Connection) -> Iterator[None]:
    """Read broken UTF-8 with replacement characters: else one row fails the whole query."""
    reader.text_factory = lambda text: text.decode(errors="replace")
    try:
        yield
    finally:
        reader.text_factory = str


def _tasks_of(rows: Sequence[sqlite3.Row]) -> Iterator[Task]:
    """The tasks of index rows. A damaged row is named and left out, so that a list shows the others."""
    for row in rows:
        try:
            yield _task_of(row)
        except (ValueError, TypeError, AttributeError) as damaged:
            log.error("the index row %s of a task is damaged: %s", row["mark"], damaged)


def _task_of(row: sqlite3.Row) -> Task:
    if row["status"] not in get_args(TaskStatus):
        raise ValueError(f"the status is {row['status']!r}")
    for name in ("created_at", "updated_at"):
        datetime.fromisoformat(row[name])
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
        metadata=dict(json.loads(row["metadata"])),
        owner=row["owner"],
    )
