"""The supervisor through the in-process API, in virtual time: admission, cancel, retry, recovery."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from scripted import Cast, ScriptedAnalyzer, Stubborn, plan_for, scripted_system

from actors.clock import virtual_clock
from actors.errors import (
    AgentFailed,
    CancelUnfinished,
    Draining,
    IllegalState,
    InvalidRequest,
    Overloaded,
    TaskNotFound,
)
from actors.journal.memory import MemoryStore
from actors.settings import Settings
from actors.system import System
from actors.tasks.events import Stamped, decode
from actors.tasks.plan import Plan
from actors.testing.faults import Delay, FaultyStore

ENDINGS = {"task_completed", "task_failed", "task_cancelled"}
SLOW = 1_000.0


def slow_in(step: str) -> Cast:
    """The first two attempts of this step take very long."""
    acts: dict[str, Any] = {step: [SLOW, SLOW]}
    return Cast(**acts)


async def log_of(system: System, task_id: str) -> list[Stamped]:
    follower = await system.follow(task_id, follow=False)
    lines = b"".join([piece.lines async for piece in follower]).splitlines()
    return [decode(line) for line in lines]


async def finish(system: System, task_id: str) -> list[Stamped]:
    return [event async for event in system.execute(task_id)]


async def started(system: System, count: int = 1) -> list[str]:
    ids = [(await system.create("frogs")).task_id for _ in range(count)]
    for task_id in ids:
        await system.start(task_id)
    return ids


class Uneven(ScriptedAnalyzer):
    """Plans that s4 waits for s3, but not for s2."""

    def plan(self, text: str) -> Plan:
        plan = plan_for(text, 3)
        steps = [
            replace(s, depends_on=("s1", "s3")) if s.step_id == "s4" else s for s in plan.steps
        ]
        return replace(plan, steps=tuple(steps))


class UnevenCast(Cast):
    def factories(self) -> dict[str, Any]:
        return {**super().factories(), "analyzer": lambda: Uneven(self.plans, self.weighs)}


@pytest.mark.parametrize("first", [0.5, 2.0, 6.0])
async def test_a_step_begins_as_soon_as_all_that_it_depends_on_are_done(
    first: float, autojump_clock: object
) -> None:
    """Whichever of s2 and s3 ends first, whatever is still at work then."""
    cast = UnevenCast(retrieves=[first, 1.0, 3.0])
    async with scripted_system(cast) as system, trio.open_nursery():
        began = trio.current_time()
        with trio.fail_after(60):
            events = await finish(system, (await system.create("frogs")).task_id)

    assert events[-1].event_type == "task_completed"
    assert trio.current_time() - began == pytest.approx(max(first, 4.0))


async def test_a_written_step_says_how_long_its_text_is(autojump_clock: object) -> None:
    async with scripted_system(Cast(parts=("Frogs ", "sing. ", "[1]"))) as system:
        events = await finish(system, (await system.create("frogs")).task_id)

    (written,) = [
        event.data["result"]
        for event in events
        if event.event_type == "step_completed" and event.data["step"] == "writing"
    ]
    assert written["characters"] == len("Frogs sing. [1]")


async def test_executing_twice_runs_once(autojump_clock: object) -> None:
    cast = Cast()
    async with scripted_system(cast) as system:
        task = await system.create("frogs")
        logs = []

        async def read() -> None:
            logs.append(await finish(system, task.task_id))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(read)
    assert all(log == logs[0] for log in logs)
    assert cast.plans.keys == [f"{task.task_id}/s1"]


async def test_slots_are_bounded_and_the_queue_is_first_come_first_served(
    autojump_clock: object,
) -> None:
    settings = Settings(max_running_tasks=2, max_queued_tasks=2)
    async with scripted_system(Cast(plans=[10.0] * 9), settings=settings) as system:
        ids = [(await system.create("frogs")).task_id for _ in range(5)]
        states = [(await system.start(task_id)).status for task_id in ids[:4]]
        assert states[2:] == ["queued", "queued"]
        with pytest.raises(Overloaded):
            await system.start(ids[4])
        assert (await system.status(ids[4])).status == "pending"
        positions = []
        for task_id in ids[:4]:
            positions.append((await log_of(system, task_id))[1].data["position"])
        assert positions == [0, 0, 1, 2]
        await trio.sleep(15)
        assert (await system.status(ids[0])).status == "completed"
        assert (await system.start(ids[4])).status in ("queued", "executing")
        for task_id in ids:
            assert (await finish(system, task_id))[-1].event_type == "task_completed"


async def test_pending_tasks_are_bounded(autojump_clock: object) -> None:
    async with scripted_system(settings=Settings(max_pending_tasks=2)) as system:
        first = await system.create("frogs")
        await system.create("frogs")
        with pytest.raises(Overloaded):
            await system.create("frogs")
        await finish(system, first.task_id)
        await system.create("frogs")


@pytest.mark.parametrize("steps", range(60))
async def test_cancelled_at_any_moment_nothing_works_and_one_ending_stands(
    steps: int, autojump_clock: object
) -> None:
    cast = Cast()
    async with scripted_system(cast) as system:
        (task_id,) = await started(system)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        try:
            task = await system.cancel(task_id, "enough")
        except IllegalState:
            task = await system.status(task_id)
            assert task.status == "completed"
        assert cast.working == 0
        log = await log_of(system, task_id)
        assert [e.event_type for e in log if e.event_type in ENDINGS] == [log[-1].event_type]
        assert log[-1].event_type == f"task_{task.status}"
        await trio.testing.wait_all_tasks_blocked()
        assert await log_of(system, task_id) == log


async def test_a_cancel_keeps_the_text_and_answers_the_same_again(autojump_clock: object) -> None:
    async with scripted_system(Cast(pause_s=1)) as system:
        (task_id,) = await started(system)
        await trio.sleep(2.5)
        first = await system.cancel(task_id, "enough")
        assert (first.status, first.partial_output) == ("cancelled", "Frogs sing. ")
        assert await system.cancel(task_id, "again") == first
        ending = (await log_of(system, task_id))[-1]
        assert ending.data == {"reason": "enough", "partial_output": "Frogs sing. "}


async def test_a_queued_and_a_pending_task_can_be_cancelled(autojump_clock: object) -> None:
    async with scripted_system(
        Cast(plans=[SLOW]), settings=Settings(max_running_tasks=1)
    ) as system:
        running, queued = await started(system, 2)
        pending = (await system.create("frogs")).task_id
        for task_id in (pending, queued, running):
            assert (await system.cancel(task_id)).status == "cancelled"
        assert system.gauges()["running_tasks"] == system.gauges()["queued_tasks"] == 0


async def test_a_cancelled_slot_goes_to_the_next_in_the_queue(autojump_clock: object) -> None:
    async with scripted_system(
        Cast(plans=[SLOW]), settings=Settings(max_running_tasks=1)
    ) as system:
        running, queued = await started(system, 2)
        await system.cancel(running)
        assert (await finish(system, queued))[-1].event_type == "task_completed"


async def test_what_does_not_stop_is_not_called_stopped(autojump_clock: object) -> None:
    async with scripted_system(Cast(retrieves=[Stubborn(25), Stubborn(25)])) as system:
        (task_id,) = await started(system)
        await trio.sleep(1)
        with pytest.raises(CancelUnfinished):
            await system.cancel(task_id)
        assert (await system.status(task_id)).status == "executing"
        with pytest.raises(CancelUnfinished):
            await system.cancel(task_id)
        assert (await system.cancel(task_id)).status == "cancelled"


async def test_a_caller_that_hangs_up_does_not_undo_its_cancel(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[SLOW])) as system:
        (task_id,) = await started(system)
        with trio.CancelScope() as scope:
            scope.cancel()
            await system.cancel(task_id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.cancel, task_id)
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert (await system.status(task_id)).status == "cancelled"


async def test_a_failed_task_goes_on_from_its_first_unfinished_step(autojump_clock: object) -> None:
    cast = Cast(weighs=[AgentFailed("no")] * 5)
    async with scripted_system(cast) as system:
        (task_id,) = await started(system)
        first = await finish(system, task_id)
        ending = first[-1].seq
        assert (await system.retry(task_id)).last_seq == ending + 1
        log = await finish(system, task_id)
        second = log[ending:]
        assert log[:ending] == first
        assert [e.event_type for e in second[:3]] == ["task_queued", "task_resumed", "step_started"]
        assert second[1].data == {
            "reason": "retry",
            "kept_steps": ["s1", "s2", "s3"],
            "run": 2,
        }
        assert (second[2].data["step_id"], second[2].data["attempt"]) == ("s4", 6)
        assert second[-1].event_type == "task_completed"
        assert len(cast.plans.keys) == 1
        with pytest.raises(IllegalState):
            await system.retry(task_id)


async def test_a_task_cancelled_before_it_ran_can_be_retried(autojump_clock: object) -> None:
    async with scripted_system() as system:
        task = await system.create("frogs")
        await system.cancel(task.task_id)
        await system.retry(task.task_id)
        assert (await finish(system, task.task_id))[-1].event_type == "task_completed"


async def test_the_same_key_and_values_give_the_same_task(autojump_clock: object) -> None:
    async with scripted_system() as system:
        first = await system.create("frogs", idempotency_key="k")
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(lambda: system.create("toads", idempotency_key="other"))
        again = await system.create("frogs", idempotency_key="k")
        assert again.task_id == first.task_id
        with pytest.raises(InvalidRequest):
            await system.create("newts", idempotency_key="k")
        assert len((await system.tasks()).tasks) == 2
        await system.delete(first.task_id)
        assert (await system.create("newts", idempotency_key="k")).task_description == "newts"


async def test_a_deleted_task_is_gone_and_its_readers_are_told(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[SLOW])) as system:
        task_id = (await system.create("frogs")).task_id
        follower = await system.follow(task_id)
        assert (await anext(follower)).last_seq == 1

        async def wait_for_more() -> None:
            assert [piece async for piece in follower] == []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_more)
            await trio.testing.wait_all_tasks_blocked()
            await system.delete(task_id)
        assert follower.closing is not None
        assert (follower.closing.reason, follower.closing.resume_after) == ("deleted", None)
        with pytest.raises(TaskNotFound):
            await system.status(task_id)
        (running,) = await started(system)
        with pytest.raises(IllegalState):
            await system.delete(running)


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
async def test_a_task_goes_on_after_an_orderly_stop_from_its_last_finished_step(
    seconds: float, autojump_clock: object
) -> None:
    store = MemoryStore()
    cast = Cast(plans=[1.0], retrieves=[1.0, 1.0], weighs=[1.0], pause_s=1)
    async with scripted_system(cast, store=store) as system:
        (task_id,) = await started(system)
        await trio.sleep(seconds)
        before = await log_of(system, task_id)
    assert cast.working == 0
    async with scripted_system(Cast(), store=store) as system:
        log = await finish(system, task_id)
    assert log[: len(before)] == before
    assert log[-1].event_type == "task_completed"
    done = [e.data["step_id"] for e in log if e.event_type == "step_completed"]
    assert sorted(done) == ["s1", "s2", "s3", "s4", "s5"]
    assert [e.data["reason"] for e in log if e.event_type == "task_resumed"] == ["restart"]


@pytest.mark.parametrize("step", ["plans", "retrieves", "weighs", "writes"])
async def test_an_orderly_stop_uses_up_no_attempt(step: str, autojump_clock: object) -> None:
    store, task_id = MemoryStore(), ""
    for lap in range(9):
        async with scripted_system(slow_in(step), store=store) as system:
            task_id = (await started(system))[0] if lap == 0 else task_id
            await trio.sleep(1)
    async with scripted_system(Cast(), store=store) as system:
        log = await finish(system, task_id)
    assert log[-1].event_type == "task_completed"
    assert log[-1].data["degraded"] is False
    assert [e.event_type for e in log].count("task_resumed") == 9


@pytest.mark.parametrize(
    ("step", "ending"),
    [
        ("plans", "task_failed"),
        ("retrieves", "task_completed"),
        ("weighs", "task_failed"),
        ("writes", "task_failed"),
    ],
)
async def test_a_crash_uses_up_the_attempt_of_a_step_that_was_a_suspect(
    step: str, ending: str, autojump_clock: object
) -> None:
    store, task_id = MemoryStore(), ""
    for lap in range(6):  # The first makes it a suspect, and each further one is charged to it.
        slow: dict[str, Any] = {step: [SLOW]}
        with trio.CancelScope() as power:
            async with scripted_system(Cast(questions=1, **slow), store=store) as system:
                task_id = (await started(system))[0] if lap == 0 else task_id
                await trio.sleep(1)
                power.cancel()
                await trio.sleep_forever()
    async with scripted_system(Cast(), store=store) as system:
        log = await finish(system, task_id)
    assert log[-1].event_type == ending
    codes = [e.data["error"]["code"] for e in log if e.data.get("error")]
    assert codes and set(codes) == {"interrupted"}
    assert log[-1].data.get("degraded", True) is True


async def test_tasks_that_waited_go_on_after_those_that_ran(autojump_clock: object) -> None:
    store = MemoryStore()
    settings = Settings(max_running_tasks=1)
    async with scripted_system(Cast(plans=[SLOW]), store=store, settings=settings) as system:
        ids = await started(system, 3)
        await trio.sleep(1)
    async with scripted_system(Cast(), store=store, settings=settings) as system:
        ends = []
        for task_id in ids:
            log = await finish(system, task_id)
            ends.append(log[-1].timestamp)
            assert log[-1].event_type == "task_completed"
        assert ends == sorted(ends)


async def test_the_deadline_counts_the_time_when_the_server_was_down(
    autojump_clock: object,
) -> None:
    store = MemoryStore()
    async with scripted_system(Cast(plans=[SLOW]), store=store) as system:
        task = await system.create("frogs", deadline_s=60)
        await system.start(task.task_id)
        await trio.sleep(1)
    await trio.sleep(100)
    async with scripted_system(Cast(), store=store) as system:
        log = await finish(system, task.task_id)
    assert log[-1].data["error"]["code"] == "deadline_exceeded"
    assert log[-2].event_type == "task_resumed"


async def test_a_clock_that_was_set_back_gives_a_task_no_time_that_it_has_used(
    autojump_clock: object,
) -> None:
    store = MemoryStore()
    async with scripted_system(Cast(plans=[30.0], retrieves=[SLOW]), store=store) as system:
        task = await system.create("frogs", deadline_s=60)
        await system.start(task.task_id)
        await trio.sleep(40)

    def an_hour_ago() -> datetime:
        return virtual_clock() - timedelta(hours=1)

    async with scripted_system(Cast(retrieves=[SLOW]), store=store, now=an_hour_ago) as system:
        log = await finish(system, task.task_id)
    assert log[-1].data["error"]["code"] == "deadline_exceeded"
    assert [one.timestamp for one in log] == sorted(one.timestamp for one in log)
    # Its last event before was 30 s after its start.
    assert trio.current_time() == pytest.approx(40 + 60 - 30)


async def test_while_it_drains_running_steps_get_their_grace_and_new_work_is_refused(
    autojump_clock: object,
) -> None:
    store = MemoryStore()
    async with scripted_system(Cast(plans=[5.0, SLOW]), store=store) as system:
        quick, slow = await started(system, 2)
        pending = await system.create("frogs")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.drain, 10)
            await trio.sleep(1)
            with pytest.raises(Draining):
                await system.create("frogs")
            with pytest.raises(Draining):
                await system.start(pending.task_id)
        assert trio.current_time() == 10
        assert (await system.status(quick)).status == "completed"
        assert (await system.status(slow)).status == "executing"
        follower = await system.follow(slow)
        assert [piece.last_seq async for piece in follower][-1] > 0
        assert follower.closing is not None and follower.closing.reason == "draining"


async def test_the_tree_shows_every_actor(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[SLOW])) as system:
        await started(system)
        await trio.sleep(1)
        tree = {actor.name: actor for actor in system.tree()}
    assert set(tree) == {"supervisor", "journal", "analyzer", "retriever", "writer"}
    assert (tree["analyzer"].in_flight, tree["analyzer"].state) == (1, "running")


async def test_a_burst_of_tasks_is_taken_where_the_limits_are_high(autojump_clock: object) -> None:
    store = FaultyStore(MemoryStore(), [Delay(1.0)] * 20)
    settings = Settings(data_dir=None, max_queued_tasks=4_096)
    async with scripted_system(store=store, settings=settings) as system:
        created: list[Any] = []

        async def create() -> None:
            created.append(await system.create("frogs"))

        async with trio.open_nursery() as nursery:
            for _ in range(1_500):
                nursery.start_soon(create)

        assert len(created) == 1_500
