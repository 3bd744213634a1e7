"""Examine the tasks of a log, and write those that are whole into a new one.

Rule: the events are the truth. A task whose index row is damaged, but whose events are whole, is whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actors.doctor.findings import Finding, numbers
from actors.errors import TaskUnreadable
from actors.journal.journal import readable
from actors.journal.log import EMPTY, MAX_LINE_BYTES, Append, Record
from actors.journal.sqlite import open_sqlite_store
from actors.sqlite_errors import checked
from actors.tasks.events import decode
from actors.tasks.life import Task, evolve

FILE = "log.db"


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task that is whole: each line with the task as of then, and its private outputs."""

    lines: list[tuple[bytes, Task]]
    outputs: dict[str, bytes]

    @property
    def task(self) -> Task:
        return self.lines[-1][1]


def examine(db: sqlite3.Connection) -> Iterator[Finding]:
    """The tasks that are damaged."""
    for mark in numbers(db, "tasks"):
        try:
            row = _index_row(db, mark)
            name = row[0] if row else ""
        except sqlite3.DatabaseError as error:
            row, name = None, f"number {mark}"
            yield Finding(FILE, "index", name, f"its row cannot be read: {error}")
        if name:
            try:
                task = _stored(db, mark, name).task
                if row and row[1:] != (task.status, task.last_seq):
                    yield Finding(FILE, "index", name, "its row does not say what its events say")
            except (TaskUnreadable, sqlite3.DatabaseError) as damaged:
                yield Finding(FILE, "task", name, str(damaged))


async def repair(db: sqlite3.Connection, target: Path) -> None:
    """Write the tasks that are whole into a new log."""
    async with open_sqlite_store(target) as store:
        for mark in numbers(db, "tasks"):
            try:
                if _index_row(db, mark) is None:
                    continue
            except sqlite3.DatabaseError:
                pass  # Its events may be whole.
            try:
                stored = _stored(db, mark, "")
            except (TaskUnreadable, sqlite3.DatabaseError):
                continue
            for append in _appends(stored):
                await store.append([append])


def _index_row(db: sqlite3.Connection, mark: int) -> tuple[str, str, int] | None:
    sql = "SELECT task_id, status, last_seq FROM tasks WHERE mark = ?"
    row: tuple[str, str, int] | None = db.execute(sql, (mark,)).fetchone()
    return row


def _stored(db: sqlite3.Connection, mark: int, name: str) -> StoredTask:
    """Raises `TaskUnreadable` and `sqlite3.DatabaseError`."""
    sql = "SELECT first_seq, lines, crc FROM log WHERE mark = ? ORDER BY last_seq"
    lines: list[tuple[bytes, Task]] = []
    with readable(name):
        for first_seq, joined, crc in db.execute(sql, (mark,)).fetchall():
            for line in checked(joined, crc, f"Event {first_seq}").splitlines(keepends=True):
                lines.append((line, evolve(lines[-1][1] if lines else None, decode(line))))
        outputs = _outputs(db, mark)
        task = lines[-1][1]
        if name and task.task_id != name:
            raise ValueError(f"its events are those of task {task.task_id}")
        done = [key for key, step in task.steps.items() if step.status == "completed"]
        outputs_missing = set(done) - outputs.keys()
        if outputs_missing:
            raise ValueError(f"outputs are missing: {', '.join(sorted(outputs_missing))}")
    return StoredTask(lines, outputs)


def _outputs(db: sqlite3.Connection, mark: int) -> dict[str, bytes]:
    sql = "SELECT step_id, body, crc FROM outputs WHERE mark = ?"
    found = {}
    for step_id, body, crc in db.execute(sql, (mark,)).fetchall():
        json.loads(checked(body, crc, f"The output of step {step_id}"))
        found[step_id] = body
    return found


def _appends(stored: StoredTask) -> Iterator[Append]:
    """The task as appends that a log takes. Each output was stored with one event, so there are enough."""
    outputs = iter(stored.outputs.items())
    expected, size = EMPTY, 0
    records: list[Record] = []
    task = stored.task
    for line, after in stored.lines:
        if records and size + len(line) > MAX_LINE_BYTES:
            yield Append(task, expected, tuple(records))
            expected, size, records = task.last_seq, 0, []
        records.append(Record(after.last_seq, line, *next(outputs, (None, None))))
        size, task = size + len(line), after
    yield Append(task, expected, tuple(records))
