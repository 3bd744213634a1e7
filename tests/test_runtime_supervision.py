"""What a crash of an actor means to its asker, to the other askers, and to the system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from actors.errors import AgentCrashed
from actors.runtime import (
    NO_RESTARTS,
    ActorHandle,
    Call,
    Request,
    RestartLimit,
    RestartLimitExceeded,
    spawn,
)


@dataclass(frozen=True, slots=True)
class Crash(Request[None]):
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Born(Request[int]):
    after_s: float = 0.0


class Fragile:
    """Knows as which instance it was made."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def handle(self, request: Crash | Born, call: Call[Any]) -> Any:
        await trio.sleep(request.after_s)
        if isinstance(request, Crash):
            raise ZeroDivisionError
        return self.number


def counted() -> Callable[[], Fragile]:
    made = iter(range(1, 100))
    return lambda: Fragile(next(made))


async def crash(ref: ActorHandle) -> None:
    with pytest.raises(AgentCrashed, match="ZeroDivisionError"):
        await ref.ask(Crash())


async def test_a_crash_answers_its_ask_and_the_next_meets_a_new_instance(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "fragile", counted(), capacity=4)
    await crash(ref)
    assert await ref.ask(Born()) == 2
    assert ref.info().restarts == 1


async def test_the_old_instance_finishes_its_other_handlers(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "fragile", counted(), capacity=4, concurrency=2)
    born: list[int] = []

    async def ask() -> None:
        born.append(await ref.ask(Born(after_s=10)))

    async with trio.open_nursery() as askers:
        askers.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await crash(ref)
        assert await ref.ask(Born()) == 2
    assert born == [1]


async def test_the_mailbox_survives_a_restart(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "fragile", counted(), capacity=4)
    born: list[int] = []

    async def ask() -> None:
        born.append(await ref.ask(Born()))

    async with trio.open_nursery() as askers:
        askers.start_soon(crash, ref)
        await trio.testing.wait_all_tasks_blocked()
        askers.start_soon(ask)
        askers.start_soon(ask)
    assert born == [2, 2]


async def test_restarts_wait_longer_and_longer(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "fragile", counted(), capacity=4)
    waits = []
    for _ in range(5):
        await crash(ref)
        crashed_at = trio.current_time()
        await ref.ask(Born())
        waits.append(round(trio.current_time() - crashed_at, 6))
    assert waits == [0, 0.1, 0.2, 0.4, 0.8]


async def test_past_its_limit_the_failure_escalates(autojump_clock: object) -> None:
    with pytest.RaisesGroup(RestartLimitExceeded, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            ref = spawn(nursery, "fragile", counted(), capacity=4)
            for _ in range(6):
                await crash(ref)
            await trio.sleep_forever()


async def test_old_crashes_are_forgotten(nursery: trio.Nursery, autojump_clock: object) -> None:
    ref = spawn(nursery, "fragile", counted(), capacity=4, limit=RestartLimit(1, window_s=30))
    for _ in range(4):
        await crash(ref)
        await trio.sleep(31)
    assert await ref.ask(Born()) == 5


async def test_without_restarts_the_first_crash_escalates() -> None:
    with pytest.RaisesGroup(RestartLimitExceeded, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            ref = spawn(nursery, "fragile", counted(), capacity=4, limit=NO_RESTARTS)
            await crash(ref)
            await trio.sleep_forever()


async def test_a_crash_in_the_background_rebuilds_the_actor_too(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    lives: list[int] = []

    class Restless(Fragile):
        async def background(self) -> None:
            lives.append(self.number)
            await trio.sleep(1)
            if self.number == 1:
                raise ZeroDivisionError

    made = iter(range(1, 100))
    ref = spawn(nursery, "restless", lambda: Restless(next(made)), capacity=4)
    await trio.sleep(3)
    assert lives == [1, 2]
    assert await ref.ask(Born()) == 2


class Clumsy(Fragile):
    """Raises while it is being cancelled, in a task of its own."""

    async def handle(self, request: Crash | Born, call: Call[Any]) -> Any:
        if isinstance(request, Born):
            return self.number
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cleanup)
            await trio.sleep_forever()

    async def _cleanup(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError


@pytest.mark.parametrize("leaves", [True, False], ids=["asker leaves", "time is up"])
async def test_a_crash_while_a_call_is_cancelled_is_a_crash_and_no_more(
    nursery: trio.Nursery, autojump_clock: object, leaves: bool
) -> None:
    made = iter(range(1, 100))
    ref = spawn(nursery, "clumsy", lambda: Clumsy(next(made)), capacity=4)

    with trio.move_on_after(1.0 if leaves else 9.0):
        if leaves:
            await ref.ask(Crash())
        else:
            with pytest.raises(AgentCrashed, match="ZeroDivisionError"):
                await ref.ask(Crash(), handler_s=1.0)

    assert await ref.ask(Born()) == 2
    assert ref.info().restarts == 1
