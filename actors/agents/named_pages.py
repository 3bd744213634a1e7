"""The web pages that tasks name: fetched and read once, and searched for each question.

Rule: a page that cannot be read, even a moment later, is told and costs nothing else. A task gets a
page as it was when the first of its questions came, or later; what is kept for that is bounded in
number, size and time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from weakref import WeakValueDictionary

import trio

from actors.errors import ActorError, FetchFailed
from actors.fetching.fetcher import Fetcher
from actors.library.documents import ParsedDocument
from actors.library.library import Library
from actors.library.search import search_documents
from actors.tasks.evidence import Passage
from actors.tasks.failure import Failure

KEPT_S = 300.0
MOST_PAGES = 64
MOST_PASSAGES = 10_000
"""Passages of all pages that are kept."""

PASSAGES_OF_PAGE = 500
"""What is read of one page: about 100,000 words. In the library there is room for all of it."""

OPENING = 4
"""Passages that a page begins with, which say what it is about whatever the question is."""

RETRIES_S = (0.5, 2.0)
"""Seconds before each further attempt to read a page, longer if its server asks for that..."""

MOST_WAIT_S = 10.0
"""... but a server that wants more than this is left alone."""

MOST_TASKS = 4_096
_SHARE = 0.75
"""Of the time that is left for a question: what the library has must still be handed over."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the pages have on a question, which of them could not be read, and whether any could."""

    passages: tuple[Passage, ...]
    missed: tuple[Failure, ...]
    any_read: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of one URL, and when."""

    at: float
    result: ParsedDocument | Failure

    @property
    def passages(self) -> int:
        return len(self.result.cuts) if isinstance(self.result, ParsedDocument) else 0


class NamedPages:
    """Pages by URL, and when each task first asked for any."""

    def __init__(self, fetcher: Fetcher, library: Library) -> None:
        self._fetcher = fetcher
        self._library = library
        self._asked_at: OrderedDict[str, float] = OrderedDict()
        self._kept: OrderedDict[str, _Outcome] = OrderedDict()
        self._fetching: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    async def search(self, task: str, urls: tuple[str, ...], query: str, limit: int) -> Found:
        """The passages of the pages that match best, then those that the pages begin with."""
        since = self._asked_at.setdefault(task, trio.current_time())
        while len(self._asked_at) > MOST_TASKS:
            self._asked_at.popitem(last=False)
        results: dict[str, ParsedDocument | Failure] = {}
        with trio.move_on_at(_until()):
            async with trio.open_nursery() as nursery:
                for url in urls:
                    nursery.start_soon(self._get, url, since, results)
        late = Failure.of(FetchFailed("Reading it took too long."))
        read: dict[str, ParsedDocument] = {}
        missed: list[Failure] = []
        for url in urls:
            result = results.get(url, late)
            if isinstance(result, ParsedDocument):
                read[url] = result
            else:
                missed.append(_about(url, result))
        passages = await trio.to_thread.run_sync(_passages, read, query, limit) if read else ()
        return Found(passages, tuple(missed), bool(read))

    async def _get(
        self, url: str, since: float, results: dict[str, ParsedDocument | Failure]
    ) -> None:
        """One fetch at a time for each URL; who has waited for one takes what it brought."""
        async with self._fetching.setdefault(url, trio.Lock()):
            outcome = self._kept.get(url)
            if outcome is None or outcome.at < max(since, trio.current_time() - KEPT_S):
                result = await self._read(url, results)
                outcome = _Outcome(trio.current_time(), result)
                self._keep(url, outcome)
        results[url] = outcome.result

    async def _read(
        self, url: str, results: dict[str, ParsedDocument | Failure]
    ) -> ParsedDocument | Failure:
        """The page, or why it cannot be read; what may pass is waited for, within the time there is."""
        for delay_s in (*RETRIES_S, inf):
            try:
                return await self._read_once(url)
            except ActorError as error:
                results[url] = failure = Failure.of(error)
                delay_s = max(delay_s, error.retry_after_s or 0.0)
                until = min(trio.current_effective_deadline(), trio.current_time() + MOST_WAIT_S)
                if not error.retryable or trio.current_time() + delay_s > until:
                    break
            await trio.sleep(delay_s)
        return failure

    async def _read_once(self, url: str) -> ParsedDocument:
        page = await self._fetcher.fetch(url)
        reading = await self._library.read(
            page.body, media_type=page.media_type, file_name=page.file_name
        )
        return replace(reading, text="", cuts=reading.cuts[:PASSAGES_OF_PAGE])

    def _keep(self, url: str, outcome: _Outcome) -> None:
        self._kept.pop(url, None)
        self._kept[url] = outcome
        old = trio.current_time() - KEPT_S
        while (
            len(self._kept) > MOST_PAGES
            or sum(kept.passages for kept in self._kept.values()) > MOST_PASSAGES
            or next(iter(self._kept.values())).at < old
        ):
            self._kept.popitem(last=False)


def _until() -> float:
    now = trio.current_time()
    return now + _SHARE * (trio.current_effective_deadline() - now)


def _about(url: str, failure: Failure) -> Failure:
    """A failure that says which page it is about."""
    if url in failure.message:
        return failure
    return Failure(failure.code, f"{url} was not read: {failure.message}")


def _passages(read: dict[str, ParsedDocument], query: str, limit: int) -> tuple[Passage, ...]:
    """In a thread. A page's title says where it is: a report cites it by that."""
    check = trio.from_thread.check_cancelled
    titles = {
        reading.document.document_id: f"{reading.document.title} ({url})"
        for url, reading in read.items()
    }
    found = (*search_documents(read.values(), query, limit, check), *_openings(read.values()))
    return tuple(replace(passage, title=titles[passage.document_id]) for passage in found)


def _openings(readings: Iterable[ParsedDocument]) -> Iterator[Passage]:
    for reading in readings:
        document = reading.document
        for cut in [cut for cut in reading.cuts if not cut.links][:OPENING]:
            yield Passage(document.document_id, document.title, cut.section, cut.position, cut.text)
