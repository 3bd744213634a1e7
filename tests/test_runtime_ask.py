"""Asking an actor: replies, errors, backpressure, and what giving up means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import trio

from actors.errors import ActorStopped, AgentFailed, AskCycle, StepTimeout
from actors.runtime import ActorHandle, Call, Ref, Request, StreamRequest, spawn
from actors.runtime.ref import PARTS_AHEAD


@dataclass(frozen=True, slots=True)
class Say(Request[str]):
    text: str


@dataclass(frozen=True, slots=True)
class Work(Request[str]):
    seconds: float


@dataclass(frozen=True, slots=True)
class MustWork(Request[str]):
    must_finish: ClassVar[bool] = True
    seconds: float


@dataclass(frozen=True, slots=True)
class Knock(Request[str]):
    control: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Later(Request[str]):
    pass


@dataclass(frozen=True, slots=True)
class Recite(StreamRequest[int, str]):
    parts: int
    then_fail: bool = False


@dataclass(frozen=True, slots=True)
class Forward(Request[str]):
    to: Ref


class Parrot:
    def __init__(self) -> None:
        self.finished: list[Any] = []
        self.stopped: list[Any] = []
        self.kept: list[Call[str]] = []
        self.sent = 0

    async def handle(self, request: Any, call: Call[Any]) -> Any:
        try:
            match request:
                case Say("error"):
                    raise AgentFailed("no")
                case Say(text):
                    return text
                case Work(seconds) | MustWork(seconds):
                    await trio.sleep(seconds)
                case Knock():
                    return "come in"
                case Later():
                    self.kept.append(call)
                    return call.defer()
                case Recite(parts, then_fail):
                    for n in range(parts):
                        await call.part(n)
                        self.sent += 1
                    if then_fail:
                        raise AgentFailed("lost the thread")
                    return "amen"
                case Forward(to):
                    return await to.ask(Say("hello"))
        except trio.Cancelled:
            self.stopped.append(request)
            raise
        self.finished.append(request)
        return "done"


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
async def ref(nursery: trio.Nursery, parrot: Parrot) -> ActorHandle:
    return spawn(nursery, "parrot", lambda: parrot, capacity=1)


async def test_the_value_and_the_error_of_a_handler_reach_its_asker(ref: ActorHandle) -> None:
    assert await ref.ask(Say("hi")) == "hi"
    with pytest.raises(AgentFailed, match="no"):
        await ref.ask(Say("error"))
    assert await ref.ask(Say("still here")) == "still here"


async def test_an_abandoned_ask_frees_the_actor(
    ref: ActorHandle, parrot: Parrot, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(5):
        await ref.ask(Work(1_000))

    assert parrot.stopped == [Work(1_000)]
    assert await ref.ask(Say("hi")) == "hi"
    assert trio.current_time() == 5


async def test_when_a_cancelled_ask_returns_its_handler_has_stopped(
    ref: ActorHandle, parrot: Parrot
) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Work(1_000))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert parrot.stopped == [Work(1_000)]


async def test_an_ask_given_up_in_the_mailbox_is_never_handled(
    ref: ActorHandle, parrot: Parrot, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await ref.ask(Work(99))
    assert await ref.ask(Say("hi")) == "hi"
    assert parrot.finished == [Work(10)]


async def test_what_must_finish_runs_to_its_end_without_its_asker(
    ref: ActorHandle, parrot: Parrot, autojump_clock: object
) -> None:
    with trio.move_on_after(1):
        await ref.ask(MustWork(10))
    assert trio.current_time() == 1  # The asker does not wait for it, either.
    await trio.sleep(10)
    assert parrot.finished == [MustWork(10)]


async def test_a_full_mailbox_makes_askers_wait(ref: ActorHandle, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        assert ref.info().depth == ref.info().capacity == 1
        with trio.move_on_after(3) as waiting:
            await ref.send(Say("hi"))
        assert waiting.cancelled_caught
        assert await ref.ask(Say("hi")) == "hi"
        assert trio.current_time() == 20


async def test_the_control_lane_is_served_while_the_mailbox_is_full(
    ref: ActorHandle, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Knock()) == "come in"
        assert trio.current_time() == 0
        nursery.cancel_scope.cancel()


async def test_the_time_limit_counts_from_the_start_of_the_handler(
    ref: ActorHandle, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Work(5), handler_s=6) == "done"
        with pytest.raises(StepTimeout):
            await ref.ask(Work(7), handler_s=6)
        assert trio.current_time() == 21
        assert await ref.ask(Work(60)) == "done"  # The limit was that request's alone.


async def test_the_time_limit_of_a_call_does_not_hold_for_the_next_one(
    ref: ActorHandle, autojump_clock: object
) -> None:
    assert await ref.ask(Work(5), handler_s=6) == "done"
    assert await ref.ask(Work(60)) == "done"
    assert trio.current_time() == 65


async def test_k_requests_run_at_once(
    nursery: trio.Nursery, parrot: Parrot, autojump_clock: object
) -> None:
    ref = spawn(nursery, "parrot", lambda: parrot, capacity=16, concurrency=3)
    async with trio.open_nursery() as askers:
        for _ in range(7):
            askers.start_soon(ref.ask, Work(10))
        await trio.testing.wait_all_tasks_blocked()
        assert (ref.info().in_flight, ref.info().depth) == (3, 4)
    assert trio.current_time() == 30


async def test_a_deferred_reply_comes_when_it_is_settled(
    ref: ActorHandle, parrot: Parrot, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        replies: list[str] = []

        async def ask() -> None:
            replies.append(await ref.ask(Later()))

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Say("free")) == "free"
        assert ref.info().in_flight == 1
        parrot.kept[0].settle("at last")
    assert replies == ["at last"]
    assert ref.info().in_flight == 0


async def test_every_ask_is_settled_when_the_actor_stops(
    parrot: Parrot, autojump_clock: object
) -> None:
    errors: list[Exception] = []

    async def ask(ref: ActorHandle, request: Request[str]) -> None:
        try:
            await ref.ask(request)
        except ActorStopped as error:
            errors.append(error)

    async with trio.open_nursery() as askers:
        async with trio.open_nursery() as nursery:
            ref = spawn(nursery, "parrot", lambda: parrot, capacity=1)
            askers.start_soon(ask, ref, Later())
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(3):  # One runs, one waits in the mailbox, one waits for room.
                askers.start_soon(ask, ref, Work(1_000))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert len(errors) == 4
    with pytest.raises(ActorStopped):
        await ref.ask(Say("anyone?"))
    assert ref.info().state == "stopped"


async def test_asking_an_actor_that_waits_for_us_is_an_error_and_no_hang(
    nursery: trio.Nursery,
) -> None:
    first = spawn(nursery, "first", Parrot, capacity=1)
    second = spawn(nursery, "second", Parrot, capacity=1)

    assert await first.ask(Forward(second)) == "hello"
    with pytest.raises(AskCycle, match="first -> first"):
        await first.ask(Forward(first))


async def test_an_answer_in_parts_comes_in_order_and_ends_with_its_result(
    ref: ActorHandle,
) -> None:
    async with ref.stream(Recite(20)) as parts:
        got = [part async for part in parts]
    assert got == list(range(20))
    assert parts.result == "amen"


async def test_the_error_of_a_stream_is_raised_after_its_parts(ref: ActorHandle) -> None:
    got = []
    with pytest.raises(AgentFailed, match="lost the thread"):
        async with ref.stream(Recite(3, then_fail=True)) as parts:
            async for part in parts:
                got.append(part)
    assert got == [0, 1, 2]


async def test_a_slow_asker_pauses_the_handler(ref: ActorHandle, parrot: Parrot) -> None:
    async with ref.stream(Recite(1_000)) as parts:
        await trio.testing.wait_all_tasks_blocked()
        assert parrot.sent == PARTS_AHEAD
        await anext(parts)
        await trio.testing.wait_all_tasks_blocked()
        assert parrot.sent == PARTS_AHEAD + 1


async def test_leaving_a_stream_cancels_its_handler(ref: ActorHandle, parrot: Parrot) -> None:
    async with ref.stream(Recite(1_000)) as parts:
        assert await anext(parts) == 0
    assert parrot.stopped == [Recite(1_000)]
    assert await ref.ask(Say("hi")) == "hi"


async def test_giving_up_at_any_checkpoint_leaves_a_working_actor(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    for steps in range(40):
        ref = spawn(nursery, "parrot", Parrot, capacity=1)

        async def talk(ref: ActorHandle = ref) -> None:
            await ref.ask(Say("hi"))
            async with ref.stream(Recite(PARTS_AHEAD + 4)) as parts:
                async for _ in parts:
                    pass
            await ref.ask(Work(1))

        async with trio.open_nursery() as talkers:
            talkers.start_soon(talk)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            talkers.cancel_scope.cancel()
        assert ref.info().in_flight == 0
        assert await ref.ask(Say("hi")) == "hi"


async def test_who_is_cancelled_with_an_actor_is_not_told_that_it_has_stopped() -> None:
    async with trio.open_nursery() as nursery:
        ref = spawn(nursery, "gone", Parrot, capacity=1)
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await ref.ask(Say("hello"))

    assert scope.cancelled_caught
    with pytest.raises(ActorStopped):
        await ref.ask(Say("hello"))
