"""A finding, and what SQLite itself finds in a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from actors.sqlite import MemoryDatabase, Schema

MOST = 100
"""Findings of one kind that are named; a damaged page can have thousands."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is damaged: `what` is "file", "index", "task" or "document"."""

    file: str
    what: str
    id: str | None
    problem: str


def structure(db: sqlite3.Connection, name: str, schema: Schema) -> Iterator[Finding]:
    """What is wrong with the file: its tables, pages, indexes and references."""
    found = partial(Finding, name, "file", None)
    with closing(MemoryDatabase(schema)) as fresh:
        if _tables(db) != fresh.read_now(_tables):
            yield found("its tables are not those that this release makes")
    for pragma in (f"integrity_check({MOST})", "foreign_key_check"):
        try:
            rows = db.execute(f"PRAGMA {pragma}").fetchmany(MOST)
        except sqlite3.DatabaseError as error:
            yield found(f"{pragma.partition('(')[0]} fails: {error}")
        else:
            yield from (found(_sentence(row)) for row in rows if row != ("ok",))


def _tables(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY 1, 2"
    return db.execute(sql).fetchall()


def _sentence(row: tuple[object, ...]) -> str:
    if len(row) == 1:
        return str(row[0]).replace("\n", " ")
    return f"a row of {row[0]} belongs to no row of {row[2]}"


def numbers(db: sqlite3.Connection, table: str) -> range:
    """All numbers that rows of a table with AUTOINCREMENT may have."""
    sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    row = db.execute(sql, (table,)).fetchone()
    return range(1, (row[0] if row else 0) + 1)


def copied(file: Path, target: Path) -> sqlite3.Connection:
    """A copy of a database that others may be using. Raises `sqlite3.Error`."""
    # A file that is not in use has no such neighbour, and then the reader shall not make one.
    unused = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro{unused}", uri=True)
    copy = sqlite3.connect(target, isolation_level=None)
    copy.text_factory = partial(str, encoding="utf-8", errors="replace")
    with closing(source):
        source.backup(copy)
    return copy
