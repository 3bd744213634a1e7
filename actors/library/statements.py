"""The tables of `library.db` and the statements over one connection to it.

Rule: plain blocking functions that know nothing of Trio. `actors.sqlite` decides where they run, and
makes each that writes one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any
from zlib import crc32

from actors.errors import DocumentNotFound
from actors.library.documents import Document, ParsedDocument
from actors.library.passages import Cut
from actors.sqlite import Schema, checked_text
from actors.tasks.evidence import Passage

FILE_NAME = "library.db"
SCHEMA = Schema(
    noun="library",
    application_id=0x5465_727A,  # "Terz" in ASCII.
    steps=(
        """
        CREATE TABLE documents (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            document_id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            media_type TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            sha256 TEXT NOT NULL UNIQUE,
            passages INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            kept INTEGER NOT NULL DEFAULT 0 -- 1: it was also added without a source
        );
        CREATE TABLE sources (
            source TEXT PRIMARY KEY,
            number INTEGER NOT NULL REFERENCES documents
        ) WITHOUT ROWID;
        CREATE INDEX sources_of_document ON sources (number);
        CREATE TABLE texts (number INTEGER PRIMARY KEY REFERENCES documents, text TEXT NOT NULL);
        CREATE TABLE passages (
            passage INTEGER PRIMARY KEY,
            number INTEGER NOT NULL REFERENCES documents,
            position INTEGER NOT NULL,
            worth REAL NOT NULL, -- its score is multiplied by this: little for a list of links
            section TEXT NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (number, position)
        );
        CREATE VIEW titled_passages AS
            SELECT passage, title, section, text FROM passages JOIN documents USING (number);
        CREATE VIRTUAL TABLE search USING fts5 (
            title, section, text,
            content='titled_passages', content_rowid='passage', tokenize='porter unicode61'
        );
        """,
        """
        CREATE TABLE vectors (
            vector INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
            passage INTEGER NOT NULL UNIQUE REFERENCES passages,
            embedding BLOB NOT NULL -- see actors/library/encoders/embedding.py
        );
        CREATE TABLE vector_model (model TEXT NOT NULL); -- whose vectors they are, in one row
        """,
        """
        CREATE INDEX links ON passages (passage) WHERE worth < 1; -- few, so a lookup is cheap
        CREATE TABLE dropped_vectors (number INTEGER NOT NULL); -- how many there have been, in one row
        INSERT INTO dropped_vectors VALUES (0);
        CREATE TRIGGER vector_dropped AFTER DELETE ON vectors
            BEGIN UPDATE dropped_vectors SET number = number + 1; END;
        """,
        """
        ALTER TABLE texts ADD COLUMN crc INTEGER; -- CRC-32 of the text; NULL in older rows
        ALTER TABLE passages ADD COLUMN crc INTEGER; -- of section, a NUL and text; NULL in older rows
        """,
    ),
)

_COLUMNS = "document_id, title, media_type, bytes, sha256, passages, created_at"
_WORTH_OF_LINKS = 0.2
_WEIGHTS = "2.0, 3.0, 1.0"
"""BM25 weights of the title, the section and the text."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages by number, and two rankings of them, best first: numbers with scores.

    `matching` is by the words of the query, `near` by its meaning.
    """

    passages: dict[int, Passage]
    matching: dict[int, float]
    near: dict[int, float]


def insert(
    db: sqlite3.Connection, reading: ParsedDocument, source: str | None
) -> tuple[Document, bool]:
    """Add a document unless its bytes are there; it replaces the one that its source had before."""
    there = find(db, reading.document.sha256)
    if there is None:
        _insert_rows(db, reading)
    _place(db, reading.document.sha256, source)
    return there or reading.document, there is None


def place(db: sqlite3.Connection, sha256: str, source: str | None) -> Document | None:
    """The document with these bytes, noted to come from `source`, too."""
    there = find(db, sha256)
    if there is not None:
        _place(db, sha256, source)
    return there


def find(db: sqlite3.Connection, sha256: str) -> Document | None:
    """The document with these bytes."""
    row = db.execute(f"SELECT {_COLUMNS} FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    return Document(*row) if row else None


def knows(db: sqlite3.Connection, sha256: str, source: str | None) -> bool:
    """Whether these bytes are there, and come from this source if one is given."""
    sql = "SELECT 1 FROM documents WHERE sha256 = :sha256"
    if source is not None:
        sql = "SELECT 1 FROM sources JOIN documents USING (number) WHERE source = :source AND sha256 = :sha256"
    return db.execute(sql, {"sha256": sha256, "source": source}).fetchone() is not None


def identify(db: sqlite3.Connection, name: str) -> str | None:
    """The id of the document with this id, source or title, in this order; the oldest of them."""
    sql = """SELECT document_id, 1, number FROM documents WHERE document_id = :name
        UNION ALL SELECT document_id, 2, number FROM documents JOIN sources USING (number)
            WHERE source = :name
        UNION ALL SELECT document_id, 3, number FROM documents WHERE title = :name
        ORDER BY 2, 3 LIMIT 1"""
    row = db.execute(sql, {"name": name}).fetchone()
    return row[0] if row else None


def get(db: sqlite3.Connection, document_id: str) -> Document:
    sql = f"SELECT {_COLUMNS} FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    return Document(*row)


def text(db: sqlite3.Connection, document_id: str) -> str:
    sql = """SELECT CAST(text AS BLOB), crc FROM texts JOIN documents USING (number)
        WHERE document_id = ?"""
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    content, crc = row
    return checked_text(content, crc, f"Document {document_id}")


def page(
    db: sqlite3.Connection, limit: int, before: int | None
) -> tuple[list[Document], int | None]:
    """At most `limit` documents, newest first, and the number of the last if there are more."""
    sql = f"""SELECT number, {_COLUMNS} FROM documents WHERE :before IS NULL OR number < :before
        ORDER BY number DESC LIMIT :limit"""
    rows = db.execute(sql, {"before": before, "limit": limit + 1}).fetchall()
    more = int(rows[limit - 1][0]) if len(rows) > limit else None
    return [Document(*row[1:]) for row in rows[:limit]], more


def delete(db: sqlite3.Connection, document_id: str) -> None:
    sql = "SELECT number FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    _delete_rows(db, row[0])


def worth(passage: str) -> str:
    """The factor for this passage's score, as SQL that reads an index and no passage."""
    links = f"SELECT 1 FROM passages INDEXED BY links WHERE passage = {passage} AND worth < 1"
    return f"iif(EXISTS ({links}), {_WORTH_OF_LINKS}, 1.0)"


def candidates(
    db: sqlite3.Connection, expression: str | None, vectors: Mapping[int, float], depth: int
) -> Candidates:
    """At most `depth` passages that match the expression, and those that have these vectors.

    The scores of passages are left at 0.
    """
    sql = f"""SELECT rowid, -bm25(search, {_WEIGHTS}) * {worth("search.rowid")}
        FROM search WHERE search MATCH ? ORDER BY 2 DESC, 1 LIMIT ?"""
    with snapshot(db):
        matching = dict(db.execute(sql, (expression, depth)).fetchall()) if expression else {}
        owners = dict(_among(db, "SELECT vector, passage FROM vectors WHERE vector IN", [*vectors]))
        near = {owners[each]: score for each, score in vectors.items() if each in owners}
        rows = _among(db, f"SELECT passage, {_PASSAGE} WHERE passage IN", [*matching, *near])
        passages = {number: _passage(row) for number, *row in rows}
    # The index may hold words of a passage that was damaged when its document was deleted.
    matching = {number: score for number, score in matching.items() if number in passages}
    return Candidates(passages, matching, near)


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All reads in the block see one state of the file."""
    with db:
        db.execute("BEGIN")
        yield


_PASSAGE = """document_id, title, position, CAST(section || char(0) || text AS BLOB), crc
    FROM passages JOIN documents USING (number)"""


def _passage(row: Sequence[Any]) -> Passage:
    document_id, title, position, content, crc = row
    found = checked_text(content, crc, f"Document {document_id}, passage {position},")
    section, _, text = found.partition("\0")
    return Passage(document_id, title, section, position, text)


def _content(cut: Cut) -> bytes:
    """What the checksum of a passage covers; neither part holds a NUL."""
    return f"{cut.section}\0{cut.text}".encode()


def neighbours(db: sqlite3.Connection, passages: Sequence[Passage]) -> list[Passage]:
    """The passages right before and after each of these in its section, in their order."""
    sql = f"""SELECT {_PASSAGE}
        WHERE document_id = ? AND section = ? AND position IN (?, ?) ORDER BY position"""
    found: list[Passage] = []
    for one in passages:
        place = (one.document_id, one.section, one.position - 1, one.position + 1)
        found += map(_passage, db.execute(sql, place).fetchall())
    return found


def _among(db: sqlite3.Connection, sql: str, numbers: Sequence[int]) -> list[Any]:
    """The rows of a statement that ends with IN, for these numbers.

    All are fetched: a cursor that an error leaves open would keep its state of the file.
    """
    among = db.execute(f"{sql} (SELECT value FROM json_each(?))", (json.dumps(numbers),))
    return among.fetchall()


def is_empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None


def _insert_rows(db: sqlite3.Connection, reading: ParsedDocument) -> None:
    *columns, _ = astuple(reading.document)
    insert = f"INSERT INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    number = db.execute(insert, columns).lastrowid
    text = reading.text
    db.execute("INSERT INTO texts VALUES (?, ?, ?)", (number, text, crc32(text.encode())))
    db.executemany(
        """INSERT INTO passages (number, position, section, text, worth, crc)
            VALUES (?, ?, ?, ?, ?, ?)""",
        (
            (
                *(number, cut.position, cut.section, cut.text),
                _WORTH_OF_LINKS if cut.links else 1.0,
                crc32(_content(cut)),
            )
            for cut in reading.cuts
        ),
    )
    db.executemany(
        """INSERT INTO vectors (passage, embedding)
            SELECT passage, ? FROM passages WHERE number = ? AND position = ?""",
        [(each, number, cut.position) for cut, each in zip(reading.cuts, reading.vectors)],
    )
    db.execute(f"INSERT INTO search (rowid, title, section, text) SELECT {_INDEXED}", (number,))


_INDEXED = """passage, title, section, text FROM titled_passages
    WHERE passage IN (SELECT passage FROM passages WHERE number = ?)"""


def _place(db: sqlite3.Connection, sha256: str, source: str | None) -> None:
    """Note the source of a document, and remove the one that came from there before."""
    (number,) = db.execute("SELECT number FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    if source is None:
        db.execute("UPDATE documents SET kept = 1 WHERE number = ?", (number,))
        return
    old = db.execute("SELECT number FROM sources WHERE source = ?", (source,)).fetchone()
    db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, number))
    if old is not None and old[0] != number and _is_orphan(db, old[0]):
        _delete_rows(db, old[0])


def _is_orphan(db: sqlite3.Connection, number: int) -> bool:
    """Whether no source has this document any more and it was not added without one."""
    sql = """SELECT NOT kept AND NOT EXISTS (SELECT 1 FROM sources WHERE number = :number)
        FROM documents WHERE number = :number"""
    return bool(db.execute(sql, {"number": number}).fetchone()[0])


def _delete_rows(db: sqlite3.Connection, number: int) -> None:
    """Remove a document, first from the index, which needs the old text to forget it."""
    forget = "INSERT INTO search (search, rowid, title, section, text) SELECT 'delete',"
    db.execute(f"{forget} {_INDEXED}", (number,))
    among = "SELECT passage FROM passages WHERE number = ?"
    db.execute(f"DELETE FROM vectors WHERE passage IN ({among})", (number,))
    for table in ("sources", "passages", "texts", "documents"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))
