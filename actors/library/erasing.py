"""Erase what was deleted: FTS5 keeps the terms of deleted rows until their segments are merged.

Rule: before the library opens, and in transactions of bounded size, so that an interrupted merge goes
on where it stopped.
"""

from __future__ import annotations

import logging
from functools import partial

from actors.errors import StorageUnavailable
from actors.library import statements
from actors.sqlite import Database

log = logging.getLogger(__name__)

TABLES = ("passage_terms", "excerpt_terms")
PAGES_AT_ONCE = 1_000
"""Pages of an index merged in one transaction: 4 MB in SQLite's log."""


async def erase(database: Database) -> None:
    """Merge the terms of deleted documents out of the index, and give their room back."""
    try:
        if not await database.read(statements.to_erase):
            return
        for table in TABLES:
            step = partial(statements.merge, table=table)
            await database.write(partial(step, pages=-PAGES_AT_ONCE))
            while await database.write(partial(step, pages=PAGES_AT_ONCE)):
                pass
        await database.write(statements.erased)
        await database.give_back()
    except StorageUnavailable as later:  # Nothing depends on it but the promise, which can wait.
        log.warning("what was deleted is not erased yet: %s", later.message)
