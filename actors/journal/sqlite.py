"""The log on disk: a `Store` over one SQLite database.

Rule: an append of a whole group is one transaction, and a reader holds none across an await.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast, get_args
from zlib import crc32

from actors.errors import ActorError, StorageUnavailable
from actors.journal import salvage
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
from actors.journal.sqlite_snapshots import keep_snapshots
from actors.sqlite import BUSY_WAIT, BusyWait, Database, Schema, Work, open_database
from actors.sqlite_errors import DamagedRecord, UnusableDatabase, checked
from actors.tasks.failure import Failure
from actors.tasks.life import Task, TaskStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

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
        CREATE TABLE snapshots (
            mark INTEGER PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            body BLOB NOT NULL,
            crc INTEGER NOT NULL
        );
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
        answers: list[Position | ActorError]
        try:
            answers = [*await self._database.write(partial(_append, group=group))]
        except _Stale:  # Nothing has been written. Each append gets its own answer.
            answers = await self._database.write(partial(_append_each, group=group))
        except UnusableDatabase:  # Damage is the fault of those tasks whose pages have it.
            answers = [await self._append_alone(one) for one in group]
        if any(append.snapshot for append in group):
            pairs = zip(group, answers, strict=True)
            done = [append for append, answer in pairs if not isinstance(answer, ActorError)]
            await self._keep_snapshots(done)
        return answers

    async def _append_alone(self, append: Append) -> Position | ActorError:
        try:
            return await self._database.write(partial(_append_one, append=append))
        except UnusableDatabase as damaged:
            return damaged

    async def _keep_snapshots(self, group: Iterable[Append]) -> None:
        """This is a transaction of its own, so that it can fail without failing the appends."""
        try:
            await self._database.write(partial(keep_snapshots, appends=group))
        except (DamagedRecord, UnusableDatabase, StorageUnavailable) as error:
            log.error("%s", error)

    async def read(self, task_id: str, after: int) -> Piece | None:
        return await self._database.read(partial(_read_piece, task_id=task_id, after=after))

    async def snapshot(self, task_id: str) -> bytes | None:
        def work(reader: sqlite3.Connection) -> bytes | None:
            rows = reader.execute(
                "SELECT body, crc FROM snapshots AS s JOIN tasks USING (mark) WHERE task_id = ?"
                " AND EXISTS (SELECT 1 FROM log WHERE log.mark = s.mark AND log.last_seq >= s.seq)",
                (task_id,),
            ).fetchall()
            found = [checked(body, crc, f"Task {task_id}, snapshot,") for body, crc in rows]
            return found[0] if found else None

        return await self._database.read(work)

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

    async def delete(self, task_id: str) -> TaskStatus | None:
        try:
            return await self._database.write(partial(_delete, task_id=task_id))
        except UnusableDatabase:
            forget = partial(salvage.forget, task_id=task_id)
            return await self._database.write(forget, references=False)

    # --- the index --------------------------------------------------------------------------

    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        only = "AND status = :status" if status else ""
        only += " AND owner = :owner" if owner is not None else ""

        def work(reader: sqlite3.Connection) -> IndexPage:
            with closing(reader.cursor()) as cursor:
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
            return _page_of(rows, limit)

        def salvaged(reader: sqlite3.Connection) -> IndexPage:
            rows = salvage.index_rows(reader, before)
            wanted = (
                row
                for row in rows
                if status in (None, row["status"]) and owner in (None, row["owner"])
            )
            return _page_of(list(islice(wanted, limit + 1)), limit)

        return await self._read_index(work, salvaged)

    async def owner(self, task_id: str) -> str | None:
        def work(reader: sqlite3.Connection) -> str | None:
            sql = "SELECT owner FROM tasks WHERE task_id = ?"
            rows = reader.execute(sql, (task_id,)).fetchall()
            return rows[0][0] if rows else None

        return await self._read_index(work, partial(salvage.owner, task_id=task_id))

    async def unfinished(self) -> list[str]:
        def work(reader: sqlite3.Connection) -> list[str]:
            rows = reader.execute(
                "SELECT task_id FROM tasks WHERE status IN ('executing', 'queued')"
                " ORDER BY status, updated_at, mark"
            ).fetchall()
            return [str(task_id) for (task_id,) in rows]

        return await self._read_index(work, salvage.unfinished)

    async def counts(self, status: TaskStatus) -> Counter[str | None]:
        def work(reader: sqlite3.Connection) -> Counter[str | None]:
            sql = "SELECT owner, count(*) FROM tasks WHERE status = ? GROUP BY owner"
            return Counter(dict(map(tuple, reader.execute(sql, (status,)).fetchall())))

        return await self._read_index(work, partial(salvage.counts, status=status))

    async def _read_index(self, work: Work[T], salvaged: Work[T]) -> T:
        """Read the index, and around the damage if a page of it is damaged."""
        try:
            return await self._database.read(work)
        except UnusableDatabase as damaged:
            log.error("%s", damaged.message)
            return await self._database.read(salvaged)

    async def claim(self) -> bool:
        def work(writer: sqlite3.Connection) -> bool:
            row = writer.execute("SELECT orderly FROM owner").fetchone()
            writer.execute("UPDATE owner SET orderly = 0")
            return row is None or bool(row[0])  # The row is lost with its page only.

        try:
            return await self._database.write(work)
        except UnusableDatabase as damaged:
            log.error("%s", damaged.message)
            return True

    async def release(self) -> None:
        def work(writer: sqlite3.Connection) -> None:
            writer.execute("UPDATE owner SET orderly = 1")

        try:
            await self._database.write(work)
        except StorageUnavailable as unavailable:
            log.warning("the next start takes this end for a crash: %s", unavailable.message)

    async def check(self) -> None:
        await self._database.check()


def _delete(writer: sqlite3.Connection, task_id: str) -> TaskStatus | None:
    sql = "DELETE FROM tasks WHERE task_id = ? RETURNING status"
    rows = writer.execute(sql, (task_id,)).fetchall()
    return rows[0][0] if rows else None


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
            try:
                checked(lines, crc, f"Task {task_id}, event {first_seq},")
            except DamagedRecord:
                if not found:
                    raise
                break  # What comes before it can be read.
            found.append(lines if found else lines_after(lines, first_seq, after))
            size, last = size + len(found[-1]), last_seq
            if size >= PIECE_BYTES:
                break
    return Piece(after + 1, last, b"".join(found)) if found else None


def _page_of(rows: Sequence[sqlite3.Row], limit: int) -> IndexPage:
    page = rows[:limit]
    more = page[-1]["mark"] if len(rows) > limit else None
    return IndexPage(tuple(_tasks_of(page)), more)


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
