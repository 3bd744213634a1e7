"""The tables of `library.db`, as numbered steps.

Rule: a step that was released never changes; the next one is added. A file that is not a library,
or is one of a later version, is left exactly as it is.
"""

from __future__ import annotations

import sqlite3

from actors.errors import StorageUnavailable

APPLICATION_ID = 0x5465_727A
"""Marks the file as ours ("Terz")."""

STEPS: tuple[str, ...] = (
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
        kept INTEGER NOT NULL DEFAULT 0 -- 1: it was also added by itself, without a source
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
    CREATE INDEX links ON passages (passage) WHERE worth < 1; -- few, so that asking is cheap
    CREATE TABLE dropped_vectors (number INTEGER NOT NULL); -- how many there have been, in one row
    INSERT INTO dropped_vectors VALUES (0);
    CREATE TRIGGER vector_dropped AFTER DELETE ON vectors
        BEGIN UPDATE dropped_vectors SET number = number + 1; END;
    """,
)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring a new or older library to this version; raises `StorageUnavailable` for anything else.

    Each step and its number are one transaction.
    """
    version = _checked_version(connection)
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {number}; COMMIT;"
        )


def _checked_version(connection: sqlite3.Connection) -> int:
    (marked,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if marked != APPLICATION_ID and (marked or version or tables):
        raise StorageUnavailable(
            "library.db in the data folder is not a Terzetto library. Move it away, or name "
            "another data folder. Nothing was changed."
        )
    if version > len(STEPS):
        raise StorageUnavailable(
            "library.db was written by a later version of Terzetto. Update Terzetto, or name "
            "another data folder. Nothing was changed."
        )
    return int(version)
