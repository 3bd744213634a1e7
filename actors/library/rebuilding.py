"""Rebuild documents from before there were excerpts, from their stored text.

Rule: a few documents are one transaction, so that an interrupted rebuild goes on where it stopped.
What the stored text lacks a rebuild cannot give: such documents should be sent again. A command shows
warnings only, so the progress of a rebuild is one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import trio

from actors.errors import UnreadableDocument
from actors.library import statements
from actors.library.documents import ParsedText
from actors.library.parsing.inline import indexed_text
from actors.library.parsing.stored import stored_blocks
from actors.library.statements import ToRebuild
from actors.sqlite import Database
from actors.sqlite_errors import DamagedRecord, checked_text

log = logging.getLogger(__name__)

DOCUMENTS_AT_ONCE, BYTES_AT_ONCE = 32, 4 * 1024 * 1024
"""What is rebuilt in one transaction: a commit waits for the disk longer than a document takes."""

PROGRESS_S = 5.0
"""Seconds between two lines of progress."""


async def rebuild(database: Database) -> None:
    """Give every old document its passages and excerpts; the log shows the progress."""
    few = partial(statements.next_rebuilds, documents=DOCUMENTS_AT_ONCE, text_bytes=BYTES_AT_ONCE)
    done, next_line = 0, trio.current_time()
    while olds := await database.read(few):
        if trio.current_time() >= next_line:
            left = await database.read(statements.rebuilds_left)
            log.warning("rebuilding the library: %s documents to go", f"{left:,}")
            next_line = trio.current_time() + PROGRESS_S
        rebuilt = await database.compute(partial(_rebuilt, olds))
        await database.write(partial(statements.rebuild, rebuilt=rebuilt))
        done += len(olds)
    if done:
        log.warning("the library is rebuilt: %s documents", f"{done:,}")
    outdated = (await database.read(statements.counts))["to_rebuild"]
    if outdated:
        log.log(
            logging.WARNING if done else logging.INFO,
            "an older version read %s documents of the library; send them again (terzetto ingest) "
            "to have them read by this one",
            f"{outdated:,}",
        )


def _rebuilt(olds: Sequence[ToRebuild]) -> dict[int, ParsedText | None]:
    return {old.number: _parsed(old) for old in olds}


def _parsed(old: ToRebuild) -> ParsedText | None:
    """The document from its stored text; None if that is damaged or lost."""
    try:
        if old.content is None:
            raise DamagedRecord(f"The text of document {old.document_id} is lost.")
        text = checked_text(old.content, old.crc, f"Document {old.document_id}")
        return indexed_text("", stored_blocks(text, old.sections))
    except (DamagedRecord, UnreadableDocument) as error:
        log.warning(
            "document %s cannot be rebuilt; no search finds it until it is sent again: %s",
            old.document_id,
            error.message,
        )
        return None
