"""The sample library: articles that come with the package, for a first task without documents.

Rule: they are texts of our own, read in a moment, so they need no process of their own.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from importlib import resources

from actors.knowledge import store
from actors.knowledge.frames import Job
from actors.knowledge.inline_parser import parsed_text
from actors.knowledge.readings import reading_of
from actors.knowledge.shelf import MemoryShelf


def build_sample_shelf(now: datetime) -> MemoryShelf:
    """The articles on a shelf in memory."""
    shelf = MemoryShelf()
    folder = resources.files("actors.knowledge") / "sample"
    articles = (file for file in folder.iterdir() if file.name.endswith(".md"))
    for file in sorted(articles, key=lambda file: file.name):
        body = file.read_bytes()
        parsed = parsed_text(Job(body, "text/markdown", file_name=file.name))
        sha256 = hashlib.sha256(body).hexdigest()
        reading = reading_of(parsed, "text/markdown", len(body), sha256, now)
        store.insert(shelf.connection, reading, None)
    return shelf
