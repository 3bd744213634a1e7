"""The document library: what the retriever reads and people fill.

Rule: `add` answers when the document is durable and searchable, and what was deleted is at once
not found any more. While a person has no documents of their own, the sample library stands in.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from actors.errors import IllegalState, InvalidRequest, TooLarge
from actors.library import cursors, statements
from actors.library.database import Database, open_database
from actors.library.documents import Added, Document, DocumentPage, Hits, Ranker
from actors.library.encoders.vectors import packaged_embedder
from actors.library.parsed import ParsedDocument, parsed_document
from actors.library.parsing.frames import Job
from actors.library.parsing.media_types import MediaType, media_type_of
from actors.library.parsing.process import Parser, open_parser
from actors.library.sample_library import build_sample_database
from actors.library.search import Searcher
from actors.tasks.evidence import Passage

if TYPE_CHECKING:
    from actors.library.encoders.embedding import Embedder

__all__ = ["Added", "Document", "DocumentPage", "Hits", "Library", "open_library"]

_MIB = 1024 * 1024
MAX_BYTES = 32 * _MIB


@asynccontextmanager
async def open_library(
    folder: Path | None,
    *,
    now: Callable[[], datetime],
    parser: Parser | None = None,
    vectors: bool = True,
) -> AsyncIterator[Library]:
    """The library in `folder`, or one in memory that is gone at the end.

    `parser` takes the place of the child processes, for tests under a virtual clock. Without
    `vectors`, or without the extra of that name, passages are found by their words only.
    """
    async with open_database(folder) as database, open_parser() as own_parser:
        embedder = await database.compute(packaged_embedder) if vectors else None
        library = Library(database, parser or own_parser, now, embedder)
        with closing(library):
            async with library.filling():
                yield library


class Library:
    """Documents and the search over them. Open it with `open_library`."""

    def __init__(
        self,
        database: Database,
        parser: Parser,
        now: Callable[[], datetime],
        embedder: Embedder | None = None,
    ) -> None:
        self._database = database
        self._parser = parser
        self._now = now
        self._embedder = embedder
        self._own = Searcher(database, database, embedder)
        self._sample: Searcher | None = None
        self._opened = ExitStack()
        self._building = trio.Lock()

    def close(self) -> None:
        """Close the sample library, if it was opened."""
        self._opened.close()

    @asynccontextmanager
    async def filling(self) -> AsyncIterator[None]:
        """While this is open, passages without vectors get theirs."""
        if self._own.vectors is None:
            yield
            return
        await self._own.vectors.adopt()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._own.vectors.fill_in_background)
            yield
            nursery.cancel_scope.cancel()

    @property
    def rankers(self) -> tuple[Ranker, ...]:
        """What a search goes by: words, and meaning where the extra `vectors` is installed."""
        return self._own.rankers

    async def fill_vectors(self) -> None:
        """Return when every passage has the vector it can have; a search does not need this."""
        if self._own.vectors is not None:
            await self._own.vectors.fill()

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
        if await self._database.read(partial(statements.knows, sha256=sha256, source=None)):
            there = await self._database.write(
                partial(statements.place, sha256=sha256, source=source)
            )
            if there is not None:
                return Added(there, created=False)
        job = Job(body, media_type or kind, title, file_name)
        reading = await self._read(job, kind, sha256)
        if self._own.vectors is not None:
            reading = await self._own.vectors.with_vectors(reading)
        insert = partial(statements.insert, reading=reading, source=source)
        return Added(*await self._database.write(insert))

    async def read(
        self, body: bytes, *, media_type: str | None = None, file_name: str | None = None
    ) -> ParsedDocument:
        """A document as `add` would add it, without adding it; raises what `add` raises."""
        kind, sha256 = await self._identified(body, media_type, file_name)
        return await self._read(Job(body, media_type or kind, None, file_name), kind, sha256)

    async def documents(self, *, limit: int, cursor: str | None) -> DocumentPage:
        """A page of documents, newest first; raises `InvalidRequest` for a bad cursor."""
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        before = cursors.read(cursor) if cursor is not None else None
        searcher, sample = await self._current()
        found, more = await searcher.database.read(
            partial(statements.page, limit=limit, before=before)
        )
        documents = tuple(replace(document, sample=sample) for document in found)
        return DocumentPage(documents, cursors.written(more) if more is not None else None)

    async def document(self, document_id: str) -> Document:
        """One document; raises `DocumentNotFound`."""
        searcher, sample = await self._current()
        found = await searcher.database.read(partial(statements.get, document_id=document_id))
        return replace(found, sample=sample)

    async def text(self, document_id: str) -> str:
        """The text that was read from a document; raises `DocumentNotFound`."""
        searcher, _ = await self._current()
        return await searcher.database.read(partial(statements.text, document_id=document_id))

    async def delete(self, document_id: str) -> None:
        """Forget a document; raises `DocumentNotFound`, and `IllegalState` for a sample."""
        searcher, sample = await self._current()
        if sample:
            await searcher.database.read(partial(statements.get, document_id=document_id))
            raise IllegalState(
                "This document belongs to the sample library, which goes away by itself when you "
                "add documents of your own."
            )
        await searcher.database.write(partial(statements.delete, document_id=document_id))

    async def search(
        self, query: str, *, limit: int, rankers: Collection[Ranker] | None = None
    ) -> Hits:
        """The passages that match best. Any text is a query; with no words in it, no hits.

        All rankers that there are take part, or those of `rankers`. The score of a passage is that
        of BM25, or of the fusion if vectors took part. See `actors.library.selection` for what
        is left out.
        """
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        searcher, sample = await self._current()
        used = tuple(one for one in searcher.rankers if rankers is None or one in rankers)
        return Hits(await searcher.search(query, limit, used), sample, used)

    async def neighbours(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """What stands right before and after each of these in its section, in their order."""
        searcher, _ = await self._current()
        return tuple(
            await searcher.database.read(partial(statements.neighbours, passages=passages))
        )

    async def knows(self, sha256: str, *, source: str | None = None) -> bool:
        """Whether the person has a document with these bytes (from this source, if given)."""
        return await self._database.read(partial(statements.knows, sha256=sha256, source=source))

    async def _identified(
        self, body: bytes, media_type: str | None, file_name: str | None
    ) -> tuple[MediaType, str]:
        if len(body) > MAX_BYTES:
            raise TooLarge(f"A document may have at most {MAX_BYTES // _MIB} MiB.")
        kind = media_type_of(body, media_type, file_name)
        return kind, await self._database.compute(lambda: hashlib.sha256(body).hexdigest())

    async def _read(self, job: Job, kind: MediaType, sha256: str) -> ParsedDocument:
        parsed = await self._parser.parse(job)
        return parsed_document(parsed, kind, len(job.body), sha256, self._now())

    async def identify(self, name: str) -> str | None:
        """The id of the document with this id, source or title, whichever is found first."""
        searcher, _ = await self._current()
        return await searcher.database.read(partial(statements.identify, name=name))

    async def _current(self) -> tuple[Searcher, bool]:
        """The person's documents, or the sample library and True while there are none."""
        if not await self._database.read(statements.is_empty):
            return self._own, False
        async with self._building:
            if self._sample is None:
                database = await self._database.compute(partial(build_sample_database, self._now()))
                self._opened.enter_context(closing(database))
                sample = Searcher(database, self._database, self._embedder)
                if sample.vectors is not None:
                    await sample.vectors.fill()
                self._sample = sample
        return self._sample, True
