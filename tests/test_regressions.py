"""What the simulation has found, each as the shortest story that shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio

from actors.errors import (
    ActorError,
    AgentFailed,
    IllegalState,
    InvalidPlan,
    StorageUnavailable,
)
from actors.journal.log import EMPTY, Append, Record, Store
from actors.settings import Settings
from actors.tasks import events as e
from actors.tasks.failure import Failure
from actors.tasks.life import evolve
from actors.tasks.plan import StepKind
from actors.testing import Busy, Cast, Delay, Machine, Refuse, Stubborn, check_log, run_virtual


async def test_a_task_can_be_deleted_while_its_run_is_on_its_way_out(
    autojump_clock: object,
) -> None:
    """Seed 71: the run took the deletion for a failure of its log, and the process ended."""
    machine = Machine(agents=Cast(pause_s=1.0).factories())
    async with machine.boot() as system:
        task_id = (await system.create("frogs")).task_id
        await system.start(task_id)
        await trio.sleep(1.5)
        machine.store.faults.append(Delay(1.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.cancel, task_id)
            await trio.sleep(0.5)
            await system.delete(task_id)
        assert (await system.tasks()).tasks == ()
        assert system.gauges()["running_tasks"] == 0
    assert machine.last_end == "shutdown"


async def test_a_retry_waits_for_the_run_that_is_on_its_way_out(autojump_clock: object) -> None:
    """Seed 188: two runs of one task shared its ledger, and the first took the other's slot."""
    machine = Machine(agents=Cast(weighs=[InvalidPlan("no")], pause_s=1.0).factories())
    async with machine.boot() as system:
        task_id = (await system.create("frogs")).task_id
        await system.start(task_id)
        machine.store.faults.extend([Delay(1.0)] * 3)
        await trio.sleep(0.5)  # It has failed, and the log does not say so yet.
        await system.retry(task_id)
        assert system.gauges()["running_tasks"] == 1
        events = [event async for event in system.execute(task_id)]
        await trio.testing.wait_all_tasks_blocked()
        assert system.gauges()["running_tasks"] == 0
    assert check_log(event.line() for event in events) == "completed"


async def test_a_crash_between_a_steps_failure_and_the_tasks_ends_it_with_that_failure(
    autojump_clock: object,
) -> None:
    """Seed 950: the resumed run tried the failed step again, which is an illegal move."""
    machine = Machine()
    no = Failure("invalid_plan", "no")
    step: tuple[str, StepKind] = ("s1", "analysis")
    await write(
        machine.disk,
        e.TaskCreated("frogs"),
        e.TaskQueued(0, 1),
        e.TaskStarted(1),
        e.StepStarted(*step, 1, None, "analyzer", "plan", 1),
        e.StepFailed(*step, 1, no),
    )
    async with machine.boot() as system:
        events = [event async for event in system.execute("t1")]
    assert events[-1].event == e.TaskFailed(no, "s1", None)
    assert check_log(event.line() for event in events) == "failed"


async def write(disk: Store, *events: e.Event) -> None:
    task, records = None, []
    for seq, event in enumerate(events, start=1):
        stamped = e.Stamped(seq, "t1", "2026-01-01T00:00:00.000Z", event)
        task = evolve(task, stamped)
        records.append(Record(seq, stamped.line()))
    assert task is not None
    await disk.append([Append(task, EMPTY, tuple(records))])


async def test_a_key_is_answered_with_what_is_in_the_log(autojump_clock: object) -> None:
    """Seed 561: creating again was answered with what had been decided, and not yet committed."""
    machine = Machine(agents=Cast(pause_s=0.2).factories())
    async with machine.boot() as system:
        task_id = (await system.create("frogs", idempotency_key="k")).task_id
        await system.start(task_id)
        for _ in range(100):
            task = await system.create("frogs", idempotency_key="k")
            committed = await machine.disk.read(task_id, task.last_seq - 1)
            assert committed is not None
            await trio.lowlevel.checkpoint()


def test_while_a_run_that_cannot_write_still_works_there_is_no_other() -> None:
    """Seed 2657: a cancel was answered by a second ledger, and the agent went on."""

    async def story() -> bool:
        """Whether the agent was at work after the log had refused the start of the run."""
        cast = Cast(plans=[Stubborn(3.0)])
        machine = Machine(agents=cast.factories())
        async with machine.boot() as system:
            task_id = (await system.create("frogs")).task_id
            machine.store.faults.extend([None, Refuse()])  # It is queued; its start is refused.
            await system.start(task_id)
            await trio.sleep(0.1)
            at_work = bool(cast.working)
            if at_work:
                with pytest.raises(StorageUnavailable):
                    await system.start(task_id)
                with pytest.raises(StorageUnavailable):
                    await system.cancel(task_id)
            assert (await system.cancel(task_id)).status == "cancelled"
            assert cast.working == 0
            return at_work

    at_work = [run_virtual(story, seed=seed) for seed in range(20)]
    assert sum(at_work) >= 5


async def test_a_task_is_deleted_or_cancelled_but_not_both_at_once(
    autojump_clock: object,
) -> None:
    """Seed 3699: a task that was being deleted left the live tasks, and was cancelled once more."""
    machine = Machine(agents=Cast(plans=[AgentFailed("no")]).factories())
    async with machine.boot() as system:
        task_id = (await system.create("frogs")).task_id
        machine.store.faults.append(Delay(1.0))
        outcomes: list[str] = []

        async def ask(verb: str) -> None:
            try:
                await getattr(system, verb)(task_id)
                outcomes.append(verb)
            except Exception as error:  # noqa: BLE001 - which one, is what the test is about.
                outcomes.append(getattr(error, "code", repr(error)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "delete")
            await trio.sleep(0.1)
            for _ in range(2):
                nursery.start_soon(ask, "cancel")
                await trio.sleep(0.1)
        assert sorted(outcomes) == ["delete", "task_not_found", "task_not_found"]
        assert system.gauges()["pending_tasks"] == 0


async def test_a_delete_waits_until_the_cancel_of_a_queued_task_is_in_the_log(
    autojump_clock: object,
) -> None:
    """Seed 6825: it was deleted before that, and who had asked about it got a stale writer."""
    agents = Cast(plans=[30.0]).factories()
    machine = Machine(settings=Settings(max_running_tasks=1), agents=agents)
    async with machine.boot() as system:
        running = (await system.create("frogs")).task_id
        queued = (await system.create("toads")).task_id
        await system.start(running)
        outcomes: set[tuple[str, str]] = set()

        async def ask(verb: str) -> None:
            try:
                await getattr(system, verb)(queued)
                outcomes.add((verb, "done"))
            except ActorError as error:
                outcomes.add((verb, error.code))

        machine.store.faults.extend([Delay(2.0)] * 3)
        async with trio.open_nursery() as nursery:
            for verb in ("start", "delete", "cancel", "start"):
                nursery.start_soon(ask, verb)
                await trio.sleep(0.1)
        assert {("cancel", "done"), ("delete", "done")} <= outcomes
        assert {code for _, code in outcomes} <= {"done", "task_not_found"}


async def test_a_write_that_is_refused_while_the_system_ends_is_no_crash(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Seed 9876: the task was to be resumed in a nursery that had closed."""
    agents = Cast(plans=[60.0]).factories()
    machine = Machine(settings=Settings(max_running_tasks=1), agents=agents)
    async with trio.open_nursery() as nursery:
        async with machine.boot() as system:
            running = (await system.create("frogs")).task_id
            queued = (await system.create("toads")).task_id
            await system.start(running)
            await trio.sleep(1)
            machine.store.faults.append(Busy(31.0))
            nursery.start_soon(_ignoring_errors, system.start, queued)
            await trio.sleep(1)
    assert "crashed" not in caplog.text


async def _ignoring_errors(ask: Callable[[str], Awaitable[object]], task_id: str) -> None:
    with contextlib.suppress(ActorError):
        await ask(task_id)


async def test_a_queued_task_whose_cancel_was_refused_still_gets_its_turn(
    autojump_clock: object,
) -> None:
    """Seed 5393: it had left the queue, and the log went on to say that it waits."""
    machine = Machine(settings=Settings(max_running_tasks=1), agents=Cast(plans=[10.0]).factories())
    async with machine.boot() as system:
        running = (await system.create("frogs")).task_id
        queued = (await system.create("toads")).task_id
        for task_id in (running, queued):
            await system.start(task_id)
        await trio.sleep(1)
        machine.store.faults.append(Refuse())
        with pytest.raises(StorageUnavailable):
            await system.cancel(queued)
        await trio.sleep(60)
        assert (await system.status(queued)).status == "completed"


@pytest.mark.parametrize("seed", range(12))
def test_a_cancel_never_reaches_the_run_after_the_one_it_was_meant_for(seed: int) -> None:
    """A retry and a cancel waited for the same end; the retry woke first, and its run was cancelled."""

    async def story() -> None:
        machine = Machine(agents=Cast(plans=[InvalidPlan("no")], pause_s=1.0).factories())
        async with machine.boot() as system:
            task_id = (await system.create("frogs")).task_id
            machine.store.faults += [Delay(0.0), Delay(1.0)]
            outcomes: list[str] = []

            async def ask(verb: str) -> None:
                try:
                    await getattr(system, verb)(task_id)
                    outcomes.append(verb)
                except IllegalState:
                    outcomes.append(f"{verb} refused")

            await system.start(task_id)
            async with trio.open_nursery() as nursery:
                for verb in ("retry", "cancel"):
                    await trio.sleep(0.2)
                    nursery.start_soon(ask, verb)
            assert sorted(outcomes) == ["cancel refused", "retry"]
            events = [event async for event in system.execute(task_id)]
        assert events[-1].event_type == "task_completed"

    run_virtual(story, seed=seed)
