"""Web pages that a task names, as evidence."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import trio
from web_site import PARAGRAPH, Site, answer, open_site, page, raw

from actors.agents.named_pages import CACHED_S, MAX_PAGES, NamedPages, PageResults
from actors.agents.retriever import RetrieverAgent
from actors.errors import (
    ActorError,
    FetchFailed,
    FetchRefused,
    StorageUnavailable,
    UnreadableDocument,
)
from actors.fetching.fetcher import Fetcher, FetchLimits, Page
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.retrieval import Query
from actors.messages import Retrieve
from actors.runs.steps import dump_output, load_output
from actors.tasks.evidence import Evidence
from actors.tasks.plan import Question

GUARD_S = 20.0
NOW = datetime(2026, 1, 31, tzinfo=UTC)
FROGS = page("On frogs", PARAGRAPH)
CROAKING = Question("s2", "Why does the zibbly frog croak?", "zibbly frog croak")
ZIBBLY = Query("zibbly")
NO_CALL: Any = None


@dataclass
class Bench:
    """A retriever over a library in memory and the pages of a site."""

    site: Site
    library: Library
    retriever: RetrieverAgent

    async def ask(self, *paths: str, question: Question = CROAKING, task: str = "t1") -> Evidence:
        urls = tuple(self.site.url(path) for path in paths)
        request = Retrieve(f"{task}/{question.step_id}", question, urls)
        return await self.retriever.handle(request, NO_CALL)


@asynccontextmanager
async def bench(limit: int = 24) -> AsyncIterator[Bench]:
    with trio.fail_after(GUARD_S):
        async with open_site({"/frogs": answer(FROGS)}) as site:
            async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
                pages = NamedPages(Fetcher(FetchLimits(private=True)), library)
                yield Bench(site, library, RetrieverAgent(library, pages=pages, limit=limit))


async def test_the_passages_of_a_named_page_come_with_its_title_and_place():
    async with bench() as b:
        found = await b.ask("/frogs")

        assert [passage.text for passage in found.passages] == [PARAGRAPH]
        assert found.passages[0].title == f"On frogs ({b.site.url('/frogs')})"
        assert (found.missed, found.sample) == ((), False)
        assert load_output("retrieval", dump_output("retrieval", found)) == found


async def test_nothing_of_a_named_page_gets_into_the_library():
    async with bench() as b:
        await b.ask("/frogs")

        assert (await b.library.search("zibbly", limit=9)).passages == ()


async def test_pages_come_before_the_library_which_is_searched_too():
    async with bench(limit=4) as b:
        for number in range(9):
            await b.library.add(
                f"The zibbly frog {number} croaks.".encode(), title=f"note {number}"
            )
        long = page("On frogs", *(f"<h2>{n}</h2>The zibbly frog croaks {n}." for n in range(9)))
        b.site.pages["/long"] = answer(long)

        found = await b.ask("/long")

        titles = [passage.title.split(" ")[0] for passage in found.passages]
        assert titles == ["On"] * 4 + ["note"] * 4
        assert {one.origin for one in found.excerpts} == {"page", "library"}


async def test_the_opening_of_a_page_answers_a_question_that_shares_no_word():
    async with bench() as b:
        found = await b.ask("/frogs", question=Question("s2", "Summarise it", "summarise"))

        assert [passage.text for passage in found.passages] == [PARAGRAPH]


async def test_a_page_that_cannot_be_read_is_reported_and_the_rest_is_used():
    async with bench() as b:
        await b.library.add(b"The zibbly frog of the library.", title="note")
        b.site.pages["/cut"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        b.site.pages["/empty"] = answer(b"<html></html>")

        found = await b.ask("/gone", "/frogs", "/cut", "/empty")

        assert [m.code for m in found.missed] == [
            "fetch_refused",
            "fetch_failed",
            "unreadable_document",
        ]
        for path, missed in zip(("/gone", "/cut", "/empty"), found.missed, strict=True):
            assert b.site.url(path) in missed.message
        assert [p.title.split(" ")[0] for p in found.passages] == ["On", "note"]


async def test_without_any_page_the_library_is_used_alone():
    async with bench() as b:
        alone = await b.ask(question=Question("s2", "Backoff", "exponential backoff"))
        missing = await b.ask("/gone", question=Question("s2", "Backoff", "exponential backoff"))

        assert missing.passages == alone.passages and missing.sample
        assert len(missing.missed) == 1 and not alone.missed


async def test_the_sample_library_is_not_used_if_pages_are_named():
    async with bench() as b:
        found = await b.ask("/frogs", question=Question("s2", "Backoff", "exponential backoff"))

        assert {p.title.split(" (")[0] for p in found.passages} == {"On frogs"}
        assert not found.sample


async def test_the_questions_of_a_task_fetch_a_page_once():
    async with bench() as b:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(b.ask, "/frogs", "/gone")
        await b.ask("/frogs", "/gone")

        assert (b.site.asked_for("/frogs"), b.site.asked_for("/gone")) == (1, 1)


async def test_a_later_task_gets_the_newer_page():
    async with bench() as b:
        await b.ask("/frogs", task="t1")
        b.site.pages["/frogs"] = answer(page("On toads", PARAGRAPH))

        found = await b.ask("/frogs", task="t2")

        assert found.passages[0].title.startswith("On toads")


async def test_tasks_that_wait_for_the_same_page_share_it():
    gate = trio.Event()

    async def held(stream: trio.abc.Stream) -> None:
        await gate.wait()
        await answer(FROGS)(stream)

    async with bench() as b:
        b.site.pages["/held"] = held
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(partial(b.ask, "/held", task=f"t{number}"))
            while not b.site.asked_for("/held"):
                await trio.sleep(0.01)
            gate.set()

        assert b.site.asked_for("/held") == 1


async def test_a_cancelled_question_does_not_block_the_next():
    async with bench() as b:
        b.site.pages["/frogs"] = stall = Stalling()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(b.ask, "/frogs")
            await stall.reached.wait()
            nursery.cancel_scope.cancel()
        b.site.pages["/frogs"] = answer(FROGS)

        assert (await b.ask("/frogs")).passages


class Stalling:
    """A response that never comes."""

    def __init__(self) -> None:
        self.reached = trio.Event()

    async def __call__(self, stream: trio.abc.Stream) -> None:
        self.reached.set()
        await stream.receive_some()


async def test_a_page_that_takes_too_long_leaves_time_for_the_rest():
    async with bench() as b:
        b.site.pages["/slow"] = Stalling()
        with trio.fail_after(1.5):
            found = await b.ask("/slow", "/frogs")

        (missed,) = found.missed
        assert missed.code == "fetch_failed"
        assert missed.message == f"{b.site.url('/slow')} was not read: It took too long."
        assert found.passages


async def test_an_error_of_the_library_is_raised():
    class Broken:
        async def find(self, query: Query, *, limit: int) -> Any:
            raise StorageUnavailable("no disk")

    retriever = RetrieverAgent(Broken())  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        await retriever.handle(Retrieve("t/s2", CROAKING, ("http://x/",)), NO_CALL)


# --- Retries --------------------------------------------------------------------------------------

NEVER = FetchFailed("The connection broke off.")


def later(seconds: float) -> FetchFailed:
    error = FetchFailed("It answered 503.")
    error.retry_after_s = seconds
    return error


class Unsteady:
    """A fake fetcher that raises these errors before it returns a page; records the times."""

    def __init__(self, *failures: ActorError) -> None:
        self.failures = list(failures)
        self.at: list[float] = []

    async def fetch(self, url: str) -> Page:
        await trio.lowlevel.checkpoint()
        self.at.append(round(trio.current_time() - self.began, 3))
        if self.failures:
            raise self.failures.pop(0)
        return Page(url, url, "text/plain", PARAGRAPH.encode())

    async def searched(self, within_s: float = math.inf) -> PageResults:
        """The results of a search within `within_s`."""
        self.began = trio.current_time()
        async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
            pages = NamedPages(self, library)  # type: ignore[arg-type]
            with trio.fail_after(within_s / 0.75):
                return await pages.find("t", ("http://x/",), ZIBBLY, 9)


async def test_a_transient_failure_is_retried(autojump_clock):
    fetcher = Unsteady(NEVER, NEVER)

    found = await fetcher.searched()

    assert found.any_read and not found.missed
    assert fetcher.at == [0, 0.5, 2.5]


async def test_a_page_fails_after_three_attempts(autojump_clock):
    fetcher = Unsteady(*[NEVER] * 9)

    found = await fetcher.searched()

    assert [missed.code for missed in found.missed] == ["fetch_failed"]
    assert len(fetcher.at) == 3


@pytest.mark.parametrize("error", [FetchRefused("No."), UnreadableDocument("Empty.")])
async def test_a_permanent_failure_is_not_retried(autojump_clock, error: ActorError):
    fetcher = Unsteady(error)

    found = await fetcher.searched()

    assert [missed.code for missed in found.missed] == [error.code]
    assert fetcher.at == [0]


@pytest.mark.parametrize(
    "asked_s, at", [(0.0, [0, 0.5]), (7.0, [0, 7]), (10.0, [0, 10]), (10.1, [0]), (3600.0, [0])]
)
async def test_a_retry_waits_as_long_as_the_server_asks_or_is_not_made(
    autojump_clock, asked_s: float, at: list[float]
):
    fetcher = Unsteady(later(asked_s))

    found = await fetcher.searched()

    assert fetcher.at == at
    assert found.any_read == (len(at) > 1)


@pytest.mark.parametrize("within_s, at", [(0.4, [0]), (1.0, [0, 0.5]), (2.6, [0, 0.5, 2.5])])
async def test_no_retry_is_made_past_the_deadline(autojump_clock, within_s: float, at: list[float]):
    fetcher = Unsteady(*[NEVER] * 9)

    found = await fetcher.searched(within_s)

    assert fetcher.at == at
    assert trio.current_time() - fetcher.began == pytest.approx(at[-1])
    assert NEVER.message in found.missed[0].message


async def test_a_timeout_of_a_retry_reports_the_first_failure(autojump_clock):
    class Slow(Unsteady):
        async def fetch(self, url: str) -> Page:
            page = await super().fetch(url)
            await trio.sleep_forever()
            return page

    found = await Slow(NEVER).searched(5)

    assert NEVER.message in found.missed[0].message


# --- Caching -------------------------------------------------------------------------------------


class Counting:
    """A fake fetcher: every URL is a page, and each fetch is recorded."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def fetch(self, url: str) -> Page:
        await trio.lowlevel.checkpoint()
        self.fetched.append(url)
        return Page(url, url, "text/plain", f"{PARAGRAPH} {url}".encode())


@asynccontextmanager
async def counted() -> AsyncIterator[tuple[Counting, NamedPages]]:
    fetcher = Counting()
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        yield fetcher, NamedPages(fetcher, library)  # type: ignore[arg-type]


async def test_a_page_is_cached_for_a_few_minutes(mock_clock: trio.testing.MockClock):
    async with counted() as (fetcher, pages):
        await pages.find("t", ("http://x/",), ZIBBLY, 9)
        mock_clock.jump(CACHED_S - 1)
        await pages.find("t", ("http://x/",), ZIBBLY, 9)
        assert len(fetcher.fetched) == 1

        mock_clock.jump(2)
        await pages.find("t", ("http://x/",), ZIBBLY, 9)
        assert len(fetcher.fetched) == 2


async def test_the_oldest_pages_are_evicted():
    async with counted() as (fetcher, pages):
        urls = [f"http://x/{number}" for number in range(MAX_PAGES + 1)]
        for url in urls:
            await pages.find("t", (url,), ZIBBLY, 9)

        await pages.find("t", (urls[-1],), ZIBBLY, 9)
        assert len(fetcher.fetched) == len(urls)
        await pages.find("t", (urls[0],), ZIBBLY, 9)
        assert len(fetcher.fetched) == len(urls) + 1
