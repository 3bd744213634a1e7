"""Rebuild documents from before there were excerpts, from their stored text.

Rule: a few documents are one transaction, so that an interrupted rebuild goes on where it stopped.
What the stored text lacks a rebuild cannot give: such documents should be sent again. A command shows
warnings only, so the progress of a rebuild is one.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

import trio

from actors.errors import UnreadableDocument
from actors.library import contents, statements
from actors.library.documents import ParsedText
from actors.library.parsing.inline import indexed_text
from actors.library.parsing.stored import stored_blocks
from actors.sqlite import Database
from actors.sqlite_errors import DamagedRecord, checked_text

log = logging.getLogger(__name__)

DOCUMENTS_AT_ONCE, BYTES_AT_ONCE = 32, 4 * 1024 * 1024
"""What is rebuilt in one transaction: a commit waits for the disk longer than a document takes."""

PROGRESS_S = 5.0
"""Seconds between two lines of progress."""


class ToRebuild(NamedTuple):
    """A document from before there were excerpts."""

    number: int
    document_id: str
    content: bytes | None
    """Its stored text in UTF-8; None if it is lost."""
    crc: int | None
    sections: tuple[str, ...]
    """The names of its sections."""


async def rebuild(database: Database) -> None:
    """Give every old document its passages and excerpts; the log shows the progress."""
    few = partial(next_rebuilds, documents=DOCUMENTS_AT_ONCE, text_bytes=BYTES_AT_ONCE)
    done, next_line = 0, trio.current_time()
    while olds := await database.read(few):
        if trio.current_time() >= next_line:
            left = await database.read(_rebuilds_left)
            log.warning("rebuilding the library: %s documents to go", f"{left:,}")
            next_line = trio.current_time() + PROGRESS_S
        rebuilt = await database.compute(partial(_rebuilt, olds))
        await database.write(partial(_store, rebuilt=rebuilt))
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


# --- statements ---------------------------------------------------------------------------------


def next_rebuilds(db: sqlite3.Connection, documents: int, text_bytes: int) -> list[ToRebuild]:
    """The next documents without excerpts, until there are so many or their texts so long."""
    sql = """SELECT number, document_id, CAST(text AS BLOB), crc, CAST(sections AS BLOB)
        FROM rebuilds JOIN documents USING (number) LEFT JOIN texts USING (number)
        ORDER BY number LIMIT ?"""
    found: list[ToRebuild] = []
    with closing(db.execute(sql, (documents,))) as rows:
        for number, document_id, content, crc, names in rows:
            sections = tuple(json.loads(names.decode(errors="replace")))
            found.append(ToRebuild(number, document_id, content, crc, sections))
            text_bytes -= len(content or b"")
            if text_bytes <= 0:
                break
    return found


def _store(db: sqlite3.Connection, rebuilt: Mapping[int, ParsedText | None]) -> None:
    """Give documents from before there were excerpts their passages and excerpts.

    One without a text is kept as a document without passages.
    """
    for number, parsed in rebuilt.items():
        if parsed is not None:
            sql = "SELECT title FROM documents WHERE number = ?"
            (title,) = db.execute(sql, (number,)).fetchone()
            contents.delete_content(db, number)
            contents.insert_content(
                db, number, title, parsed.text, parsed.passages, parsed.excerpts
            )
        _end(db, number, len(parsed.passages) if parsed else 0)


def _rebuilds_left(db: sqlite3.Connection) -> int:
    """How many documents are still to be rebuilt."""
    return int(db.execute("SELECT count(*) FROM rebuilds").fetchone()[0])


def _end(db: sqlite3.Connection, number: int, passages: int) -> None:
    db.execute("UPDATE documents SET passages = ? WHERE number = ?", (passages, number))
    db.execute("DELETE FROM rebuilds WHERE number = ?", (number,))
