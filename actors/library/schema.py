"""The tables of `library.db`, as migration steps.

Rule: a released step never changes; a new form is a further step. The full-text tables hold terms
(`actors.tasks.words`), not text, so that documents and queries are folded by the same code.
"""

from __future__ import annotations

from actors.sqlite import Schema

FILE_NAME = "library.db"

_FIRST = """
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
    """
_VECTORS = """
    CREATE TABLE vectors (
        vector INTEGER PRIMARY KEY AUTOINCREMENT,
        passage INTEGER NOT NULL UNIQUE REFERENCES passages,
        embedding BLOB NOT NULL
    );
    CREATE TABLE vector_model (model TEXT NOT NULL);
    """
_DROPPED_VECTORS = """
    CREATE INDEX links ON passages (passage) WHERE worth < 1;
    CREATE TABLE dropped_vectors (number INTEGER NOT NULL);
    INSERT INTO dropped_vectors VALUES (0);
    CREATE TRIGGER vector_dropped AFTER DELETE ON vectors
        BEGIN UPDATE dropped_vectors SET number = number + 1; END;
    """
_CHECKSUMS = """
    ALTER TABLE texts ADD COLUMN crc INTEGER; -- CRC-32 of the text; NULL in older rows
    ALTER TABLE passages ADD COLUMN crc INTEGER; -- of section, a NUL and text; NULL in older rows
    """
_TOKENIZER = """tokenize = "unicode61 remove_diacritics 0 tokenchars '.'" """
_EXCERPTS = f"""
    CREATE TABLE rebuilds AS -- what is still to be cut into excerpts, from its stored text
        SELECT number, json_group_array(DISTINCT section) AS sections FROM passages GROUP BY number;
    CREATE TABLE before_documents AS SELECT * FROM documents;
    CREATE TABLE before_sources AS SELECT * FROM sources;
    CREATE TABLE before_texts AS SELECT * FROM texts;
    DROP TRIGGER vector_dropped;
    DROP TABLE dropped_vectors;
    DROP TABLE vectors;
    DROP TABLE vector_model;
    DROP TABLE search;
    DROP VIEW titled_passages;
    DROP TABLE passages;
    DROP TABLE texts;
    DROP TABLE sources;
    DROP TABLE documents;
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id TEXT NOT NULL UNIQUE,
        owner TEXT, -- NULL: shared by all
        title TEXT NOT NULL,
        media_type TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        passages INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        kept INTEGER NOT NULL DEFAULT 0, -- 1: it was also added without a source
        parser INTEGER NOT NULL DEFAULT 0, -- the version that read it; 0: before there were any
        language TEXT NOT NULL DEFAULT '',
        notes TEXT NOT NULL DEFAULT '[]' -- JSON: what the parser left out, in sentences
    );
    CREATE UNIQUE INDEX document_of_owner ON documents (ifnull(owner, ''), sha256);
    CREATE INDEX documents_by_parser ON documents (parser);
    CREATE TABLE sources (
        owner TEXT NOT NULL, -- that of the document, '' for none
        source TEXT NOT NULL,
        number INTEGER NOT NULL REFERENCES documents,
        PRIMARY KEY (owner, source)
    ) WITHOUT ROWID;
    CREATE INDEX sources_of_document ON sources (number);
    CREATE TABLE texts (
        number INTEGER PRIMARY KEY REFERENCES documents,
        text TEXT NOT NULL,
        crc INTEGER -- CRC-32 of the text; NULL in rows from before there were checksums
    );
    INSERT INTO documents (number, document_id, title, media_type, bytes, sha256, passages,
        created_at, kept) SELECT number, document_id, title, media_type, bytes, sha256, passages,
        created_at, kept FROM before_documents;
    INSERT INTO sources SELECT '', source, number FROM before_sources;
    INSERT INTO texts SELECT number, text, crc FROM before_texts;
    DROP TABLE before_documents;
    DROP TABLE before_sources;
    DROP TABLE before_texts;
    CREATE TABLE passages (
        passage INTEGER PRIMARY KEY,
        number INTEGER NOT NULL REFERENCES documents,
        position INTEGER NOT NULL,
        begin INTEGER NOT NULL, -- its place in the text of the document, in characters
        finish INTEGER NOT NULL,
        links INTEGER NOT NULL, -- 1: it only leads elsewhere, and is not searched
        headings TEXT NOT NULL, -- outermost first, a line each
        text TEXT NOT NULL,
        crc INTEGER NOT NULL, -- CRC-32 of headings, a NUL and text
        UNIQUE (number, position)
    );
    CREATE TABLE excerpts (
        excerpt INTEGER PRIMARY KEY,
        number INTEGER NOT NULL REFERENCES documents,
        position INTEGER NOT NULL, -- of its passage
        begin INTEGER NOT NULL,
        finish INTEGER NOT NULL,
        kind TEXT NOT NULL,
        lead INTEGER NOT NULL, -- 1: it opens its section
        headings TEXT NOT NULL,
        text TEXT NOT NULL,
        digest BLOB NOT NULL, -- of headings and text: the same for repeated text
        content BLOB NOT NULL, -- of title, headings and text: what its vector is computed from
        crc INTEGER NOT NULL
    );
    CREATE INDEX excerpts_of_passage ON excerpts (number, position);
    CREATE INDEX excerpts_by_digest ON excerpts (digest, number);
    CREATE INDEX excerpts_by_content ON excerpts (content);
    CREATE VIRTUAL TABLE passage_terms USING fts5 (title, headings, text, {_TOKENIZER});
    CREATE VIRTUAL TABLE excerpt_terms USING fts5 (title, headings, text, {_TOKENIZER});
    CREATE VIRTUAL TABLE excerpt_vocabulary USING fts5vocab (excerpt_terms, row);
    CREATE TABLE encodings ( -- vectors of excerpts, by content
        encoding INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
        content BLOB NOT NULL,
        model TEXT NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (content, model)
    );
    """
_ERASING = """
    CREATE TABLE to_erase (documents INTEGER NOT NULL); -- whose terms may still be in the index
    INSERT INTO to_erase VALUES (1); -- of earlier releases, which did not count them
    """
_CHARSET = """
    ALTER TABLE documents ADD COLUMN charset TEXT; -- as the sender declared it; NULL: not at all
    """

_ADDED_BY = "ALTER TABLE documents ADD COLUMN added_by TEXT; -- a name; NULL: the person"
_NAMES = "ALTER TABLE documents ADD COLUMN name TEXT NOT NULL DEFAULT ''; -- a path or URL"

SCHEMA = Schema(
    noun="library",
    application_id=0x5465_727A,  # "Terz" in ASCII.
    steps=(
        _FIRST,
        _VECTORS,
        _DROPPED_VECTORS,
        _CHECKSUMS,
        _EXCERPTS,
        _ERASING,
        _CHARSET,
        _ADDED_BY,
        _NAMES,
    ),
)
