"""The queue for a slot is fair between owners, in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from scripted import Cast, scripted_system

from actors.errors import TooManyRequests
from actors.runs.fair_queue import FairQueue
from actors.settings import Settings
from actors.system import System

TASK_S = 5.0


def filled(*waiting: tuple[str | None, int]) -> FairQueue:
    queue = FairQueue()
    for owner, count in waiting:
        for number in range(count):
            queue.append(owner, f"{owner}{number}")
    return queue


def owners(queue: FairQueue, count: int) -> list[str]:
    return [queue.take()[:-1] for _ in range(count)]


def test_slots_go_round_the_owners_and_each_owners_tasks_keep_their_order():
    queue = filled(("a", 3), ("b", 2))

    assert [queue.take() for _ in range(5)] == ["a0", "b0", "a1", "b1", "a2"]


def test_an_owner_past_its_share_gets_no_slot_while_another_waits():
    queue = filled(("a", 6), ("b", 6))
    owners(queue, 4)
    queue.release("b")
    queue.release("b")  # Short tasks: b ends two, a none.

    assert owners(queue, 2) == ["b", "b"]


def test_one_who_comes_again_and_again_does_not_take_every_turn():
    queue = filled(("a", 5), ("b", 5))
    served = Counter[str]()
    for number in range(9):
        queue.append("c", f"c{number}")
        owner = queue.take()[:-1]
        served[owner] += 1
        queue.release(owner)

    assert served == {"a": 3, "b": 3, "c": 3}


def test_a_task_that_waits_no_longer_is_not_taken():
    queue = filled(("a", 2))
    queue.remove("a", "a0")

    assert queue.take() == "a1"
    assert not queue


async def test_the_first_task_of_a_quiet_owner_gets_the_next_free_slot(autojump_clock):
    async with scripted_system(
        Cast(writes=[TASK_S] * 40), settings=Settings(data_dir=None, max_running_tasks=4)
    ) as system:
        for number in range(24):
            await begun(system, "ab"[number % 2])
        await trio.sleep(0.1)

        quiet = await begun(system, "c")
        before = {task.task_id for task in await running(system)}
        while quiet not in before:
            now = {task.task_id for task in await running(system)}
            started = now - before
            assert not started or quiet in started
            before = now
            await trio.sleep(0.01)


async def test_a_quiet_owner_is_served_in_bounded_time_and_no_one_exceeds_its_share(autojump_clock):
    async with scripted_system(
        Cast(writes=[TASK_S] * 400), settings=Settings(data_dir=None, max_running_tasks=4)
    ) as system:
        alone = await seconds(system, "c")
        for number in range(60):
            await begun(system, "ab"[number % 2])
        await trio.sleep(0.1)

        took = sorted([await seconds(system, "c") for _ in range(5)])

        assert took[-1] <= 2 * alone + alone + 0.1


async def test_tasks_past_an_owners_cap_are_refused_and_stay_pending(autojump_clock):
    async with scripted_system(
        Cast(writes=[TASK_S] * 9), settings=Settings(data_dir=None, key_running_tasks=2)
    ) as system:
        await begun(system, "a")
        await begun(system, "a")
        third = await system.create("frogs", owner="a")

        with pytest.raises(TooManyRequests, match="2 of your tasks"):
            await system.start(third.task_id)

        assert (await system.status(third.task_id)).status == "pending"
        await begun(system, "b")
        await trio.sleep(3 * TASK_S)
        await system.start(third.task_id)


async def begun(system: System, owner: str) -> str:
    task = await system.create("frogs", owner=owner)
    await system.start(task.task_id)
    return task.task_id


async def running(system: System):
    return (await system.tasks(status="executing", limit=200)).tasks


async def seconds(system: System, owner: str) -> float:
    began = trio.current_time()
    task_id = await begun(system, owner)
    async for _ in system.execute(task_id):
        pass
    return trio.current_time() - began
