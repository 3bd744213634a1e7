"""The statements that keep documents: add, replace, list, read and delete them.

Rule: plain blocking functions over one connection that know nothing of Trio. `actors.sqlite` decides
where they run, and makes each that writes one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from actors.errors import DocumentNotFound
from actors.library.damage import those_readable
from actors.library.documents import PARSER, Declared, Document, ParsedDocument, ParsedText
from actors.library.excerpts import ExcerptCut
from actors.library.passages import PassageCut
from actors.sqlite_errors import checked_text, is_damage
from actors.tasks.words import terms

T = TypeVar("T")

ROWS_AT_ONCE = 1_000


class ToRebuild(NamedTuple):
    """A document from before there were excerpts."""

    number: int
    document_id: str
    content: bytes | None
    """Its stored text in UTF-8; None if it is lost."""
    crc: int | None
    sections: tuple[str, ...]
    """The names of its sections."""


_COLUMNS = "document_id, title, media_type, bytes, sha256, passages, created_at, notes"


class Identity(NamedTuple):
    """Which document some bytes are: those of another owner are another document."""

    sha256: str
    owner: str | None = None
    """None: shared by all."""


_IS = "sha256 = :sha256 AND ifnull(owner, '') = ifnull(:owner, '')"


def insert(
    db: sqlite3.Connection, parsed: ParsedDocument, source: str | None, by: str | None = None
) -> tuple[Document, bool, bool]:
    """Add a document unless its bytes are there; it replaces the one that its source had before.

    `by` is whoever adds it. Sources are paths and URLs as each of them knows them.

    Returns the document, whether it is new, and whether it was there from an older parser and has
    been parsed again under its id.
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
    _place(db, number, source, by)
    return _numbered(db, number), created, updated


def place(
    db: sqlite3.Connection, identity: Identity, source: str | None, by: str | None = None
) -> Document | None:
    """The document with these bytes, noted to come from `source`, too."""
    number = _number(db, identity)
    if number is None:
        return None
    _place(db, number, source, by)
    return _numbered(db, number)


def added_by(db: sqlite3.Connection, document_id: str) -> str | None:
    """Who added a document first; raises `DocumentNotFound`."""
    sql = "SELECT added_by FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    name: str | None = row[0]
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
    db: sqlite3.Connection,
    limit: int,
    before: int | None,
    source: str | None = None,
    by: str | None = None,
) -> tuple[list[Document], int | None]:
    """At most `limit` documents, newest first, and the number of the last if there are more.

    With a `source` only those that came from it or from below it.
    """
    among = "" if source is None else f"number IN (SELECT number FROM sources WHERE {_BELOW}) AND"
    sql = f"""SELECT number, {_COLUMNS} FROM documents
        WHERE {among} (:before IS NULL OR number < :before) ORDER BY number DESC LIMIT :limit"""
    where = {"before": before, "limit": limit + 1, "by": by or "", **_below(source)}
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
    sql = "SELECT number FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    _delete_document(db, row[0])


def forget(db: sqlite3.Connection, document_id: str) -> None:
    """Remove a document some pages of which are damaged, and what else can be removed of it.

    What is left belongs to no document, so no search shows it. Raises `DocumentNotFound`.
    """
    sql = "SELECT number FROM documents WHERE document_id = ?"
    row = db.execute(sql, (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFound("There is no such document.")
    for remove in (_delete_content, _delete_sources):
        try:
            remove(db, row[0])
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
    db.execute("DELETE FROM documents WHERE number = ?", row)


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


def rebuild(db: sqlite3.Connection, rebuilt: Mapping[int, ParsedText | None]) -> None:
    """Give documents from before there were excerpts their passages and excerpts.

    One without a text is kept as a document without passages.
    """
    for number, parsed in rebuilt.items():
        if parsed is not None:
            sql = "SELECT title FROM documents WHERE number = ?"
            (title,) = db.execute(sql, (number,)).fetchone()
            _delete_content(db, number)
            _insert_content(db, number, title, parsed.text, parsed.passages, parsed.excerpts)
        _end_rebuild(db, number, len(parsed.passages) if parsed else 0)


def to_erase(db: sqlite3.Connection) -> bool:
    """Whether terms of deleted documents may still be in the full-text index."""
    row = db.execute("SELECT documents FROM to_erase").fetchone()
    return row is None or bool(row[0])


def merge(db: sqlite3.Connection, table: str, pages: int) -> bool:
    """Merge about so many pages of a full-text index (all into one if negative); whether there is more.

    FTS5 counts fewer than two changes if there was nothing to merge.
    """
    before = db.total_changes
    db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
    return db.total_changes - before >= 2


def erased(db: sqlite3.Connection) -> None:
    """Note that no terms of deleted documents are left."""
    db.execute("UPDATE to_erase SET documents = 0")


def index(db: sqlite3.Connection, number: int) -> None:
    """Add the passages and excerpts of a document to the full-text index, where they are not."""
    (title,) = db.execute("SELECT title FROM documents WHERE number = ?", (number,)).fetchone()
    title_terms = " ".join(terms(title))
    for unit, searched in (("passage", "NOT links"), ("excerpt", "true")):
        sql = f"SELECT {unit}, headings, text FROM {unit}s WHERE number = ? AND {searched}"
        db.executemany(
            f"INSERT INTO {unit}_terms (rowid, title, headings, text) VALUES (?, ?, ?, ?)",
            [
                (at, title_terms, " ".join(terms(headings)), " ".join(terms(text)))
                for at, headings, text in db.execute(sql, (number,)).fetchall()
            ],
        )


def rebuilds_left(db: sqlite3.Connection) -> int:
    """How many documents are still to be rebuilt."""
    return int(db.execute("SELECT count(*) FROM rebuilds").fetchone()[0])


def _end_rebuild(db: sqlite3.Connection, number: int, passages: int) -> None:
    db.execute("UPDATE documents SET passages = ? WHERE number = ?", (passages, number))
    db.execute("DELETE FROM rebuilds WHERE number = ?", (number,))


# --- rows ---------------------------------------------------------------------------------------


def _document(row: Sequence[Any]) -> Document:
    document_id, title, media_type, size, sha256, passages, created_at, notes = row
    return Document(
        document_id, title, media_type, size, sha256, passages, created_at, tuple(json.loads(notes))
    )


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
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
    row = (
        *(document.document_id, document.title, document.media_type, document.bytes),
        *(document.sha256, document.passages, document.created_at),
        *(json.dumps(document.notes), PARSER, parsed.language, parsed.owner),
        parsed.declared.charset,
    )
    number = db.execute(sql, row).lastrowid
    assert number is not None
    _insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)
    return number


def _replace_content(db: sqlite3.Connection, number: int, parsed: ParsedDocument) -> None:
    """Parse again: the document keeps its id, its date and its sources."""
    document = parsed.document
    contents = _contents(db, number)
    _delete_content(db, number)
    db.execute(
        """UPDATE documents SET title = ?, media_type = ?, passages = ?, notes = ?, parser = ?,
            language = ?, charset = ? WHERE number = ?""",
        (
            *(document.title, document.media_type, document.passages),
            *(json.dumps(document.notes), PARSER, parsed.language),
            *(parsed.declared.charset, number),
        ),
    )
    _insert_content(db, number, document.title, parsed.text, parsed.passages, parsed.excerpts)
    _delete_encodings(db, contents)


def _insert_content(
    db: sqlite3.Connection,
    number: int,
    title: str,
    text: str,
    passages: Collection[PassageCut],
    excerpts: Collection[ExcerptCut],
) -> None:
    db.execute("INSERT INTO texts VALUES (?, ?, ?)", (number, text, crc32(text.encode())))
    title_terms = " ".join(terms(title))
    _insert_passages(db, number, title_terms, passages)
    _insert_excerpts(db, number, title, passages, excerpts)


def _insert_passages(
    db: sqlite3.Connection, number: int, title_terms: str, passages: Iterable[PassageCut]
) -> None:
    (last,) = db.execute("SELECT ifnull(max(passage), 0) FROM passages").fetchone()
    for some in _batches(enumerate(passages, start=last + 1)):
        rows, indexed = [], []
        for at, cut in some:
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
    passages: Iterable[PassageCut],
    excerpts: Iterable[ExcerptCut],
) -> None:
    (last,) = db.execute("SELECT ifnull(max(excerpt), 0) FROM excerpts").fetchone()
    title_terms = " ".join(terms(title))
    ahead = iter(passages)
    passage = next(ahead, None)
    for some in _batches(enumerate(excerpts, start=last + 1)):
        rows, indexed = [], []
        for at, cut in some:
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


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """A few rows at a time: those of a large document would take more memory than its text."""
    left = iter(rows)
    while some := list(islice(left, ROWS_AT_ONCE)):
        yield some


def digest(*parts: str) -> bytes:
    """The same for the same texts: 16 bytes."""
    return blake2b("\0".join(parts).encode(), digest_size=16).digest()


def content_crc(headings: str, text: str) -> int:
    """What the checksum of a passage or excerpt covers; neither part holds a NUL."""
    return crc32(f"{headings}\0{text}".encode())


def _place(db: sqlite3.Connection, number: int, source: str | None, by: str | None = None) -> None:
    """Note the source of a document, and remove the one that came from there before."""
    if source is None:
        db.execute("UPDATE documents SET kept = 1 WHERE number = ?", (number,))
        return
    (owner,) = db.execute(
        "SELECT coalesce(?, owner, '') FROM documents WHERE number = ?", (by, number)
    ).fetchone()
    old = db.execute(
        "SELECT number FROM sources WHERE owner = ? AND source = ?", (owner, source)
    ).fetchone()
    db.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (owner, source, number))
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
    for table in ("sources", "documents"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))


def _delete_sources(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM sources WHERE number = ?", (number,))


def _delete_content(db: sqlite3.Connection, number: int) -> None:
    for table, key in (("passage_terms", "passage"), ("excerpt_terms", "excerpt")):
        among = f"SELECT {key} FROM {key}s WHERE number = ?"
        db.execute(f"DELETE FROM {table} WHERE rowid IN ({among})", (number,))
    for table in ("excerpts", "passages", "texts"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))
    db.execute("UPDATE to_erase SET documents = documents + 1")


def _contents(db: sqlite3.Connection, number: int) -> list[tuple[bytes]]:
    sql = "SELECT DISTINCT content FROM excerpts WHERE number = ?"
    return db.execute(sql, (number,)).fetchall()


def _delete_encodings(db: sqlite3.Connection, contents: Sequence[tuple[bytes]]) -> None:
    """Delete the vectors of content that no document has any more."""
    sql = """DELETE FROM encodings WHERE content = ?1
        AND NOT EXISTS (SELECT 1 FROM excerpts WHERE content = ?1)"""
    db.executemany(sql, contents)
