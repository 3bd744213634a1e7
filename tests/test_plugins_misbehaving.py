"""A table of what an agent of one's own may do to Trio and to the process, and what it costs: its step."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ClassVar

import pytest
import trio
from test_plugins import Lookup, Prices, of

from actors import About, Settings, open_system
from actors.tasks.events import Stamped

TASK = "What does a frog cost?"
FINE = "A frog costs four coins at the market."

alive: list[str] = []
"""What agents have started and what still runs."""


async def linger(name: str = "child") -> None:
    alive.append(name)
    try:
        await trio.sleep_forever()
    finally:
        alive.remove(name)


async def explode() -> None:
    await trio.lowlevel.checkpoint()
    raise SystemExit(4)


async def leaves_a_nursery_open() -> str:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(linger)
    return FINE


async def leaves_a_nursery_open_that_fails() -> str:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(linger)
    nursery.start_soon(explode)
    await trio.sleep(0.1)
    return FINE


async def leaves_a_cancelled_scope_open() -> str:
    scope = trio.CancelScope()
    scope.__enter__()
    scope.cancel()
    return FINE


async def leaves_a_shield_open() -> str:
    trio.CancelScope(shield=True).__enter__()
    return FINE


async def leaves_scopes_in_the_wrong_order() -> str:
    outer, inner = trio.CancelScope(), trio.CancelScope()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    return FINE


async def spawns_in_the_nursery_around_it() -> str:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.start_soon(explode)
    await trio.sleep(0.1)
    return FINE


async def cancels_the_nursery_around_it() -> str:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.cancel_scope.cancel()
    await trio.sleep(1)
    return FINE


async def runs_trio_inside() -> str:
    trio.run(trio.sleep, 0)
    return FINE


async def waits_for_asyncio() -> str:
    await asyncio.sleep(0)
    return FINE


async def yields_to_the_loop() -> str:
    @types.coroutine
    def odd() -> Generator[int, None, None]:
        yield 5

    await odd()
    return FINE


async def raises_a_group_of_all() -> str:
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(explode)
        raise BaseExceptionGroup("all", [KeyboardInterrupt(), GeneratorExit(), ValueError()])


async def recurses() -> str:
    return await recurses()


TRICKS: list[Callable[[], Awaitable[str]]] = [
    leaves_a_nursery_open,
    leaves_a_nursery_open_that_fails,
    leaves_a_cancelled_scope_open,
    leaves_a_shield_open,
    leaves_scopes_in_the_wrong_order,
    spawns_in_the_nursery_around_it,
    cancels_the_nursery_around_it,
    runs_trio_inside,
    waits_for_asyncio,
    yields_to_the_loop,
    raises_a_group_of_all,
    recurses,
]


class Tricky(Prices):
    name = "tricky"
    trick: ClassVar[Callable[[], Awaitable[str]] | None] = None

    async def handle(self, request: Lookup, about: About) -> Any:
        trick = type(self).trick
        return FINE if trick is None else await trick()


def played(trick: Callable[[], Awaitable[str]] | None, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tricky, "trick", None if trick is None else staticmethod(trick))


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
async def test_it_fails_its_step_alone(
    trick: Callable[[], Awaitable[str]], monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    alive.clear()
    settings = Settings(data_dir=None, agents=("test_plugins_misbehaving:Tricky",))

    async with open_system(settings) as system:

        async def log_of_a_task() -> list[Stamped]:
            task = await system.create(TASK)
            with trio.fail_after(60):
                return [event async for event in system.execute(task.task_id)]

        played(trick, monkeypatch)
        bad = [await log_of_a_task() for _ in range(5)]
        played(None, monkeypatch)
        good = await log_of_a_task()
        (info,) = (agent for agent in system.agents() if agent.name == "tricky")
        await system.ping()

    for log in bad:
        (done,) = of(log, "step_completed", "tricky")
        assert done["degraded"] and done["error"]["code"] == "agent_failed"
        assert log[-1].event_type == "task_completed"
    assert not good[-1].data["degraded"] and FINE in good[-1].data["final_output"]
    assert (info.state, info.restarts, alive) == ("running", 0, [])


async def test_a_cancel_ends_what_it_has_left_open_too(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    alive.clear()

    async def leaves_a_nursery_open_and_waits() -> str:
        await leaves_a_nursery_open()
        await trio.sleep_forever()
        return FINE

    played(leaves_a_nursery_open_and_waits, monkeypatch)
    settings = Settings(data_dir=None, agents=("test_plugins_misbehaving:Tricky",))
    async with open_system(settings) as system:
        task = await system.create(TASK)
        await system.start(task.task_id)
        while not alive:
            await trio.sleep(0.01)
        assert (await system.cancel(task.task_id)).status == "cancelled"
        assert alive == []
