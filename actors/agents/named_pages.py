"""The web pages that tasks name: fetched and parsed once, and searched for each question.

Rule: a page that cannot be read, after retries, is reported, and the search goes on without it. A
task never gets a version of a page from before its first question. The cache is bounded in number,
size and time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, takewhile
from math import inf
from weakref import WeakValueDictionary

import trio

from actors.errors import ActorError, FetchFailed
from actors.fetching.fetcher import Fetcher
from actors.library import retrieval, statements
from actors.library.documents import ParsedDocument
from actors.library.library import Library
from actors.library.retrieval import Query
from actors.library.schema import SCHEMA
from actors.sqlite import MemoryDatabase
from actors.tasks.evidence import Excerpt, Passage
from actors.tasks.failure import Failure

CACHED_S = 300.0
MAX_PAGES = 64
MAX_PASSAGES = 10_000
"""Passages of all cached pages."""

MAX_PASSAGES_OF_PAGE = 500
"""About 100,000 words. A longer page is cut here, but not in the library."""

OPENING = 4
"""First passages of a page that are added to every result: they say what the page is about."""

RETRY_DELAYS_S = (0.5, 2.0)
"""Waits before each further attempt to read a page, longer if its server asks for that..."""

MAX_RETRY_DELAY_S = 10.0
"""... but there is no retry if the server asks for more than this."""

MAX_TASKS = 4_096
_SHARE = 0.75
"""Of the time that is left for a question, so that the rest of the retrieval can still be done."""


@dataclass(frozen=True, slots=True)
class PageResults:
    """The evidence of pages on a question, the pages that could not be read, and if any could."""

    passages: tuple[Passage, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    missed: tuple[Failure, ...] = ()
    any_read: bool = False


@dataclass(frozen=True, slots=True)
class _CachedPage:
    """The document or the failure of one URL, and when it was read."""

    read_at: float
    result: ParsedDocument | Failure

    @property
    def passages(self) -> int:
        return len(self.result.passages) if isinstance(self.result, ParsedDocument) else 0


class NamedPages:
    """Fetches, caches and searches pages by URL."""

    def __init__(self, fetcher: Fetcher, library: Library) -> None:
        self._fetcher = fetcher
        self._library = library
        self._first_asked_at: OrderedDict[str, float] = OrderedDict()
        self._cache: OrderedDict[str, _CachedPage] = OrderedDict()
        self._fetching: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    async def find(self, task: str, urls: tuple[str, ...], query: Query, limit: int) -> PageResults:
        """The best passages and excerpts of the pages, and the opening of each page."""
        since = self._first_asked_at.setdefault(task, trio.current_time())
        while len(self._first_asked_at) > MAX_TASKS:
            self._first_asked_at.popitem(last=False)
        results: dict[str, ParsedDocument | Failure] = {}
        with trio.move_on_at(_deadline()):
            async with trio.open_nursery() as nursery:
                for url in urls:
                    nursery.start_soon(self._get, url, since, results)
        late = Failure.of(FetchFailed("It took too long."))
        read: dict[str, ParsedDocument] = {}
        missed: list[Failure] = []
        for url in urls:
            result = results.get(url, late)
            if isinstance(result, ParsedDocument):
                read[url] = result
            else:
                missed.append(_about(url, result))
        found = PageResults()
        if read:
            found = await trio.to_thread.run_sync(_found, read, query, limit)
        return replace(found, missed=tuple(missed), any_read=bool(read))

    async def _get(
        self, url: str, since: float, results: dict[str, ParsedDocument | Failure]
    ) -> None:
        """Fetch each URL once at a time; concurrent questions share the result."""
        async with self._fetching.setdefault(url, trio.Lock()):
            cached = self._cache.get(url)
            if cached is None or cached.read_at < max(since, trio.current_time() - CACHED_S):
                result = await self._read(url, results)
                cached = _CachedPage(trio.current_time(), result)
                self._store(url, cached)
        results[url] = cached.result

    async def _read(
        self, url: str, results: dict[str, ParsedDocument | Failure]
    ) -> ParsedDocument | Failure:
        """The page, or the failure after retries within the deadline."""
        for delay_s in (*RETRY_DELAYS_S, inf):
            try:
                return await self._read_once(url)
            except ActorError as error:
                results[url] = failure = Failure.of(error)
                delay_s = max(delay_s, error.retry_after_s or 0.0)
                left_s = trio.current_effective_deadline() - trio.current_time()
                if not error.retryable or delay_s > min(left_s, MAX_RETRY_DELAY_S):
                    break
            await trio.sleep(delay_s)
        return failure

    async def _read_once(self, url: str) -> ParsedDocument:
        page = await self._fetcher.fetch(url)
        document = await self._library.read(
            page.body, media_type=page.media_type, file_name=page.file_name
        )
        passages = tuple(islice(document.passages, MAX_PASSAGES_OF_PAGE))
        end = passages[-1].end if passages else 0
        first = takewhile(lambda cut: cut.start < end, document.excerpts)
        excerpts = tuple(cut for cut in first if cut.end <= end)
        return replace(document, text="", passages=passages, excerpts=excerpts)

    def _store(self, url: str, page: _CachedPage) -> None:
        self._cache.pop(url, None)
        self._cache[url] = page
        oldest = trio.current_time() - CACHED_S
        while (
            len(self._cache) > MAX_PAGES
            or sum(cached.passages for cached in self._cache.values()) > MAX_PASSAGES
            or next(iter(self._cache.values())).read_at < oldest
        ):
            self._cache.popitem(last=False)


def _deadline() -> float:
    now = trio.current_time()
    return now + _SHARE * (trio.current_effective_deadline() - now)


def _about(url: str, failure: Failure) -> Failure:
    """The failure with the URL of the page in its message."""
    if url in failure.message:
        return failure
    return Failure(failure.code, f"{url} was not read: {failure.message}")


def _found(read: dict[str, ParsedDocument], query: Query, limit: int) -> PageResults:
    """Run in a thread. The title of a page has its URL, for the report to cite."""
    check = trio.from_thread.check_cancelled
    with closing(MemoryDatabase(SCHEMA)) as database:
        for url, parsed in read.items():
            check()
            document = replace(parsed.document, title=f"{parsed.document.title} ({url})")
            titled = replace(parsed, document=document)
            database.write_now(partial(statements.insert, parsed=titled, source=url))
        check()
        found = database.read_now(partial(retrieval.find, query=query, limit=limit))
        openings = database.read_now(partial(retrieval.openings, count=OPENING))
    keys = {passage.key for passage in found.passages}
    passages = (*found.passages, *(one for one in openings.passages if one.key not in keys))
    places = {(one.document_id, one.start) for one in found.excerpts}
    more = (one for one in openings.excerpts if (one.document_id, one.start) not in places)
    excerpts = tuple(replace(one, origin="page") for one in (*found.excerpts, *more))
    return PageResults(passages, excerpts, found.weights)
