"""A blocked event loop is logged with the actor that blocks it, and for how long."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from actors import Settings, open_system
from actors.runtime import Call, Request, spawn
from actors.runtime.loop_watch import watched_loop


@dataclass(frozen=True, slots=True)
class Block(Request[None]):
    seconds: float


class Blocking:
    async def handle(self, request: Block, call: Call[Any]) -> None:
        await trio.lowlevel.checkpoint()
        time.sleep(request.seconds)  # noqa: ASYNC251 - the fault itself.


async def said_after(
    seconds: float, caplog: pytest.LogCaptureFixture, nursery: trio.Nursery
) -> list[str]:
    async with watched_loop(blocked_s=0.3, pause_s=0.05):
        ref = spawn(nursery, "sleeper", Blocking, capacity=1)
        await ref.ask(Block(seconds))
        await trio.sleep(0.2)
    return [r.getMessage() for r in caplog.records if "loop_watch" in r.name]


async def test_a_blocked_loop_is_logged_with_its_actor_the_place_and_the_seconds(
    caplog: pytest.LogCaptureFixture, nursery: trio.Nursery
) -> None:
    during, after = await said_after(0.9, caplog, nursery)
    place = rf"the actor sleeper \({re.escape(__file__)}, line \d+, in handle\)"
    assert re.fullmatch(rf"the event loop has been blocked for 0\.\d s by {place}", during)
    blocked = re.fullmatch(rf"the event loop was blocked for (\d\.\d) s by {place}", after)
    assert blocked and float(blocked[1]) >= 0.8


async def test_a_loop_that_answers_in_time_is_not(
    caplog: pytest.LogCaptureFixture, nursery: trio.Nursery
) -> None:
    assert await said_after(0.0, caplog, nursery) == []


async def test_a_system_watches_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system(Settings(data_dir=None)):
        await trio.sleep(0.6)
        time.sleep(1.8)  # noqa: ASYNC251 - the fault itself.
        await trio.sleep(0.6)
    said = [r.getMessage() for r in caplog.records if "loop_watch" in r.name]
    assert any("blocked for" in line and "code outside the actors" in line for line in said)
