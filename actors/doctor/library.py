"""Examine the documents of a library, and write those that are whole into a new one.

Rule: the full-text index is made again from the stored passages and excerpts, never copied.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from actors.doctor.findings import Finding, numbers
from actors.errors import DocumentUnreadable
from actors.library import contents
from actors.library.damage import readable
from actors.library.schema import FILE_NAME, SCHEMA
from actors.sqlite import prepare, transaction
from actors.sqlite_errors import checked_text

INDEXED = {"passage": "NOT links", "excerpt": "true"}


def examine(db: sqlite3.Connection) -> Iterator[Finding]:
    """The documents that are damaged, and what is wrong with the full-text index."""
    for number in numbers(db, "documents"):
        try:
            _check(db, number)
        except (DocumentUnreadable, sqlite3.DatabaseError) as damaged:
            yield Finding(FILE_NAME, "document", _name(db, number), str(damaged))
    for unit, searched in INDEXED.items():
        table = f"{unit}_terms"
        try:
            db.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
            whole = f"SELECT {unit} FROM {unit}s WHERE {searched} ORDER BY 1"
            indexed = f"SELECT rowid FROM {table} ORDER BY 1"
            if db.execute(whole).fetchall() != db.execute(indexed).fetchall():
                yield Finding(FILE_NAME, "index", table, f"it does not hold exactly the {unit}s")
        except sqlite3.DatabaseError as error:
            yield Finding(FILE_NAME, "index", table, f"the full-text index is damaged: {error}")


def _name(db: sqlite3.Connection, number: int) -> str:
    try:
        sql = "SELECT document_id FROM documents WHERE number = ?"
        return str(db.execute(sql, (number,)).fetchone()[0])
    except sqlite3.DatabaseError:
        return f"number {number}"


def _check(db: sqlite3.Connection, number: int) -> None:
    """Raises `DocumentUnreadable` and `sqlite3.DatabaseError`; a document may be gone."""
    row = db.execute("SELECT passages, notes FROM documents WHERE number = ?", (number,)).fetchone()
    if row is None:
        return
    with readable():
        json.loads(row[1])
        sql = "SELECT CAST(text AS BLOB), crc FROM texts WHERE number = ?"
        content, crc = db.execute(sql, (number,)).fetchone()
        checked_text(content, crc, "Its text")
        for unit in INDEXED:
            sql = f"""SELECT position, CAST(headings || char(0) || text AS BLOB), crc FROM {unit}s
                WHERE number = ?"""
            parts = db.execute(sql, (number,)).fetchall()
            for position, content, crc in parts:
                checked_text(content, crc, f"The {unit} at {position}")
            if unit == "passage" and len(parts) != row[0]:
                raise ValueError("passages are missing")


def repair(db: sqlite3.Connection, copy: Path, target: Path) -> None:
    """Write the documents that are whole into a new library."""
    whole = []
    for number in numbers(db, "documents"):
        try:
            _check(db, number)
        except (DocumentUnreadable, sqlite3.DatabaseError):
            continue
        whole.append(number)
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        prepare(new, target, SCHEMA)
        new.execute("ATTACH ? AS old", (str(copy),))
        for number in whole:
            try:
                transaction(new, partial(_take, number=number))
            except sqlite3.DatabaseError:
                continue  # A further page of it is damaged: all of it stays behind.


def _take(db: sqlite3.Connection, number: int) -> None:
    for table in ("documents", "sources", "texts", "passages", "excerpts", "rebuilds"):
        db.execute(
            f"INSERT INTO main.{table} SELECT * FROM old.{table} WHERE number = ?", (number,)
        )
    if db.execute("SELECT 1 FROM main.documents WHERE number = ?", (number,)).fetchone():
        contents.index(db, number)
