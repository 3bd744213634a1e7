"""Reports whose searches failed: they name what failed, and do not say that there is nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import trio
from pydantic import BaseModel
from web_site import PARAGRAPH, answer, open_site, page

from actors import Passage, Settings, open_system
from actors.clock import virtual_clock
from actors.errors import StorageUnavailable
from actors.library.retrieval import Found, Query
from actors.system import System


class Asks(BaseModel):
    question: str


class ClosedPriceList:
    name = "pricebook"
    does = "Looks up what animals cost."
    asks: ClassVar[type[BaseModel]] = Asks
    when = ("walrus",)
    retries_s = ()

    async def handle(self, request: Asks, about: Any) -> Any:
        raise RuntimeError("it is closed")


class OpenPriceList(ClosedPriceList):
    name = "prices"

    async def handle(self, request: Asks, about: Any) -> Any:
        return Passage("prices", "Price list", "Fish", 1, "40 crowns with the bucket.")


class UnreadableLibrary:
    """A library whose database cannot be read."""

    async def find(self, query: Query, *, limit: int) -> Found:
        raise StorageUnavailable("The library cannot be read now.")


async def report_of(system: System, task: str) -> tuple[str, bool]:
    """The text of the report, and whether the task is degraded."""
    created = await system.create(task)
    with trio.fail_after(60):
        async for _ in system.execute(created.task_id):
            pass
    done = await system.status(created.task_id)
    assert done.status == "completed"
    return done.final_output or "", bool(done.degraded)


def with_agent(agent: str) -> Settings:
    return Settings(data_dir=None, agents=(f"test_honest_reports:{agent}",))


async def test_a_library_that_cannot_be_read_is_named(autojump_clock: object) -> None:
    library: Any = UnreadableLibrary()
    async with open_system(library=library, now=virtual_clock) as system:
        text, degraded = await report_of(system, "What is backpressure?")

    assert degraded
    assert "*Not searched: " in text and "The library cannot be read now." in text
    assert "The library has nothing" not in text
    assert "sample library" not in text


async def test_an_agent_that_failed_is_named() -> None:
    async with open_system(with_agent("ClosedPriceList")) as system:
        text, degraded = await report_of(system, "How are walrus tusks traded in Ladakh?")

    assert degraded
    assert "*Not searched: " in text and "pricebook" in text
    assert "The library has nothing" not in text


async def test_a_page_that_failed_is_named() -> None:
    async with open_site({"/frogs": answer(page("On frogs", PARAGRAPH))}) as site:
        url = site.url("/gone")
        async with open_system(Settings(data_dir=None, fetch_private=True)) as system:
            text, degraded = await report_of(system, f"What is exponential backoff? See {url}")

    assert degraded
    assert f"*Not searched: {url}" in text.replace("\\", "")


async def test_a_report_that_cites_only_an_agent_does_not_name_the_sample() -> None:
    async with open_system(with_agent("OpenPriceList")) as system:
        text, _ = await report_of(system, "How are walrus tusks traded in Ladakh?")

    assert "40 crowns with the bucket. [1]" in text
    assert "sample library" not in text


async def test_the_title_of_a_report_is_its_task() -> None:
    async with open_system(Settings(data_dir=None)) as system:
        text, _ = await report_of(system, "what is backpressure, in short")

    assert text.startswith("# What is backpressure, in short\n\n")
