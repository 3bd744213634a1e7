"""Documents that are searched without being in the library.

Rule: everything is done in one call, in one thread, and nothing is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

from actors.library import statements
from actors.library.database import MemoryDatabase
from actors.library.parsed import ParsedDocument
from actors.library.queries import match_expression
from actors.library.search import chosen, depth_for
from actors.tasks.evidence import Passage


def search(
    readings: Iterable[ParsedDocument], query: str, limit: int, check: Callable[[], object]
) -> tuple[Passage, ...]:
    """The passages of these documents that match best, as a library without vectors finds them.

    It blocks; `check` is called between documents and may raise to stop it.
    """
    expression = match_expression(query)
    if expression is None:
        return ()
    with closing(MemoryDatabase()) as database:
        for reading in readings:
            check()
            statements.insert(database.connection, reading, None)
        check()
        found = statements.candidates(database.connection, expression, {}, depth_for(limit))
        return chosen(found, limit)
