"""Readers: which documents are there for whom.

Rule: a document without an owner is there for everyone, one with an owner for that owner, and all of
them for a reader that sees all. For others it is as if it had never been added: they find it in no list,
count or search, and it changes neither what their words weigh nor which of them are unknown. Only the
order of matches that are about equal may change, as FTS5's BM25 counts the words of all documents.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the library: an owner of documents by name, or None; or one who sees all."""

    owner: str | None = None
    sees_all: bool = False

    @property
    def sees(self) -> str:
        """The condition in SQL on a row of `documents`; `values` has its value."""
        return "true" if self.sees_all else "ifnull(documents.owner, '') IN ('', :reader)"

    @property
    def values(self) -> dict[str, str]:
        """The value of the condition by name."""
        return {} if self.sees_all else {"reader": self.owner or ""}

    def within(self, db: sqlite3.Connection) -> Reader:
        """This reader, or one that sees all while nothing is hidden from this one: it is faster."""
        if self.sees_all:
            return self
        sql = """SELECT EXISTS (SELECT 1 FROM documents
                WHERE ifnull(owner, '') > '' AND ifnull(owner, '') < :reader)
            OR EXISTS (SELECT 1 FROM documents WHERE ifnull(owner, '') > :reader)"""
        (hidden,) = db.execute(sql, self.values).fetchone()
        return self if hidden else EVERYTHING


EVERYTHING = Reader(sees_all=True)
