"""The document library: what the retriever reads and people fill.

Rule: `add` answers when the document is durable and searchable, and what was deleted is at once
not found any more. While a person has no documents of their own, the sample library stands in.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from actors.errors import IllegalState, InvalidRequest, TooLarge
from actors.knowledge import cursors, store
from actors.knowledge.documents import Added, Document, DocumentPage, Hits
from actors.knowledge.frames import Job
from actors.knowledge.media_types import MediaType, media_type_of
from actors.knowledge.parser_process import Parser, open_parser
from actors.knowledge.queries import match_expression
from actors.knowledge.readings import Reading, reading_of
from actors.knowledge.sample_library import build_sample_shelf
from actors.knowledge.shelf import MemoryShelf, Shelf, open_shelf

__all__ = ["Added", "Document", "DocumentPage", "Hits", "Library", "open_library"]

_MIB = 1024 * 1024
MAX_BYTES = 32 * _MIB


@asynccontextmanager
async def open_library(
    folder: Path | None, *, now: Callable[[], datetime], parser: Parser | None = None
) -> AsyncIterator[Library]:
    """The library in `folder`, or one in memory that is gone at the end.

    `parser` takes the place of the child processes, for tests under a virtual clock.
    """
    async with open_shelf(folder) as shelf, open_parser() as own_parser:
        yield Library(shelf, parser or own_parser, now)


class Library:
    """Documents and the search over them. Open it with `open_library`."""

    def __init__(self, shelf: Shelf, parser: Parser, now: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._parser = parser
        self._now = now
        self._sample: MemoryShelf | None = None

    async def add(
        self,
        body: bytes,
        *,
        media_type: str | None = None,
        title: str | None = None,
        file_name: str | None = None,
        source: str | None = None,
    ) -> Added:
        """Add a document; the same bytes are the same document.

        It takes the place of what came from the same `source` before. Raises `TooLarge`,
        `UnsupportedMediaType`, `UnreadableDocument` and `StorageUnavailable`.
        """
        kind, sha256 = await self._identified(body, media_type, file_name)
        if await self._shelf.read(partial(store.knows, sha256=sha256, source=None)):
            there = await self._shelf.write(partial(store.place, sha256=sha256, source=source))
            if there is not None:
                return Added(there, created=False)
        job = Job(body, media_type or kind, title, file_name)
        reading = await self._read(job, kind, sha256)
        insert = partial(store.insert, reading=reading, source=source)
        return Added(*await self._shelf.write(insert))

    async def read(
        self, body: bytes, *, media_type: str | None = None, file_name: str | None = None
    ) -> Reading:
        """A document as `add` would add it, without adding it; raises what `add` raises."""
        kind, sha256 = await self._identified(body, media_type, file_name)
        return await self._read(Job(body, media_type or kind, None, file_name), kind, sha256)

    async def documents(self, *, limit: int, cursor: str | None) -> DocumentPage:
        """A page of documents, newest first; raises `InvalidRequest` for a bad cursor."""
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        before = cursors.read(cursor) if cursor is not None else None
        shelf, sample = await self._current()
        found, more = await shelf.read(partial(store.page, limit=limit, before=before))
        documents = tuple(replace(document, sample=sample) for document in found)
        return DocumentPage(documents, cursors.written(more) if more is not None else None)

    async def document(self, document_id: str) -> Document:
        """One document; raises `DocumentNotFound`."""
        shelf, sample = await self._current()
        found = await shelf.read(partial(store.get, document_id=document_id))
        return replace(found, sample=sample)

    async def text(self, document_id: str) -> str:
        """The text that was read from a document; raises `DocumentNotFound`."""
        shelf, _ = await self._current()
        return await shelf.read(partial(store.text, document_id=document_id))

    async def delete(self, document_id: str) -> None:
        """Forget a document; raises `DocumentNotFound`, and `IllegalState` for a sample."""
        shelf, sample = await self._current()
        if sample:
            await shelf.read(partial(store.get, document_id=document_id))
            raise IllegalState(
                "This document belongs to the sample library, which goes away by itself when you "
                "add documents of your own."
            )
        await shelf.write(partial(store.delete, document_id=document_id))

    async def search(self, query: str, *, limit: int) -> Hits:
        """The passages that match best. Any text is a query; with no words in it, no hits."""
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        shelf, sample = await self._current()
        expression = match_expression(query)
        if expression is None:
            return Hits((), sample)
        found = await shelf.read(partial(store.search, expression=expression, limit=limit))
        return Hits(found, sample)

    async def knows(self, sha256: str, *, source: str | None = None) -> bool:
        """Whether the person has a document with these bytes (from this source, if given)."""
        return await self._shelf.read(partial(store.knows, sha256=sha256, source=source))

    async def _identified(
        self, body: bytes, media_type: str | None, file_name: str | None
    ) -> tuple[MediaType, str]:
        if len(body) > MAX_BYTES:
            raise TooLarge(f"A document may have at most {MAX_BYTES // _MIB} MiB.")
        kind = media_type_of(body, media_type, file_name)
        return kind, await self._shelf.compute(lambda: hashlib.sha256(body).hexdigest())

    async def _read(self, job: Job, kind: MediaType, sha256: str) -> Reading:
        parsed = await self._parser.parse(job)
        return reading_of(parsed, kind, len(job.body), sha256, self._now())

    async def _current(self) -> tuple[Shelf, bool]:
        """The person's shelf, or the sample shelf and True while theirs is empty."""
        if not await self._shelf.read(store.is_empty):
            return self._shelf, False
        if self._sample is None:
            self._sample = build_sample_shelf(self._now())
        return self._sample, True
