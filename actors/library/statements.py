"""The statements that keep documents: add, replace, list, read and delete them.

Rule: plain blocking functions over one connection that know nothing of Trio. `actors.sqlite` decides
where they run, and makes each that writes one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from actors.errors import DocumentNotFound
from actors.library.contents import (
    contents_of,
    delete_content,
    delete_encodings,
    insert_content,
)
from actors.library.damage import those_readable
from actors.library.documents import PARSER, Declared, Document, ParsedDocument
from actors.library.readers import EVERYTHING, Reader
from actors.sqlite_errors import checked_text, is_damage

_COLUMNS = "document_id, title, media_type, bytes, sha256, passages, created_at, notes, name"


class Identity(NamedTuple):
    """Which document some bytes are: those of another owner are another document."""

    sha256: str
    owner: str | None = None
    """None: shared by all."""


_IS = "sha256 = :sha256 AND ifnull(owner, '') = ifnull(:owner, '')"


def insert(
    db: sqlite3.Connection, parsed: ParsedDocument, source: str | None, by: str | None = None
) -> tuple[Document, bool, bool, bool]:
    """Add a document unless its bytes are there; it replaces the one that its source had before.

    `by` is whoever adds it. Sources are paths and URLs as each of them knows them.

    Returns the document, whether it is new, whether it was there from an older parser and has been
    parsed again under its id, and whether its source had other bytes before.
    """
    identity = Identity(parsed.document.sha256, parsed.owner)
    number = _number(db, identity)
    created, updated = number is None, False
    if number is None:
        number = _insert_document(db, parsed)
        db.execute("UPDATE documents SET added_by = ? WHERE number = ?", (by, number))
    elif needs_parsing(db, identity, parsed.declared, source, by):
        updated = True
        _replace_content(db, number, parsed)
    replaced = _place(db, number, source, by, parsed.document.name)
    return _numbered(db, number), created, updated, replaced


def place(
    db: sqlite3.Connection,
    identity: Identity,
    source: str | None,
    by: str | None = None,
    name: str = "",
) -> tuple[Document, bool] | None:
    """The document with these bytes, noted to come from `source`, too; whether others did before."""
    number = _number(db, identity)
    if number is None:
        return None
    replaced = _place(db, number, source, by, name)
    return _numbered(db, number), replaced


def added_by(db: sqlite3.Connection, document_id: str, reader: Reader = EVERYTHING) -> str | None:
    """Who added a document first; raises `DocumentNotFound`."""
    name: str | None = _one(db, "added_by", document_id, reader)[0]
    return name


def needs_parsing(
    db: sqlite3.Connection,
    identity: Identity,
    declared: Declared,
    source: str | None,
    by: str | None = None,
) -> bool:
    """Whether these bytes are not there, or were read by an older parser or as something else.

    If another source holds them, they stay as they are: two files with the same bytes would have
    them read in turn at each ingest. So they do if a key added them that is not `by`.
    """
    sql = f"SELECT number, parser, media_type, charset, added_by FROM documents WHERE {_IS}"
    row = db.execute(sql, identity._asdict()).fetchone()
    if row is None or row[1] < PARSER:
        return True
    number, _, media_type, charset, adder = row
    said = declared.media_type or media_type, declared.charset or charset
    if said == (media_type, charset) or (by is not None and by != adder):
        return False
    sql = "SELECT 1 FROM sources WHERE number = ? AND source <> ?"
    return source is None or db.execute(sql, (number, source)).fetchone() is None


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


def get(db: sqlite3.Connection, document_id: str, reader: Reader = EVERYTHING) -> Document:
    """One document; raises `DocumentNotFound`."""
    return _document(_one(db, _COLUMNS, document_id, reader))


def text(db: sqlite3.Connection, document_id: str, reader: Reader = EVERYTHING) -> str:
    """The text of a document; raises `DocumentNotFound` and `DamagedRecord`."""
    (number,) = _one(db, "number", document_id, reader)
    sql = "SELECT CAST(text AS BLOB), crc FROM texts WHERE number = ?"
    row = db.execute(sql, (number,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    content, crc = row
    return checked_text(content, crc, f"Document {document_id}")


def page(
    db: sqlite3.Connection,
    limit: int,
    before: int | None,
    source: str | None = None,
    by: str | None = None,
    reader: Reader = EVERYTHING,
) -> tuple[list[Document], int | None]:
    """At most `limit` documents, newest first, and the number of the last if there are more.

    With a `source` only those that came from it or from below it.
    """
    among = "" if source is None else f"number IN (SELECT number FROM sources WHERE {_BELOW}) AND"
    sql = f"""SELECT number, {_COLUMNS} FROM documents
        WHERE {among} (:before IS NULL OR number < :before) AND {reader.sees}
        ORDER BY number DESC LIMIT :limit"""
    where = {"before": before, "limit": limit + 1, "by": by or ""}
    where |= {**_below(source), **reader.values}
    rows = db.execute(sql, where).fetchall()
    more = int(rows[limit - 1][0]) if len(rows) > limit else None
    whole = those_readable(rows[:limit], lambda row: _document(row[1:]))
    found = [(row[0], _document(row[1:])) for row in whole]
    if source is not None:
        return [_with_sources(db, number, document) for number, document in found], more
    return [document for _, document in found], more


_BELOW = "owner = :by AND (source = :source OR (source >= :first AND source < :last))"


def _below(source: str | None) -> dict[str, str]:
    """The values of `_BELOW`: "0" is the character after "/"."""
    if source is None:
        return {}
    folder = source.rstrip("/")
    return {"source": source, "first": f"{folder}/", "last": f"{folder}0"}


def _with_sources(db: sqlite3.Connection, number: int, document: Document) -> Document:
    sql = "SELECT source FROM sources WHERE number = ? ORDER BY source"
    sources = tuple(row[0] for row in db.execute(sql, (number,)).fetchall())
    (kept,) = db.execute("SELECT kept FROM documents WHERE number = ?", (number,)).fetchone()
    return replace(document, sources=sources, uploaded=bool(kept))


def forget_source(
    db: sqlite3.Connection, source: str, by: str | None = None
) -> tuple[Document, ...]:
    """Forget that a document came from this source, and remove it if nothing else holds it.

    Returns the removed document, if any; raises `DocumentNotFound` if nothing came from there.
    """
    where, values = "owner = ? AND source = ?", (by or "", source)
    row = db.execute(f"SELECT number FROM sources WHERE {where}", values).fetchone()
    if row is None:
        raise DocumentNotFound("No document came from this source.")
    document = _numbered(db, row[0])
    db.execute(f"DELETE FROM sources WHERE {where}", values)
    if not _is_orphan(db, row[0]):
        return ()
    _delete_document(db, row[0])
    return (document,)


def delete(db: sqlite3.Connection, document_id: str) -> None:
    """Remove a document with all that was made of it; raises `DocumentNotFound`."""
    _delete_document(db, _one(db, "number", document_id)[0])


def forget(db: sqlite3.Connection, document_id: str) -> None:
    """Remove a document some pages of which are damaged, and what else can be removed of it.

    What is left belongs to no document, so no search shows it. Raises `DocumentNotFound`.
    """
    row = _one(db, "number", document_id)
    for remove in (delete_content, _delete_sources):
        try:
            remove(db, row[0])
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
    db.execute("DELETE FROM documents WHERE number = ?", row)


def is_empty(db: sqlite3.Connection, reader: Reader = EVERYTHING) -> bool:
    """Whether there is no document for this reader."""
    sql = f"SELECT 1 FROM documents WHERE {reader.sees} LIMIT 1"
    return db.execute(sql, reader.values).fetchone() is None


def counts(db: sqlite3.Connection, reader: Reader = EVERYTHING) -> dict[str, int]:
    """Documents, excerpts, and documents that an older parser read."""
    of_documents = f"SELECT count(*) FROM documents WHERE {reader.sees}"
    excerpts = "SELECT count(*) FROM excerpts"
    if not reader.sees_all:
        excerpts += f" JOIN documents USING (number) WHERE {reader.sees}"
    sql = f"SELECT ({of_documents}), ({excerpts}), ({of_documents} AND parser < :parser)"
    values = {**reader.values, "parser": PARSER}
    documents, cut, outdated = db.execute(sql, values).fetchone()
    return {"documents": documents, "excerpts": cut, "to_rebuild": outdated}


# --- rows ---------------------------------------------------------------------------------------


def _document(row: Sequence[Any]) -> Document:
    document_id, title, media_type, size, sha256, passages, created_at, notes, name = row
    said = tuple(json.loads(notes))
    return Document(
        document_id, title, media_type, size, sha256, passages, created_at, said, name=name
    )


def _one(
    db: sqlite3.Connection, columns: str, document_id: str, reader: Reader = EVERYTHING
) -> Any:
    """These columns of a document; raises `DocumentNotFound`, also if it is not there for the reader."""
    sql = f"SELECT {columns} FROM documents WHERE document_id = :id AND {reader.sees}"
    row = db.execute(sql, {"id": document_id, **reader.values}).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    return row


def _number(db: sqlite3.Connection, identity: Identity) -> int | None:
    """The number of the document with these bytes."""
    sql = f"SELECT number FROM documents WHERE {_IS}"
    row = db.execute(sql, identity._asdict()).fetchone()
    return row[0] if row else None


def _numbered(db: sqlite3.Connection, number: int) -> Document:
    sql = f"SELECT {_COLUMNS} FROM documents WHERE number = ?"
    return _document(db.execute(sql, (number,)).fetchone())


def _insert_document(db: sqlite3.Connection, parsed: ParsedDocument) -> int:
    document = parsed.document
    sql = f"""INSERT INTO documents ({_COLUMNS}, parser, language, owner, charset)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
    row = (
        *(document.document_id, document.title, document.media_type, document.bytes),
        *(document.sha256, document.passages, document.created_at),
        *(json.dumps(document.notes), document.name, PARSER, parsed.language, parsed.owner),
        parsed.declared.charset,
    )
    number = db.execute(sql, row).lastrowid
    assert number is not None
    insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)
    return number


def _replace_content(db: sqlite3.Connection, number: int, parsed: ParsedDocument) -> None:
    """Parse again: the document keeps its id, its date and its sources."""
    document = parsed.document
    contents = contents_of(db, number)
    delete_content(db, number)
    db.execute(
        """UPDATE documents SET title = ?, media_type = ?, passages = ?, notes = ?, parser = ?,
            language = ?, charset = ? WHERE number = ?""",
        (
            *(document.title, document.media_type, document.passages),
            *(json.dumps(document.notes), PARSER, parsed.language),
            *(parsed.declared.charset, number),
        ),
    )
    insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)
    delete_encodings(db, contents)


def _place(
    db: sqlite3.Connection, number: int, source: str | None, by: str | None, name: str
) -> bool:
    """Note the source of a document and its name, which a key changes for its own documents only.

    Removes the document that came from there before; returns whether there was another.
    """
    if name:
        sql = "UPDATE documents SET name = ? WHERE number = ? AND added_by IS ?"
        db.execute(sql, (name, number, by))
    if source is None:
        db.execute("UPDATE documents SET kept = 1 WHERE number = ?", (number,))
        return False
    (owner,) = db.execute(
        "SELECT coalesce(?, owner, '') FROM documents WHERE number = ?", (by, number)
    ).fetchone()
    old = db.execute(
        "SELECT number FROM sources WHERE owner = ? AND source = ?", (owner, source)
    ).fetchone()
    db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (owner, source, number))
    replaced = old is not None and old[0] != number
    if replaced and _is_orphan(db, old[0]):
        _delete_document(db, old[0])
    return replaced


def _is_orphan(db: sqlite3.Connection, number: int) -> bool:
    """Whether no source has this document any more and it was not added without one."""
    sql = """SELECT NOT kept AND NOT EXISTS (SELECT 1 FROM sources WHERE number = :number)
        FROM documents WHERE number = :number"""
    return bool(db.execute(sql, {"number": number}).fetchone()[0])


def _delete_document(db: sqlite3.Connection, number: int) -> None:
    contents = contents_of(db, number)
    delete_content(db, number)
    delete_encodings(db, contents)
    for table in ("sources", "documents"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))


def _delete_sources(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM sources WHERE number = ?", (number,))
