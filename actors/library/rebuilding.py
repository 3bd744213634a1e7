"""Rebuild documents from before there were excerpts, from their stored text.

Rule: one transaction per document, so that an interrupted rebuild goes on where it stopped. What the
stored text lacks a rebuild cannot give: such documents should be sent again.
"""

from __future__ import annotations

import logging
from functools import partial

from actors.library import statements
from actors.library.documents import ParsedText
from actors.library.parsing.inline import indexed_text
from actors.library.parsing.stored import stored_blocks
from actors.sqlite import Database

log = logging.getLogger(__name__)

DOCUMENTS_PER_LINE = 500
"""Documents between two lines of progress."""


async def rebuild(database: Database) -> None:
    """Give every old document its passages and excerpts; the log shows the progress."""
    done = 0
    while (row := await database.read(statements.next_rebuild)) is not None:
        number, text, sections, left = row
        if done % DOCUMENTS_PER_LINE == 0:
            log.info("rebuilding the library: %s documents to go", f"{left:,}")
        parsed = await database.compute(partial(_parsed, text, sections))
        await database.write(partial(statements.rebuild, number=number, parsed=parsed))
        done += 1
    if done:
        log.info(
            "the library is rebuilt; send its %s documents again (terzetto ingest) so that the "
            "newer parsers read them",
            f"{done:,}",
        )


def _parsed(text: str, sections: tuple[str, ...]) -> ParsedText:
    return indexed_text("", stored_blocks(text, sections))
