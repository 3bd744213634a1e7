"""The border to other people's code: only our own cancellation passes it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from actors.errors import AgentCrashed
from actors.runtime import ActorHandle, Call, Request, RestartLimit, spawn, split_fault

MANY = RestartLimit(restarts=1_000, first_delay_s=0.0)


class Stop(BaseException):
    """A base exception of one's own."""


async def stale() -> trio.Cancelled:
    """A `Cancelled` that was kept beyond its scope."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as kept:
            return kept
    raise AssertionError


Maker = Callable[[], Coroutine[Any, Any, BaseException]]


def of(make: Callable[[], BaseException]) -> Maker:
    async def made() -> BaseException:
        return make()

    return made


async def a_group_of_all() -> BaseException:
    inner = BaseExceptionGroup("inner", [await stale(), SystemExit(3), GeneratorExit()])
    return BaseExceptionGroup("outer", [inner, KeyboardInterrupt(), Stop(), ValueError()])


async def a_group_of_stale_ones() -> BaseException:
    return BaseExceptionGroup("stale", [await stale(), await stale()])


FAULTS: dict[str, Maker] = {
    "a bug": of(ZeroDivisionError),
    "sys.exit": of(lambda: SystemExit(3)),
    "KeyboardInterrupt": of(KeyboardInterrupt),
    "GeneratorExit": of(GeneratorExit),
    "its own base exception": of(Stop),
    "a stale Cancelled": stale,
    "a group of all": a_group_of_all,
    "a group of stale ones": a_group_of_stale_ones,
}


@dataclass(frozen=True, slots=True)
class Raise(Request[str]):
    fault: str = ""
    after_s: float = 0.0
    in_cleanup: bool = False


class Odd:
    async def handle(self, request: Raise, call: Call[Any]) -> str:
        try:
            await trio.sleep(request.after_s)
        except trio.Cancelled:
            if request.in_cleanup:
                raise await self._of(request.fault) from None
            raise
        if request.fault:
            raise await self._of(request.fault)
        return "fine"

    async def _of(self, fault: str) -> BaseException:
        with trio.CancelScope(shield=True):
            made = await FAULTS[fault]()
        return made


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_a_handler_raises_is_a_crash_and_the_actor_lives(
    fault: str, nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "odd", Odd, capacity=4, concurrency=2, limit=MANY)
    for _ in range(3):
        with pytest.raises(AgentCrashed):
            await ref.ask(Raise(fault))
    assert await ref.ask(Raise()) == "fine"
    assert ref.info().state == "running"


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_it_raises_while_it_is_cancelled_stays_in_the_actor(
    fault: str, nursery: trio.Nursery, autojump_clock: object
) -> None:
    ref = spawn(nursery, "odd", Odd, capacity=4, limit=MANY)
    with trio.move_on_after(1) as leaving:
        await ref.ask(Raise(fault, after_s=9, in_cleanup=True))
    assert leaving.cancelled_caught
    assert await ref.ask(Raise()) == "fine"


@pytest.mark.parametrize("fault", FAULTS)
async def test_in_the_background_and_in_the_factory_it_is_a_crash_too(
    fault: str, nursery: trio.Nursery, autojump_clock: object
) -> None:
    raised = await FAULTS[fault]()
    lives: list[int] = []

    class Restless(Odd):
        def __init__(self) -> None:
            lives.append(len(lives))
            if len(lives) == 2:
                raise raised

        async def background(self) -> None:
            await trio.sleep(1)
            if len(lives) < 4:
                raise raised

    ref = spawn(nursery, "restless", Restless, capacity=4, limit=MANY)
    await trio.sleep(9)
    assert lives == [0, 1, 2, 3]
    assert await ref.ask(Raise()) == "fine"


async def test_an_actor_that_ends_before_its_system_is_loud(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    ref = spawn(nursery, "odd", Odd, capacity=4)
    assert await ref.ask(Raise()) == "fine"
    ref._nursery.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert ref.info().state == "stopped"
    assert ("CRITICAL", "the actor odd has ended, though the system has not") in [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


async def test_an_actor_that_ends_with_its_system_is_quiet(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with trio.open_nursery() as nursery:
        ref: ActorHandle = spawn(nursery, "odd", Odd, capacity=4)
        assert await ref.ask(Raise()) == "fine"
        nursery.cancel_scope.cancel()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_coroutine_that_the_interpreter_closes_ends_quietly() -> None:
    """After a run that was ended from outside, its handlers are closed by a GeneratorExit."""
    error = GeneratorExit()
    assert split_fault(error) == (error, None)


CTRL_C = """
import signal, sys, trio
from dataclasses import dataclass
from actors.runtime import Request, spawn

@dataclass(frozen=True, slots=True)
class Work(Request[None]):
    pass

class Busy:
    async def handle(self, request, call):
        print("busy", flush=True)
        while True:
            for _ in range(100_000):
                pass
            await trio.lowlevel.checkpoint()

async def main():
    async with trio.open_nursery() as nursery:
        await spawn(nursery, "busy", Busy, capacity=1).ask(Work())

try:
    trio.run(main)
except BaseException as error:
    alone = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    sys.exit(f"ended by {type(alone).__name__}")
"""


def test_a_real_ctrl_c_in_the_midst_of_a_handler_ends_the_program() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "busy\n"
        program.send_signal(signal.SIGINT)
        _, told = program.communicate(timeout=20)
    assert told.strip() == "ended by KeyboardInterrupt"
