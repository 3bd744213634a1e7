"""Bugs that the crash test and the load test found, each as a test without chance or real time."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
import trio

from actors.clock import virtual_clock
from actors.errors import TaskNotFound
from actors.journal.journal import CommittedView, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.log import Append, Piece
from actors.journal.memory import MemoryStore
from actors.journal.tail import TailBounds
from actors.runs.run import Run
from actors.runtime import Call, Request, spawn
from actors.runtime.fairness import CALLS_PER_TICK, REPLIES_PER_TICK
from actors.tasks import events as e
from actors.testing import HANG, Cast, Delay, FaultyStore, scripted_system


class SlowRead(MemoryStore):
    """The first read after `slow` was set comes back late, with what was true when it was asked."""

    slow = False

    async def read(self, task_id: str, after: int) -> Piece | None:
        slow, self.slow = self.slow, False
        piece = await super().read(task_id, after)
        await trio.sleep(5 if slow else 0)
        return piece


async def test_a_task_that_is_deleted_while_it_is_read_from_the_log_is_gone(
    autojump_clock: object,
) -> None:
    disk = SlowRead()
    async with scripted_system(store=disk) as system:
        task_id = (await system.create("frogs")).task_id
    async with scripted_system(store=disk) as system, trio.open_nursery() as nursery:
        disk.slow = True

        async def start() -> None:
            with pytest.raises(TaskNotFound):
                await system.start(task_id)

        nursery.start_soon(start)
        await trio.sleep(1)
        await system.delete(task_id)


async def test_nobody_is_told_that_a_task_is_gone_before_the_log_has_forgotten_it(
    autojump_clock: object,
) -> None:
    disk = FaultyStore(MemoryStore())
    async with scripted_system(Cast(), store=disk) as system, trio.open_nursery() as nursery:
        task_id = (await system.create("frogs")).task_id
        disk.faults.append(Delay(5))
        nursery.start_soon(system.delete, task_id)
        await trio.sleep(1)
        with pytest.raises(TaskNotFound):
            await system.start(task_id)
        assert trio.current_time() == 5


async def test_who_waits_for_a_delete_is_answered_although_another_delete_comes(
    autojump_clock: object,
) -> None:
    disk = FaultyStore(MemoryStore())
    gone_at: list[float] = []

    async def find_gone(ask: Callable[[str], Awaitable[object]]) -> None:
        with pytest.raises(TaskNotFound):
            await ask(task_id)
        gone_at.append(trio.current_time())

    async with scripted_system(Cast(), store=disk) as system:
        task_id = (await system.create("frogs")).task_id
        disk.faults.append(Delay(5))
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(system.delete, task_id)
                for ask in (system.start, system.cancel, system.delete, system.delete):
                    await trio.sleep(1)
                    nursery.start_soon(find_gone, ask)

    assert gone_at == [5, 5, 5, 5]


async def test_a_task_that_is_being_deleted_stays_one_task(autojump_clock: object) -> None:
    """Else a start would begin on a copy of it, and the log would refuse what that run does."""
    disk = FaultyStore(MemoryStore())
    async with scripted_system(Cast(), store=disk) as system, trio.open_nursery() as nursery:
        task_id = (await system.create("frogs", idempotency_key="k")).task_id
        disk.faults.append(Delay(5))
        nursery.start_soon(system.delete, task_id)
        await trio.sleep(1)
        assert (await system.create("frogs", idempotency_key="k")).task_id == task_id
        with pytest.raises(TaskNotFound):
            await system.start(task_id)


@pytest.mark.parametrize("apart", range(4))
async def test_a_key_makes_a_task_at_every_moment_of_the_deletion_of_its_last_one(
    apart: int, autojump_clock: object
) -> None:
    for begun in range(40):
        assert await made_while_deleted(begun, apart) == ["pending"] * 3, f"begun after {begun}"


async def made_while_deleted(begun: int, apart: int) -> list[str]:
    """What three get that make a task, so many checkpoints after its deletion has begun."""
    made: list[str] = []

    async def make() -> None:
        made.append((await system.create("frogs", idempotency_key="k")).status)

    async with scripted_system() as system, trio.open_nursery() as nursery:
        task_id = (await system.create("frogs", idempotency_key="k")).task_id
        nursery.start_soon(system.delete, task_id)
        await checkpoints(begun)
        for _ in range(3):
            nursery.start_soon(make)
            await checkpoints(apart)
        await checkpoints(400)
        nursery.cancel_scope.cancel()
    return made


async def checkpoints(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_a_run_leaves_nothing_for_the_garbage_collector(autojump_clock: object) -> None:
    """Cycles of garbage are what long pauses are made of when a thousand tasks are cancelled."""
    async with scripted_system(Cast(writes=[None, HANG])) as system:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            completed = (await system.create("frogs")).task_id
            assert [event async for event in system.execute(completed)]
            cancelled = (await system.create("frogs")).task_id
            await system.start(cancelled)
            await trio.sleep(1)
            await system.cancel(cancelled)
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            assert not [one for one in gc.garbage if isinstance(one, Ledger | Run)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()


@dataclass(frozen=True)
class Keep(Request[None]):
    """A request that a weak reference can point to."""


class Keeper:
    async def handle(self, request: Keep, call: Call[None]) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_worker_at_rest_keeps_nothing_of_its_last_call(nursery: trio.Nursery) -> None:
    keeper = spawn(nursery, "keeper", Keeper, capacity=1)
    request = Keep()
    await keeper.ask(request)
    await trio.testing.wait_all_tasks_blocked()
    left = weakref.ref(request)
    del request
    assert left() is None


async def test_a_big_commit_is_shown_a_few_appends_per_tick(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Otherwise all tasks that a commit wakes would run before the loop polls its sockets again."""
    counts = Counts()
    shown: Counter[int] = Counter()

    class Counting(CommittedView):
        def show(self, append: Append) -> None:
            shown[counts.rounds] += 1
            super().show(append)

    view = Counting(FaultyStore(MemoryStore(), [Delay(1)]), TailBounds())
    log = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    ledgers = [Ledger(log, f"t{n}", None, virtual_clock, Window()) for n in range(60)]
    trio.lowlevel.add_instrument(counts)
    async with trio.open_nursery() as flushes:
        for ledger in ledgers:
            ledger.record(e.TaskCreated("frogs"))
            flushes.start_soon(ledger.flush)
    trio.lowlevel.remove_instrument(counts)

    assert shown.total() == 60
    # The first of a commit, and in the same round some of the rest of the one before.
    assert max(shown.values()) <= 2 * REPLIES_PER_TICK


class Counts(trio.abc.Instrument):
    """The rounds of the loop."""

    def __init__(self) -> None:
        self.rounds = 0

    def after_io_wait(self, timeout: float) -> None:
        self.rounds += 1


@dataclass(frozen=True)
class Note(Request[int]):
    """A request that is handled without waiting."""


class Notes:
    async def handle(self, request: Note, call: Call[int]) -> int:
        return 1


async def test_an_actor_keeps_up_with_a_busy_loop(nursery: trio.Nursery) -> None:
    """Else it takes one call in each round, and a round can be long."""
    notes = spawn(nursery, "notes", Notes, capacity=256)
    counts = Counts()
    trio.lowlevel.add_instrument(counts)
    calls = [await notes.send(Note()) for _ in range(200)]
    answered = [await call.reply() for call in calls[-1:]]
    assert answered == [1]
    assert counts.rounds <= 200 / CALLS_PER_TICK + 10


async def test_a_busy_actor_lets_others_go_on(nursery: trio.Nursery) -> None:
    tick = 0
    handled: Counter[int] = Counter()

    class Counting:
        async def handle(self, request: Note, call: Call[int]) -> int:
            handled[tick] += 1
            return 1

    busy = spawn(nursery, "busy", Counting, capacity=400)
    calls = [await busy.send(Note()) for _ in range(400)]
    while handled.total() < 400:
        tick += 1
        await trio.lowlevel.checkpoint()

    assert max(handled.values()) <= 2 * CALLS_PER_TICK
    assert await calls[-1].reply() == 1


async def test_what_finds_no_room_at_the_journal_is_committed_when_there_is(
    autojump_clock: object,
) -> None:
    """A run records and goes on; its events must not wait for the next one it records."""
    disk = FaultyStore(MemoryStore(), [Delay(1)] * 10)
    view = CommittedView(disk, TailBounds())
    async with trio.open_nursery() as nursery:
        log = spawn(nursery, "journal", lambda: Journal(view), capacity=1)

        async def run(task_id: str) -> None:
            ledger = Ledger(log, task_id, None, virtual_clock, Window())
            async with ledger.writing():
                await trio.sleep(1)
                ledger.record(e.TaskCreated("frogs"))
                await trio.sleep(60)
                assert ledger.committed == 1

        async with trio.open_nursery() as runs:
            for number in range(20):
                runs.start_soon(run, f"t{number}")
        nursery.cancel_scope.cancel()


async def test_a_cancel_is_told_before_all_else_that_was_committed_with_it(
    autojump_clock: object,
) -> None:
    disk = FaultyStore(MemoryStore(), [None, Delay(1), Delay(1)])
    done: list[str] = []
    async with scripted_system(store=disk) as system, trio.open_nursery() as nursery:
        task = await system.create("newts")
        nursery.start_soon(system.create, "the first group")
        await trio.testing.wait_all_tasks_blocked()

        async def create() -> None:
            await system.create("frogs")
            done.append("create")

        async def cancel() -> None:
            await system.cancel(task.task_id)
            done.append("cancel")

        for _ in range(200):
            nursery.start_soon(create)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(cancel)
    assert done.index("cancel") < REPLIES_PER_TICK
