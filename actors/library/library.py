"""The document library: people add documents, the retriever searches them.

Rule: `add` answers when the document is durable and searchable, and a deleted document is not found
any more at once. While a person has no documents, the sample library takes their place.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from actors.errors import IllegalState, InvalidRequest, TooLarge
from actors.library import cursors, retrieval, statements
from actors.library.damage import readable
from actors.library.documents import (
    Added,
    Declared,
    Document,
    DocumentPage,
    Hits,
    ParsedDocument,
    Ranker,
    name_of,
    parsed_document,
)
from actors.library.encoders.encoder import LoadEncoder
from actors.library.encoders.encodings import Encodings
from actors.library.encoders.worker import EncoderWorker
from actors.library.erasing import erase
from actors.library.parsing.frames import Job
from actors.library.parsing.media_types import MediaType, declared_by, media_type_of
from actors.library.parsing.places import ParsePlaces
from actors.library.parsing.process import Parser, open_parser
from actors.library.readers import EVERYTHING, Reader
from actors.library.rebuilding import rebuild
from actors.library.retrieval import Found, Query
from actors.library.sample_library import build_sample_database
from actors.library.schema import FILE_NAME, SCHEMA
from actors.library.selection import selected
from actors.sqlite import BUSY_WAIT, BusyWait, Database, Work, open_database
from actors.sqlite_errors import UnusableDatabase
from actors.tasks.evidence import Excerpt

__all__ = ["Added", "Document", "DocumentPage", "Hits", "Library", "open_library"]

T = TypeVar("T")

_MIB = 1024 * 1024
MAX_BYTES = 32 * _MIB
ALL_RANKERS: tuple[Ranker, ...] = ("bm25", "encoder")
MIN_DEPTH, DEPTH_PER_HIT = 100, 4
"""Passages ranked for a search: more than are shown, as duplicates are dropped later."""


@asynccontextmanager
async def open_library(
    folder: Path | None,
    *,
    now: Callable[[], datetime],
    parser: Parser | None = None,
    encoder: LoadEncoder | None = None,
    busy: BusyWait = BUSY_WAIT,
) -> AsyncIterator[Library]:
    """The library in `folder`, or one in memory that is gone at the end.

    `parser` replaces the child processes, for tests under a virtual clock. With `encoder`, excerpts
    are encoded in the background, and found and chosen by meaning, too.
    """
    file = folder / FILE_NAME if folder else None
    async with open_database(SCHEMA, file, busy) as database, open_parser() as own_parser:
        await rebuild(database)
        await erase(database)
        worker = EncoderWorker(encoder) if encoder else None
        with closing(Library(database, parser or own_parser, now, worker)) as library:
            async with library.encoding():
                yield library


class Library:
    """Documents and the search over them. Open it with `open_library`."""

    def __init__(
        self,
        database: Database,
        parser: Parser,
        now: Callable[[], datetime],
        worker: EncoderWorker | None = None,
    ) -> None:
        self._database = database
        self._parser = parser
        self._now = now
        self._worker = worker
        self._encodings = Encodings(worker, database, database) if worker else None
        self._sample: tuple[Database, Encodings | None] | None = None
        self._opened = ExitStack()
        self._building = trio.Lock()
        self._places = ParsePlaces()

    def close(self) -> None:
        """Close the sample library, if it was opened."""
        self._opened.close()

    @asynccontextmanager
    async def encoding(self) -> AsyncIterator[None]:
        """While this is open, excerpts are encoded in the background."""
        if self._encodings is None:
            yield
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._encodings.fill_in_background)
            yield
            nursery.cancel_scope.cancel()

    @property
    def rankers(self) -> tuple[Ranker, ...]:
        """What a search ranks by: words, and meaning while an encoder works."""
        return ALL_RANKERS if self._worker and not self._worker.problem else ("bm25",)

    def gauges(self) -> dict[str, int]:
        """How many documents are parsed and stored now, and how many wait for that."""
        return {"parsing": self._places.taken, "parse_waiting": self._places.waiting}

    @property
    def problem(self) -> str:
        """What is wrong with the encoder, in a sentence; "" if nothing is."""
        return self._worker.problem if self._worker else ""

    async def encode_all(self) -> None:
        """Return when every excerpt has the vector it can have; a search does not need this."""
        _, encodings, _ = await self._current()
        if encodings is not None:
            await encodings.fill()

    async def add(
        self,
        body: bytes,
        *,
        media_type: str | None = None,
        title: str | None = None,
        file_name: str | None = None,
        source: str | None = None,
        owner: str | None = None,
        by: str | None = None,
    ) -> Added:
        """Add a document; the same bytes of the same owner are the same document.

        They are parsed again if another type or charset is declared for them than before. It
        replaces the document that came from the same `source` before. `by` names whoever adds it,
        whose sources are apart from those of others. Raises `TooLarge`, `UnsupportedMediaType`,
        `UnreadableDocument`, `Overloaded` and `StorageUnavailable`.
        """
        kind, sha256 = await self._identified(body, media_type, file_name)
        identity = statements.Identity(sha256, owner)
        declared, name = Declared(*declared_by(media_type)), name_of(file_name, source)
        is_unread = partial(
            statements.needs_parsing, identity=identity, declared=declared, source=source, by=by
        )
        if not await _query(self._database, is_unread):
            place = partial(statements.place, identity=identity, source=source, by=by, name=name)
            there = await self._database.write(place)
            if there is not None:
                self._changed()
                return Added(there[0], created=False, replaced=there[1])
        job = Job(body, media_type or kind, title, file_name)
        async with self._places.place(len(body)):
            parsed = replace(await self._read(job, kind, identity, name), declared=declared)
            insert = partial(statements.insert, parsed=parsed, source=source, by=by)
            added = Added(*await self._database.write(insert))
            del parsed, insert  # They take several times what the body takes.
        self._changed()
        return added

    async def read(
        self, body: bytes, *, media_type: str | None = None, file_name: str | None = None
    ) -> ParsedDocument:
        """A document as `add` would add it, without adding it; raises what `add` raises."""
        kind, sha256 = await self._identified(body, media_type, file_name)
        job = Job(body, media_type or kind, None, file_name)
        async with self._places.place(len(body)):
            return await self._read(job, kind, statements.Identity(sha256))

    async def documents(
        self,
        *,
        limit: int,
        cursor: str | None,
        source: str | None = None,
        by: str | None = None,
        reader: Reader = EVERYTHING,
    ) -> DocumentPage:
        """A page of documents, newest first; raises `InvalidRequest` for a bad cursor.

        With a `source` only the documents that came from it, or from below it if it is a folder, as `by`
        added them.
        """
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        before = cursors.decode(cursor)
        database, _, sample = await self._current(reader)
        page = partial(
            statements.page, limit=limit, before=before, source=source, by=by, reader=reader
        )
        found, more = await _query(database, page)
        documents = tuple(replace(document, sample=sample) for document in found)
        return DocumentPage(documents, cursors.encode(more))

    async def document(self, document_id: str, *, reader: Reader = EVERYTHING) -> Document:
        """One document; raises `DocumentNotFound`."""
        database, _, sample = await self._current(reader)
        get = partial(statements.get, document_id=document_id, reader=reader)
        return replace(await _query(database, get), sample=sample)

    async def text(self, document_id: str, *, reader: Reader = EVERYTHING) -> str:
        """The text that was read from a document; raises `DocumentNotFound`."""
        database, _, _ = await self._current(reader)
        return await _query(
            database, partial(statements.text, document_id=document_id, reader=reader)
        )

    async def delete(self, document_id: str) -> None:
        """Forget a document; raises `DocumentNotFound`, and `IllegalState` for a sample."""
        database, _, sample = await self._current()
        if sample:
            await _query(database, partial(statements.get, document_id=document_id))
            raise IllegalState(
                "This document belongs to the sample library, which goes away by itself when you "
                "add documents of your own."
            )
        delete = partial(statements.delete, document_id=document_id)
        with readable():
            try:
                await database.write(delete)
            except UnusableDatabase:
                forget = partial(statements.forget, document_id=document_id)
                await database.write(forget, references=False)
        self._changed()

    async def added_by(self, document_id: str, *, reader: Reader = EVERYTHING) -> str | None:
        """Who added a document first; None: the person. Raises `DocumentNotFound`."""
        database, _, _ = await self._current(reader)
        return await _query(
            database, partial(statements.added_by, document_id=document_id, reader=reader)
        )

    async def forget_source(self, source: str, by: str | None = None) -> tuple[Document, ...]:
        """Note that nothing comes from this source any more; the documents that this removed.

        A document stays while another source has it, or if it was also added without one. Raises
        `DocumentNotFound` if nothing came from there.
        """
        forget = partial(statements.forget_source, source=source, by=by)
        with readable():
            forgotten = await self._database.write(forget)
        return forgotten

    async def find(self, query: Query, *, limit: int) -> Found:
        """Passages and excerpts for a question: see `actors.library.retrieval`.

        If the encoder does not finish in its time, words decide alone.
        """
        database, encodings, sample = await self._current(query.reader)
        find = partial(retrieval.find, query=query, limit=limit)
        with readable():
            found = await encodings.find(query, find) if encodings else None
        if found is None:
            found = await _query(database, find)
        return replace(found, sample=sample)

    async def with_similarity(self, query: str, excerpts: Sequence[Excerpt]) -> tuple[Excerpt, ...]:
        """Excerpts from elsewhere with their similarity to the query, if the encoder has time."""
        if self._encodings is None or not excerpts:
            return tuple(excerpts)
        return await self._encodings.compared(query, excerpts)

    async def search(
        self,
        query: str,
        *,
        limit: int,
        rankers: Collection[Ranker] = ALL_RANKERS,
        reader: Reader = EVERYTHING,
    ) -> Hits:
        """The passages that match best. Any text is a query; with no words in it, no hits.

        The score of a passage is that of BM25; with an encoder, or while documents are hidden from the
        reader, that of fused ranks. `actors.library.selection` leaves some out.
        """
        if limit < 1:
            raise InvalidRequest("limit must be at least 1.")
        database, encodings, sample = await self._current(reader)
        expression = retrieval.match_expression(query)
        if expression is None:
            return Hits((), sample)
        depth = max(MIN_DEPTH, DEPTH_PER_HIT * limit)
        nearest = None
        if encodings is not None and "encoder" in rankers:
            with readable():
                nearest = await encodings.nearest_in_time(query, depth, reader)
        used: tuple[Ranker, ...] = ("bm25",) if "bm25" in rankers or nearest is None else ()
        used += ("encoder",) if nearest else ()
        search = partial(
            retrieval.matching_passages,
            expression=expression if "bm25" in used else None,
            depth=depth,
            near=nearest.cosines if nearest else retrieval.NOTHING_NEAR,
            reader=reader,
        )
        found = await _query(database, search)
        return Hits(await self._database.compute(partial(selected, found, limit)), sample, used)

    async def check(self) -> None:
        """Raise `StorageUnavailable` if there is no room, or writes are refused, as the last was."""
        await self._database.check()

    async def counts(self, *, reader: Reader = EVERYTHING) -> dict[str, int]:
        """Documents, excerpts, those that are encoded, and documents to rebuild.

        The last were read by an older parser, so they should be sent again.
        """
        encoded = await self._encodings.count(reader) if self._encodings else 0
        counts = partial(statements.counts, reader=reader)
        return {**await _query(self._database, counts), "encoded": encoded}

    async def knows(self, sha256: str, *, source: str | None = None) -> bool:
        """Whether the person has a document with these bytes (from this source, if given)."""
        return await _query(self._database, partial(statements.knows, sha256=sha256, source=source))

    async def _identified(
        self, body: bytes, media_type: str | None, file_name: str | None
    ) -> tuple[MediaType, str]:
        if len(body) > MAX_BYTES:
            raise TooLarge(f"A document may have at most {MAX_BYTES // _MIB} MiB.")
        kind = media_type_of(body, media_type, file_name)
        return kind, await self._database.compute(lambda: hashlib.sha256(body).hexdigest())

    async def _read(
        self, job: Job, kind: MediaType, identity: statements.Identity, name: str = ""
    ) -> ParsedDocument:
        parsed = await self._parser.parse(job)
        size, now = len(job.body), self._now()
        return parsed_document(parsed, kind, size, identity.sha256, now, identity.owner, name)

    async def identify(self, name: str) -> str | None:
        """The id of the document with this id, source or title, whichever is found first."""
        database, _, _ = await self._current()
        return await _query(database, partial(statements.identify, name=name))

    def _changed(self) -> None:
        if self._encodings is not None:
            self._encodings.changed()

    async def _current(
        self, reader: Reader = EVERYTHING
    ) -> tuple[Database, Encodings | None, bool]:
        """The person's documents, or the sample library and True while there are none for the reader."""
        if not await _query(self._database, partial(statements.is_empty, reader=reader)):
            return self._database, self._encodings, False
        async with self._building:
            if self._sample is None:
                database = await self._database.compute(partial(build_sample_database, self._now()))
                self._opened.enter_context(closing(database))
                worker = self._worker
                encodings = Encodings(worker, database, self._database) if worker else None
                self._sample = database, encodings
        return *self._sample, True


async def _query(database: Database, work: Work[T]) -> T:
    """Read; raises `DocumentUnreadable` if what is read is damaged."""
    with readable():
        found = await database.read(work)
    return found
