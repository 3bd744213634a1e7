"""The statements that keep documents: add, replace, list, read and delete them.

Rule: plain blocking functions over one connection that know nothing of Trio. `actors.sqlite` decides
where they run, and makes each that writes one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from zlib import crc32

from actors.errors import DocumentNotFound
from actors.library.documents import PARSER, Document, ParsedDocument, ParsedText
from actors.library.excerpts import ExcerptCut
from actors.library.passages import PassageCut
from actors.sqlite import checked_text
from actors.tasks.words import terms

_COLUMNS = "document_id, title, media_type, bytes, sha256, passages, created_at, notes"


def insert(
    db: sqlite3.Connection, parsed: ParsedDocument, source: str | None
) -> tuple[Document, bool, bool]:
    """Add a document unless its bytes are there; it replaces the one that its source had before.

    Returns the document, whether it is new, and whether it was there from an older parser and has
    been parsed again under its id.
    """
    there = find(db, parsed.document.sha256)
    updated = there is not None and needs_parsing(db, parsed.document.sha256)
    if there is None:
        _insert_document(db, parsed)
    elif updated:
        _replace_content(db, parsed)
    _place(db, parsed.document.sha256, source)
    return find(db, parsed.document.sha256) or parsed.document, there is None, updated


def place(db: sqlite3.Connection, sha256: str, source: str | None) -> Document | None:
    """The document with these bytes, noted to come from `source`, too."""
    there = find(db, sha256)
    if there is not None:
        _place(db, sha256, source)
    return there


def find(db: sqlite3.Connection, sha256: str) -> Document | None:
    """The document with these bytes."""
    row = db.execute(f"SELECT {_COLUMNS} FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    return _document(row) if row else None


def needs_parsing(db: sqlite3.Connection, sha256: str) -> bool:
    """Whether these bytes are not there, or were read by an older parser."""
    sql = "SELECT 1 FROM documents WHERE sha256 = ? AND parser >= ?"
    return db.execute(sql, (sha256, PARSER)).fetchone() is None


def knows(db: sqlite3.Connection, sha256: str, source: str | None) -> bool:
    """Whether these bytes are there, and come from this source if one is given."""
    sql = "SELECT 1 FROM documents WHERE sha256 = :sha256"
    if source is not None:
        sql = """SELECT 1 FROM sources JOIN documents USING (number)
            WHERE source = :source AND sha256 = :sha256"""
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
    """One document; raises `DocumentNotFound`."""
    sql = f"SELECT {_COLUMNS} FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    return _document(row)


def text(db: sqlite3.Connection, document_id: str) -> str:
    """The text of a document; raises `DocumentNotFound` and `DamagedRecord`."""
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
    return [_document(row[1:]) for row in rows[:limit]], more


def delete(db: sqlite3.Connection, document_id: str) -> None:
    """Remove a document with all that was made of it; raises `DocumentNotFound`."""
    sql = "SELECT number FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    _delete_document(db, row[0])


def is_empty(db: sqlite3.Connection) -> bool:
    """Whether there is no document."""
    return db.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Documents, excerpts, and documents that an older parser read."""
    sql = """SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM excerpts),
        (SELECT count(*) FROM documents WHERE parser < ?)"""
    documents, excerpts, outdated = db.execute(sql, (PARSER,)).fetchone()
    return {"documents": documents, "excerpts": excerpts, "to_rebuild": outdated}


# --- rebuilding -------------------------------------------------------------------------------


def next_rebuild(db: sqlite3.Connection) -> tuple[int, str, tuple[str, ...], int] | None:
    """A document without excerpts: its number, text and section names, and how many there are."""
    row = db.execute(
        """SELECT number, text, sections, (SELECT count(*) FROM rebuilds) FROM rebuilds
            JOIN texts USING (number) ORDER BY number LIMIT 1"""
    ).fetchone()
    return (row[0], row[1], tuple(json.loads(row[2])), row[3]) if row else None


def rebuild(db: sqlite3.Connection, number: int, parsed: ParsedText) -> None:
    """Give a document from before there were excerpts its passages and excerpts."""
    (title,) = db.execute("SELECT title FROM documents WHERE number = ?", (number,)).fetchone()
    _delete_content(db, number)
    _insert_content(db, number, title, parsed.text, parsed.passages, parsed.excerpts)
    sql = "UPDATE documents SET passages = ? WHERE number = ?"
    db.execute(sql, (len(parsed.passages), number))
    db.execute("DELETE FROM rebuilds WHERE number = ?", (number,))


# --- rows ---------------------------------------------------------------------------------------


def _document(row: Sequence[Any]) -> Document:
    document_id, title, media_type, size, sha256, passages, created_at, notes = row
    return Document(
        document_id, title, media_type, size, sha256, passages, created_at, tuple(json.loads(notes))
    )


def _insert_document(db: sqlite3.Connection, parsed: ParsedDocument) -> None:
    document = parsed.document
    sql = f"""INSERT INTO documents ({_COLUMNS}, parser, language)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
    row = (
        *(document.document_id, document.title, document.media_type, document.bytes),
        *(document.sha256, document.passages, document.created_at),
        *(json.dumps(document.notes), PARSER, parsed.language),
    )
    number = db.execute(sql, row).lastrowid
    assert number is not None
    _insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)


def _replace_content(db: sqlite3.Connection, parsed: ParsedDocument) -> None:
    """Parse again: the document keeps its id, its date and its sources."""
    document = parsed.document
    (number,) = db.execute(
        "SELECT number FROM documents WHERE sha256 = ?", (document.sha256,)
    ).fetchone()
    contents = _contents(db, number)
    _delete_content(db, number)
    db.execute(
        """UPDATE documents SET title = ?, media_type = ?, passages = ?, notes = ?, parser = ?,
            language = ? WHERE number = ?""",
        (
            *(document.title, document.media_type, document.passages),
            *(json.dumps(document.notes), PARSER, parsed.language, number),
        ),
    )
    _insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)
    _delete_encodings(db, contents)


def _insert_content(
    db: sqlite3.Connection,
    number: int,
    title: str,
    text: str,
    passages: tuple[PassageCut, ...],
    excerpts: tuple[ExcerptCut, ...],
) -> None:
    db.execute("INSERT INTO texts VALUES (?, ?, ?)", (number, text, crc32(text.encode())))
    title_terms = " ".join(terms(title))
    _insert_passages(db, number, title_terms, passages)
    _insert_excerpts(db, number, title, passages, excerpts)


def _insert_passages(
    db: sqlite3.Connection, number: int, title_terms: str, passages: tuple[PassageCut, ...]
) -> None:
    (last,) = db.execute("SELECT ifnull(max(passage), 0) FROM passages").fetchone()
    rows, indexed = [], []
    for at, cut in enumerate(passages, start=last + 1):
        headings = "\n".join(cut.headings)
        place = (number, cut.position, cut.start, cut.end, cut.links)
        rows.append((at, *place, headings, cut.text, content_crc(headings, cut.text)))
        if not cut.links:
            indexed.append((at, title_terms, " ".join(terms(headings)), cut.terms))
    db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.executemany(
        "INSERT INTO passage_terms (rowid, title, headings, text) VALUES (?, ?, ?, ?)", indexed
    )


def _insert_excerpts(
    db: sqlite3.Connection,
    number: int,
    title: str,
    passages: tuple[PassageCut, ...],
    excerpts: tuple[ExcerptCut, ...],
) -> None:
    (last,) = db.execute("SELECT ifnull(max(excerpt), 0) FROM excerpts").fetchone()
    rows, indexed = [], []
    title_terms = " ".join(terms(title))
    ahead = iter(passages)
    passage = next(ahead, None)
    for at, cut in enumerate(excerpts, start=last + 1):
        while passage is not None and passage.end <= cut.start:
            passage = next(ahead, None)
        headings = "\n".join(cut.headings)
        place = (number, passage.position if passage else 1, cut.start, cut.end)
        digests = digest(headings, cut.text), digest(title, headings, cut.text)
        crc = content_crc(headings, cut.text)
        rows.append((at, *place, cut.kind, cut.lead, headings, cut.text, *digests, crc))
        indexed.append((at, title_terms, " ".join(terms(headings)), cut.terms))
    db.executemany("INSERT INTO excerpts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.executemany(
        "INSERT INTO excerpt_terms (rowid, title, headings, text) VALUES (?, ?, ?, ?)", indexed
    )


def digest(*parts: str) -> bytes:
    """The same for the same texts: 16 bytes."""
    return blake2b("\0".join(parts).encode(), digest_size=16).digest()


def content_crc(headings: str, text: str) -> int:
    """What the checksum of a passage or excerpt covers; neither part holds a NUL."""
    return crc32(f"{headings}\0{text}".encode())


def _place(db: sqlite3.Connection, sha256: str, source: str | None) -> None:
    """Note the source of a document, and remove the one that came from there before."""
    (number,) = db.execute("SELECT number FROM documents WHERE sha256 = ?", (sha256,)).fetchone()
    if source is None:
        db.execute("UPDATE documents SET kept = 1 WHERE number = ?", (number,))
        return
    old = db.execute("SELECT number FROM sources WHERE source = ?", (source,)).fetchone()
    db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, number))
    if old is not None and old[0] != number and _is_orphan(db, old[0]):
        _delete_document(db, old[0])


def _is_orphan(db: sqlite3.Connection, number: int) -> bool:
    """Whether no source has this document any more and it was not added without one."""
    sql = """SELECT NOT kept AND NOT EXISTS (SELECT 1 FROM sources WHERE number = :number)
        FROM documents WHERE number = :number"""
    return bool(db.execute(sql, {"number": number}).fetchone()[0])


def _delete_document(db: sqlite3.Connection, number: int) -> None:
    contents = _contents(db, number)
    _delete_content(db, number)
    _delete_encodings(db, contents)
    for table in ("rebuilds", "sources", "documents"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))


def _delete_content(db: sqlite3.Connection, number: int) -> None:
    for table, key in (("passage_terms", "passage"), ("excerpt_terms", "excerpt")):
        among = f"SELECT {key} FROM {key}s WHERE number = ?"
        db.execute(f"DELETE FROM {table} WHERE rowid IN ({among})", (number,))
    for table in ("excerpts", "passages", "texts"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))


def _contents(db: sqlite3.Connection, number: int) -> list[tuple[bytes]]:
    sql = "SELECT DISTINCT content FROM excerpts WHERE number = ?"
    return db.execute(sql, (number,)).fetchall()


def _delete_encodings(db: sqlite3.Connection, contents: Sequence[tuple[bytes]]) -> None:
    """Delete the vectors of content that no document has any more."""
    sql = """DELETE FROM encodings WHERE content = ?1
        AND NOT EXISTS (SELECT 1 FROM excerpts WHERE content = ?1)"""
    db.executemany(sql, contents)
