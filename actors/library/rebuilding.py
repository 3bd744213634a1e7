"""Rebuild documents from before there were excerpts, from their stored text.

Rule: one transaction per document, so that an interrupted rebuild goes on where it stopped. What the
stored text lacks a rebuild cannot give: such documents should be sent again.
"""

from __future__ import annotations

import logging
from functools import partial

from actors.errors import UnreadableDocument
from actors.library import statements
from actors.library.documents import ParsedText
from actors.library.parsing.inline import indexed_text
from actors.library.parsing.stored import stored_blocks
from actors.library.statements import ToRebuild
from actors.sqlite import DamagedRecord, Database, checked_text

log = logging.getLogger(__name__)

DOCUMENTS_PER_LINE = 500
"""Documents between two lines of progress."""


async def rebuild(database: Database) -> None:
    """Give every old document its passages and excerpts; the log shows the progress."""
    done = 0
    while (old := await database.read(statements.next_rebuild)) is not None:
        if done % DOCUMENTS_PER_LINE == 0:
            log.info("rebuilding the library: %s documents to go", f"{old.left:,}")
        try:
            parsed = await database.compute(partial(_parsed, old))
        except (DamagedRecord, UnreadableDocument) as error:
            log.warning(
                "document %s cannot be rebuilt; no search finds it until it is sent again: %s",
                old.document_id,
                error.message,
            )
            await database.write(partial(statements.leave_unbuilt, number=old.number))
        else:
            await database.write(partial(statements.rebuild, number=old.number, parsed=parsed))
        done += 1
    if done:
        log.info("the library is rebuilt: %s documents", f"{done:,}")
    outdated = (await database.read(statements.counts))["outdated"]
    if outdated:
        log.info(
            "an older version read %s documents of the library; send them again (terzetto ingest) "
            "to have them read by this one",
            f"{outdated:,}",
        )


def _parsed(old: ToRebuild) -> ParsedText:
    if old.content is None:
        raise DamagedRecord(f"The text of document {old.document_id} is lost.")
    text = checked_text(old.content, old.crc, f"Document {old.document_id}")
    return indexed_text("", stored_blocks(text, old.sections))
