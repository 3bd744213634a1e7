"""The sample library: articles that come with the package, for a first task without documents.

Rule: they are short and our own, so they are parsed without a child process.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import partial
from importlib import resources

from actors.library import statements
from actors.library.documents import parsed_document
from actors.library.parsing.frames import Job
from actors.library.parsing.inline import parsed_text
from actors.library.schema import SCHEMA
from actors.sqlite import MemoryDatabase


def build_sample_database(now: datetime) -> MemoryDatabase:
    """The articles in a database in memory."""
    database = MemoryDatabase(SCHEMA)
    folder = resources.files("actors.library") / "sample"
    articles = (file for file in folder.iterdir() if file.name.endswith(".md"))
    for file in sorted(articles, key=lambda file: file.name):
        body = file.read_bytes()
        parsed = parsed_text(Job(body, "text/markdown", file_name=file.name))
        sha256 = hashlib.sha256(body).hexdigest()
        document = parsed_document(parsed, "text/markdown", len(body), sha256, now)
        database.write_now(partial(statements.insert, parsed=document, source=None))
    return database
