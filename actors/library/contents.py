"""The statements that keep what a document says: its text, passages, excerpts and their terms.

Rule: as in `actors.library.statements`: plain blocking functions over one connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import TypeVar
from zlib import crc32

from actors.library.excerpts import ExcerptCut
from actors.library.passages import PassageCut
from actors.tasks.words import terms

T = TypeVar("T")

ROWS_AT_ONCE = 1_000


def insert_content(
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


def delete_content(db: sqlite3.Connection, number: int) -> None:
    for table, key in (("passage_terms", "passage"), ("excerpt_terms", "excerpt")):
        among = f"SELECT {key} FROM {key}s WHERE number = ?"
        db.execute(f"DELETE FROM {table} WHERE rowid IN ({among})", (number,))
    for table in ("excerpts", "passages", "texts"):
        db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))
    db.execute("UPDATE to_erase SET documents = documents + 1")


def contents_of(db: sqlite3.Connection, number: int) -> list[tuple[bytes]]:
    sql = "SELECT DISTINCT content FROM excerpts WHERE number = ?"
    return db.execute(sql, (number,)).fetchall()


def delete_encodings(db: sqlite3.Connection, contents: Sequence[tuple[bytes]]) -> None:
    """Delete the vectors of content that no document has any more."""
    sql = """DELETE FROM encodings WHERE content = ?1
        AND NOT EXISTS (SELECT 1 FROM excerpts WHERE content = ?1)"""
    db.executemany(sql, contents)
