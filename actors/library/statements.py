"""The statements of the library over one SQLite connection.

Rule: plain blocking functions, each one transaction, each called from one thread at a time. They
know nothing of Trio; `actors.library.database` decides where they run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.errors import DocumentNotFound
from actors.library.documents import Document
from actors.library.parsed import ParsedDocument
from actors.tasks.evidence import Passage

_COLUMNS = "document_id, title, media_type, bytes, sha256, passages, created_at"
_WORTH_OF_LINKS = 0.2
_WEIGHTS = "2.0, 3.0, 1.0"
"""How much a match in the title, the section and the text counts."""


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
    """Add a document, unless its bytes are there; it takes the place of what its source had."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        there = find(db, reading.document.sha256)
        if there is None:
            _insert_rows(db, reading)
        _place(db, reading.document.sha256, source)
    return there or reading.document, there is None


def place(db: sqlite3.Connection, sha256: str, source: str | None) -> Document | None:
    """The document with these bytes, which from now on (also) comes from `source`."""
    with db:
        db.execute("BEGIN IMMEDIATE")
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
    sql = "SELECT text FROM texts JOIN documents USING (number) WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    return str(row[0])


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
    with db:
        db.execute("BEGIN IMMEDIATE")
        sql = "SELECT number FROM documents WHERE document_id = ?"
        row = db.execute(sql, (document_id,)).fetchone()
        if row is None:
            raise DocumentNotFound("There is no such document.")
        _delete_rows(db, row[0])


def worth(passage: str) -> str:
    """What a score of this passage is multiplied by, as SQL; reads no passage, as those are large."""
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
    with db:
        db.execute("BEGIN")  # All from one state of the file.
        matching = dict(db.execute(sql, (expression, depth)).fetchall()) if expression else {}
        owners = dict(_among(db, "SELECT vector, passage FROM vectors WHERE vector IN", [*vectors]))
        near = {owners[each]: score for each, score in vectors.items() if each in owners}
        rows = _among(db, _PASSAGES, [*matching, *near])
    passages = {row[0]: Passage(*row[1:]) for row in rows}
    return Candidates(passages, matching, near)


_PASSAGES = """SELECT passage, document_id, title, section, position, text
    FROM passages JOIN documents USING (number) WHERE passage IN"""


def neighbours(db: sqlite3.Connection, passages: Sequence[Passage]) -> list[Passage]:
    """What stands right before and after each of these in its section, in their order."""
    sql = """SELECT document_id, title, section, position, passages.text FROM passages
        JOIN documents USING (number)
        WHERE document_id = ? AND section = ? AND position IN (?, ?) ORDER BY position"""
    found: list[Passage] = []
    for one in passages:
        place = (one.document_id, one.section, one.position - 1, one.position + 1)
        found += (Passage(*row) for row in db.execute(sql, place))
    return found


def _among(db: sqlite3.Connection, sql: str, numbers: Sequence[int]) -> Iterator[Any]:
    """The rows of a statement that ends with IN, for these numbers."""
    return db.execute(f"{sql} (SELECT value FROM json_each(?))", (json.dumps(numbers),))


def is_empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None


def _insert_rows(db: sqlite3.Connection, reading: ParsedDocument) -> None:
    document = reading.document
    number = db.execute(
        f"INSERT INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            document.document_id,
            document.title,
            document.media_type,
            document.bytes,
            document.sha256,
            document.passages,
            document.created_at,
        ),
    ).lastrowid
    db.execute("INSERT INTO texts VALUES (?, ?)", (number, reading.text))
    db.executemany(
        "INSERT INTO passages (number, position, section, text, worth) VALUES (?, ?, ?, ?, ?)",
        (
            (
                number,
                cut.position,
                cut.section,
                cut.text,
                _WORTH_OF_LINKS if cut.links else 1.0,
            )
            for cut in reading.cuts
        ),
    )
    db.executemany(
        """INSERT INTO vectors (passage, embedding)
            SELECT passage, ? FROM passages WHERE number = ? AND position = ?""",
        [(each, number, cut.position) for cut, each in zip(reading.cuts, reading.vectors)],
    )
    db.execute(f"INSERT INTO search (rowid, title, section, text) {_INDEXED}", (number,))


_INDEXED = """SELECT passage, title, section, text FROM titled_passages
    WHERE passage IN (SELECT passage FROM passages WHERE number = ?)"""


def _place(db: sqlite3.Connection, sha256: str, source: str | None) -> None:
    """Note where a document comes from, and remove the one that came from there before."""
    (number,) = db.execute("SELECT number FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    if source is None:
        db.execute("UPDATE documents SET kept = 1 WHERE number = ?", (number,))
        return
    old = db.execute("SELECT number FROM sources WHERE source = ?", (source,)).fetchone()
    db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, number))
    if old is not None and old[0] != number and _is_orphan(db, old[0]):
        _delete_rows(db, old[0])


def _is_orphan(db: sqlite3.Connection, number: int) -> bool:
    """Whether no source has this document any more and nobody added it by itself."""
    sql = """SELECT NOT kept AND NOT EXISTS (SELECT 1 FROM sources WHERE number = :number)
        FROM documents WHERE number = :number"""
    return bool(db.execute(sql, {"number": number}).fetchone()[0])


def _delete_rows(db: sqlite3.Connection, number: int) -> None:
    """Remove a document. The index is told first: it reads what it must forget from the rest."""
    rows: Iterable[tuple[int, str, str, str]] = db.execute(_INDEXED, (number,)).fetchall()
    forget = (
        "INSERT INTO search (search, rowid, title, section, text) VALUES ('delete', ?, ?, ?, ?)"
    )
    db.executemany(forget, rows)
    db.executemany("DELETE FROM vectors WHERE passage = ?", [row[:1] for row in rows])
    for table in ("sources", "passages", "texts", "documents"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))
