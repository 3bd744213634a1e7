"""Tasks that name web pages, end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from web_site import PARAGRAPH, Site, answer, open_site, page

from actors.settings import Settings
from actors.system import open_system
from actors.tasks.events import Stamped

GUARD_S = 30.0
FROGS = page("On frogs", PARAGRAPH, "A zibbly frog is a small animal that lives in ponds.")


@asynccontextmanager
async def site_of_frogs() -> AsyncIterator[Site]:
    with trio.fail_after(GUARD_S):
        async with open_site({"/frogs": answer(FROGS)}) as site:
            yield site


async def run(text: str, **settings: Any) -> list[Stamped]:
    async with open_system(Settings(**{"fetch_private": True, **settings})) as system:
        task = await system.create(text)
        return [event async for event in system.execute(task.task_id)]


def retrievals(log: list[Stamped]) -> list[dict[str, Any]]:
    done = [event.data for event in log if event.event_type == "step_completed"]
    return [data for data in done if data["step"] == "retrieval"]


async def test_a_report_cites_the_page_that_its_task_names():
    async with site_of_frogs() as site:
        log = await run(f"What is a zibbly frog, and why does it croak? See {site.url('/frogs')}.")

        ending = log[-1]
        assert ending.event_type == "task_completed" and not ending.data["degraded"]
        assert (
            "A zibbly frog is a small animal that lives in ponds. [1]"
            in ending.data["final_output"]
        )
        assert ending.data["sources"][0]["title"] == f"On frogs ({site.url('/frogs')})"
        assert "sample library" not in ending.data["final_output"]
        assert site.asked_for("/frogs") == 1


async def test_a_task_may_be_only_a_page_to_summarise():
    async with site_of_frogs() as site:
        log = await run(f"Summarise {site.url('/frogs')}")

        assert PARAGRAPH in log[-1].data["final_output"]
        assert log[-1].data["sources"][0]["title"].startswith("On frogs")


async def test_a_missing_page_degrades_the_step_and_the_task():
    async with site_of_frogs() as site:
        url = site.url("/gone")
        log = await run(f"What is exponential backoff? See {url} and {site.url('/image')}.")

        assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
        assert log[-1].data["sources"]
        (done,) = retrievals(log)
        assert done["degraded"] and done["error"]["code"] == "fetch_refused"
        assert url in done["error"]["message"] and "/image" in done["error"]["message"]
        assert done["result"]["passages"] > 0


async def test_a_page_that_never_comes_leaves_the_step_its_time_and_evidence():
    async def stall(stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    async with site_of_frogs() as site:
        site.pages["/slow"] = stall
        task = f"What is exponential backoff? See {site.url('/slow')}."
        log = await run(task, step_timeout_s=2.0)

        (done,) = retrievals(log)
        assert done["attempt"] == 1 and done["error"]["code"] == "fetch_failed"
        assert done["result"]["passages"] > 0


async def test_private_pages_are_not_fetched_for_a_task():
    async with site_of_frogs() as site:
        log = await run(f"What is a zibbly frog? See {site.url('/frogs')}", fetch_private=False)

        assert log[-1].event_type == "task_completed" and site.asked == []
        assert "private network" in retrievals(log)[0]["error"]["message"]


async def test_no_page_is_fetched_if_the_setting_is_off():
    async with site_of_frogs() as site:
        log = await run(f"What is backoff? See {site.url('/frogs')}", fetch_urls_in_tasks=False)

        assert log[-1].event_type == "task_completed" and not log[-1].data["degraded"]
        assert site.asked == []


async def test_cancelling_a_task_ends_the_fetch_for_it():
    reached, left = trio.Event(), trio.Event()

    async def stall(stream: trio.abc.Stream) -> None:
        reached.set()
        await stream.receive_some()
        left.set()

    async with site_of_frogs() as site:
        site.pages["/slow"] = stall
        async with open_system(Settings(fetch_private=True)) as system:
            task = await system.create(f"What is backoff? See {site.url('/slow')}")
            await system.start(task.task_id)
            await reached.wait()

            cancelled = await system.cancel(task.task_id)

            assert cancelled.status == "cancelled"
            await left.wait()
