"""The form of the database, as numbered steps under `PRAGMA user_version`.

Rule: a released step is never changed; the next form is one more step. A file that is not ours, is
newer than we are, or cannot be read is refused, and nothing in it is touched.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

APPLICATION_ID = 0x5445525A
"""Marks the file as ours: "TERZ" in ASCII."""

STEPS = (
    """
    CREATE TABLE tasks (
        mark INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        last_seq INTEGER NOT NULL,
        run INTEGER NOT NULL,
        degraded INTEGER NOT NULL,
        error TEXT,
        task_description TEXT NOT NULL,
        deadline_s REAL,
        metadata TEXT NOT NULL
    );
    CREATE INDEX tasks_by_status ON tasks (status, mark);
    CREATE TABLE log (
        mark INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        lines BLOB NOT NULL,
        PRIMARY KEY (mark, last_seq)
    );
    CREATE TABLE outputs (
        mark INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
        step_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (mark, step_id)
    );
    CREATE TABLE owner (orderly INTEGER NOT NULL);
    INSERT INTO owner VALUES (1);
    """,
)


class UnusableDatabase(Exception):
    """The file cannot be used as it is; nothing in it was changed. The operator's move."""


def connect(file: Path) -> sqlite3.Connection:
    """The writing connection, with the newest form in place."""
    try:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            _migrate(connection, file)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise UnusableDatabase(
            f"{file} cannot be used as Terzetto's log ({error}). It was left as it is:"
            " move it away, restore it from a backup, or choose another data folder."
        ) from error
    return connection


def connect_reader(file: Path) -> sqlite3.Connection:
    """One more connection, which cannot write."""
    reader = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    reader.execute("PRAGMA query_only = ON")
    return reader


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise UnusableDatabase(f"{file} belongs to another program, and was left as it is.")
    if version > len(STEPS):
        raise UnusableDatabase(
            f"{file} was written by a newer Terzetto (form {version}, this one knows"
            f" {len(STEPS)}). Start the newer release."
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {step} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT;"
        )
