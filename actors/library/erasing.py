"""Erase what was deleted: FTS5 keeps the terms of deleted rows until their segments are merged.

Rule: before the library opens, and in transactions of bounded size, so that an interrupted merge goes
on where it stopped.
"""

from __future__ import annotations

import logging
import sqlite3
from functools import partial

from actors.errors import StorageUnavailable
from actors.sqlite import Database

log = logging.getLogger(__name__)

TABLES = ("passage_terms", "excerpt_terms")
PAGES_AT_ONCE = 1_000
"""Pages of an index merged in one transaction: 4 MB in SQLite's log."""


async def erase(database: Database) -> None:
    """Merge the terms of deleted documents out of the index, and give their room back."""
    try:
        if not await database.read(_is_to_erase):
            return
        for table in TABLES:
            step = partial(_merge, table=table)
            await database.write(partial(step, pages=-PAGES_AT_ONCE))
            while await database.write(partial(step, pages=PAGES_AT_ONCE)):
                pass
        await database.write(_erased)
        await database.give_back()
    except StorageUnavailable as later:  # Nothing depends on it but the promise, which can wait.
        log.warning("what was deleted is not erased yet: %s", later.message)


def _is_to_erase(db: sqlite3.Connection) -> bool:
    """Whether terms of deleted documents may still be in the full-text index."""
    row = db.execute("SELECT documents FROM to_erase").fetchone()
    return row is None or bool(row[0])


def _merge(db: sqlite3.Connection, table: str, pages: int) -> bool:
    """Merge about so many pages of a full-text index (all into one if negative); whether there is more.

    FTS5 counts fewer than two changes if there was nothing to merge.
    """
    before = db.total_changes
    db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return db.total_changes - before >= 2


def _erased(db: sqlite3.Connection) -> None:
    """Note that no terms of deleted documents are left."""
    db.execute("UPDATE to_erase SET documents = 0")
