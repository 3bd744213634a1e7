"""The statements about vectors over one SQLite connection.

Rule: as in `actors.library.statements`. A vector's number is never used twice, so that who has read it
once need not read it again.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence

from actors.library.statements import worth

Bare = tuple[int, str, str, str]
"""A passage without a vector: its number, title, section and text."""


def model(db: sqlite3.Connection) -> str | None:
    """Whose vectors the library has; None before it has any."""
    row = db.execute("SELECT model FROM vector_model").fetchone()
    return row[0] if row else None


def adopt(db: sqlite3.Connection, model: str) -> None:
    """Make this the model of all vectors to come; those that are there are forgotten."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM vectors")
        db.execute("DELETE FROM vector_model")
        db.execute("INSERT INTO vector_model VALUES (?)", (model,))


def is_complete(db: sqlite3.Connection) -> bool:
    """Whether every passage has a vector; counts in indexes, which takes no time to speak of."""
    sql = "SELECT (SELECT count(*) FROM passages) = (SELECT count(*) FROM vectors)"
    (complete,) = db.execute(sql).fetchone()
    return bool(complete)


def bare(db: sqlite3.Connection, after: int, limit: int) -> list[Bare]:
    """Passages that have no vector, in order, after passage number `after`."""
    sql = """SELECT passage, title, section, text FROM titled_passages
        WHERE passage > ? AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.passage = titled_passages.passage)
        ORDER BY passage LIMIT ?"""
    return db.execute(sql, (after, limit)).fetchall()


def clothe(db: sqlite3.Connection, passages: Sequence[Bare], embeddings: Sequence[bytes]) -> None:
    """Store the vectors of passages, as far as those are still what they were when they were read."""
    sql = """INSERT OR IGNORE INTO vectors (passage, embedding) SELECT passage, ? FROM titled_passages
        WHERE passage = ? AND title = ? AND section = ? AND text = ?"""
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            sql, [(each, *passage) for passage, each in zip(passages, embeddings, strict=True)]
        )


def newer(
    db: sqlite3.Connection, last: int, limit: int
) -> tuple[list[tuple[int, bytes, float]], int]:
    """Vectors with numbers after `last` (number, bytes, its passage's worth), and how many vectors
    were ever dropped."""
    sql = f"""SELECT vector, embedding, {worth("vectors.passage")} FROM vectors
        WHERE vector > ? ORDER BY vector LIMIT ?"""
    with db:
        db.execute("BEGIN")  # Both from one state of the file.
        found = db.execute(sql, (last, limit)).fetchall()
        (dropped,) = db.execute("SELECT number FROM dropped_vectors").fetchone()
    return found, int(dropped)


def numbers(db: sqlite3.Connection) -> array[int]:
    """The numbers of all vectors, without an object for each."""
    rows = db.execute("SELECT vector FROM vectors INDEXED BY sqlite_autoindex_vectors_1")
    return array("q", (number for (number,) in rows))
