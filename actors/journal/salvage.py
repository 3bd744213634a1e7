"""Read the index of a damaged log row by row, and delete what a damaged page keeps from being deleted.

Rule: only after the plain statement has met damage. Each row is asked for by its number, so that what
cannot be read hides nothing else.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

from actors.sqlite_errors import is_damage
from actors.tasks.life import TaskStatus


def index_rows(reader: sqlite3.Connection, before: int | None = None) -> Iterator[sqlite3.Row]:
    """The index rows that can be read, newest first, from those before the mark `before`."""
    with closing(reader.cursor()) as cursor:
        cursor.row_factory = cast(Any, sqlite3.Row)
        sql = "SELECT seq FROM sqlite_sequence WHERE name = 'tasks'"
        found = cursor.execute(sql).fetchone()
        last = found[0] if found else 0
        for mark in range(min(last, (before or last + 1) - 1), 0, -1):
            try:
                row = cursor.execute("SELECT * FROM tasks WHERE mark = ?", (mark,)).fetchone()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                continue
            if row is not None:
                yield row


def owner(reader: sqlite3.Connection, task_id: str) -> str | None:
    """As `Index.owner`."""
    owners = (row["owner"] for row in index_rows(reader) if row["task_id"] == task_id)
    return next(owners, None)


def unfinished(reader: sqlite3.Connection) -> list[str]:
    """As `Index.unfinished`."""
    rows = [row for row in index_rows(reader) if row["status"] in ("executing", "queued")]
    rows.sort(key=lambda row: (row["status"], str(row["updated_at"]), row["mark"]))
    return [str(row["task_id"]) for row in rows]


def counts(reader: sqlite3.Connection, status: TaskStatus) -> Counter[str | None]:
    """As `Index.counts`."""
    return Counter(row["owner"] for row in index_rows(reader) if row["status"] == status)


def forget(writer: sqlite3.Connection, task_id: str) -> TaskStatus | None:
    """Delete a task from the index, and of its records what can be deleted.

    What is left has a mark that is never used again, so nobody reads it.
    """
    row = writer.execute("SELECT mark, status FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return None
    for table in ("snapshots", "outputs", "log"):
        try:
            writer.execute(f"DELETE FROM {table} WHERE mark = ?", (row[0],))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
    writer.execute("DELETE FROM tasks WHERE mark = ?", (row[0],))
    return cast(TaskStatus, row[1])
