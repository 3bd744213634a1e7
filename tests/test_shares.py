"""No owner fills the limits of pending and queued tasks for all others, in virtual time."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import trio
from scripted import Cast, scripted_system

from actors.errors import Overloaded
from actors.runs.shares import has_room
from actors.settings import Settings
from actors.system import System

HOUR = 3_600.0


@pytest.mark.parametrize(
    ("held", "owner", "limit", "has"),
    [
        ({}, "a", 2, True),
        ({"a": 1}, "a", 2, True),
        ({"a": 2}, "a", 2, False),
        ({"a": 4}, "b", 4, True),
        ({"a": 4, "b": 1}, "b", 4, True),
        ({"a": 4, "b": 2}, "b", 4, False),
        ({"a": 4, "b": 1, "c": 0}, "b", 4, True),
        ({"a": 1}, "b", 1, True),
        ({"a": 1, "b": 1}, "b", 1, False),
        ({}, "a", 0, False),
        ({"a": 9, None: 0}, None, 0, False),
    ],
)
def test_a_full_limit_has_room_for_an_owner_below_its_share(
    held: dict[str | None, int], owner: str | None, limit: int, has: bool
):
    assert has_room(held, owner, limit) is has


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_all_together_hold_a_bounded_multiple_of_the_limit(limit: int):
    rng, owners = Random(limit), 40
    held = Counter[str | None]()
    for number in range(owners):
        while has_room(held, f"{number}", limit):
            held[f"{number}"] += 1
    for _ in range(20_000):
        owner = f"{rng.randrange(owners)}"
        if rng.random() < 0.1:
            held[owner] = 0
        elif has_room(held, owner, limit):
            held[owner] += 1

        assert held.total() <= limit * (1 + math.log(owners)) + owners


async def test_a_key_that_fills_the_pending_tasks_leaves_room_for_another(autojump_clock: object):
    async with scripted_system(settings=Settings(max_pending_tasks=4)) as system:
        assert await created(system, "flood", 9) == 4

        assert await created(system, "quiet", 1) == 1
        assert await created(system, "flood", 1) == 0
        assert await created(system, "quiet", 9) == 1
        for task in (await system.tasks(owner="flood")).tasks[:3]:
            await system.delete(task.task_id)
        assert await created(system, "flood", 9) == 1


async def test_a_key_that_deletes_its_pending_tasks_has_room_again(autojump_clock: object):
    async with scripted_system(settings=Settings(max_pending_tasks=8)) as system:
        made = [await created(system, name, 9) for name in ("a", "b")]
        for task in (await system.tasks(owner="a")).tasks[:7]:
            await system.delete(task.task_id)
        made += [await created(system, name, 9) for name in ("c", "a")]

    assert made == [8, 4, 3, 1]  # Of a, 1 was left, and its share is 8 // 3.


async def test_the_same_holds_after_a_restart(autojump_clock: object, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, max_pending_tasks=4)
    async with scripted_system(settings=settings) as system:
        assert await created(system, "flood", 9) == 4
        assert await created(system, "other", 1) == 1

    async with scripted_system(settings=settings) as system:
        assert system.gauges()["pending_tasks"] == 5
        assert [await created(system, name, 1) for name in ("flood", "quiet")] == [0, 1]


async def test_a_key_that_fills_the_queue_leaves_room_for_another(autojump_clock: object):
    settings = Settings(data_dir=None, max_running_tasks=1, max_queued_tasks=4)
    async with scripted_system(Cast(writes=[HOUR] * 20), settings=settings) as system:
        assert await started(system, "flood", 9) == 1 + 4

        assert await started(system, "quiet", 1) == 1
        assert await started(system, "flood", 1) == 0
        assert await started(system, "quiet", 9) == 1
        assert system.gauges()["queued_tasks"] == 6
        assert await started(system, "third", 9) == 1
        await trio.sleep(4 * HOUR)  # Four tasks end, and each of the others waits with less.
        assert await started(system, "flood", 1) == 1


async def created(system: System, owner: str, count: int) -> int:
    """How many of so many tasks could be created."""
    done = 0
    for _ in range(count):
        try:
            await system.create("frogs", owner=owner)
        except Overloaded:
            continue
        done += 1
    return done


async def started(system: System, owner: str, count: int) -> int:
    """How many of so many tasks could be started; the others stay pending."""
    done = 0
    for _ in range(count):
        task = await system.create("frogs", owner=owner)
        try:
            await system.start(task.task_id)
        except Overloaded:
            assert (await system.status(task.task_id)).status == "pending"
            continue
        done += 1
    return done
