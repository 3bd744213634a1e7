"""The kit itself: virtual time, a schedule that repeats, faults of the log, and processes that die."""

from __future__ import annotations

import time

import pytest
import trio

from actors.errors import AgentCrashed, StorageUnavailable
from actors.journal.memory import MemoryStore
from actors.testing import (
    HANG,
    Cast,
    Delay,
    DieAfter,
    DieBefore,
    FaultyStore,
    Machine,
    ProcessDied,
    Refuse,
    ScriptedCrash,
    Stubborn,
    check_log,
    run_virtual,
    scripted_system,
)


def test_virtual_time_takes_no_time() -> None:
    async def story() -> float:
        await trio.sleep(86_400)
        return trio.current_time()

    began = time.perf_counter()
    assert run_virtual(story, seed=0) == 86_400
    assert time.perf_counter() - began < 5


def test_the_schedule_is_a_function_of_the_seed() -> None:
    async def story() -> list[int]:
        order: list[int] = []

        async def step(number: int) -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(step, number)
        return order

    orders = [run_virtual(story, seed=seed) for seed in range(20)]
    assert orders == [run_virtual(story, seed=seed) for seed in range(20)]
    assert len({tuple(order) for order in orders}) > 10


async def test_an_agent_can_be_stubborn(autojump_clock: object) -> None:
    cast = Cast(plans=[Stubborn(3.0)])
    async with scripted_system(cast) as system:
        task = await system.create("frogs")
        await system.start(task.task_id)
        await trio.sleep(1)
        await system.cancel(task.task_id)
    assert trio.current_time() == 3
    assert cast.working == 0


async def test_an_agent_can_hang_and_crash(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[HANG], weighs=[ScriptedCrash("bug")])) as system:
        task = await system.create("frogs")
        events = [event async for event in system.execute(task.task_id)]
    retries = [e.data["error"]["code"] for e in events if e.event_type == "step_retrying"]
    assert retries == ["step_timeout", AgentCrashed.code]


async def test_a_log_that_refuses_and_is_slow_tells_the_truth(autojump_clock: object) -> None:
    machine = Machine()
    async with machine.boot() as system:
        machine.store.faults.extend([Refuse(), Delay(2.0)])
        with pytest.raises(StorageUnavailable):
            await system.create("frogs")
        task = await system.create("toads")
        assert trio.current_time() == 2
        assert [found.task_id for found in (await system.tasks()).tasks] == [task.task_id]


@pytest.mark.parametrize(("fault", "written"), [(DieBefore(), 0), (DieAfter(), 1)])
async def test_a_process_can_die_before_and_after_the_write(
    fault: DieBefore | DieAfter, written: int, autojump_clock: object
) -> None:
    machine = Machine()
    answered = False
    async with machine.boot() as system:
        machine.store.faults.append(fault)
        await system.create("frogs")
        answered = True
    assert not answered
    assert machine.last_end == "crash"
    async with machine.boot() as system:
        assert len((await system.tasks()).tasks) == written
    assert machine.last_end == "shutdown"


async def test_a_dead_process_writes_nothing(autojump_clock: object) -> None:
    disk = MemoryStore()
    store = FaultyStore(disk)
    store.die()
    with pytest.raises(ProcessDied):
        await store.append([])
    with pytest.raises(ProcessDied):
        await store.delete("t1")
    with pytest.raises(ProcessDied):
        await store.release()
    assert store.dead
    assert await store.read("t1", 0) is None


@pytest.mark.parametrize("ticks", range(0, 80, 2))
def test_killed_at_any_moment_a_task_goes_on_and_loses_nothing(ticks: int) -> None:
    async def story() -> None:
        machine = Machine()
        seen: list[bytes] = []
        async with machine.boot() as system:
            task = await system.create("frogs")

            async def read() -> None:
                async for event in system.execute(task.task_id):
                    seen.append(event.line())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                machine.kill()
        async with machine.boot() as system:
            events = [event.line() async for event in system.execute(task.task_id)]
        assert events[: len(seen)] == seen
        assert check_log(events, attempts=5) == "completed"

    run_virtual(story, seed=ticks)


async def test_another_error_than_its_death_comes_out_of_a_process(autojump_clock: object) -> None:
    machine = Machine()
    with pytest.raises(ExceptionGroup) as caught:
        async with machine.boot():
            raise ValueError("of the test itself")
    assert caught.group_contains(ValueError)
