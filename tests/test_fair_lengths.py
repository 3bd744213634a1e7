"""The queue for a slot is fair while tasks have different lengths, in virtual time with seeds.

Two keys flood the system, and a third one asks for a task now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from random import Random

import pytest
import trio
from scripted import Act, Cast, Script, scripted_system

from actors.settings import Settings
from actors.system import System

KEYS = 3
QUIET_TASKS = 40
QUIET_S = 2.0
DAY_S = 86_400.0

Length = Callable[[Random], float]


class ByTask(Script):
    """What the writer does for each task, by the task's id."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths_s: dict[str, float] = {}

    def next_act(self, key: str) -> Act:
        return self.lengths_s[key.partition("/")[0]]


@dataclass
class Ran:
    """One task: when it was queued, got its slot, and ended."""

    owner: str
    queued: float
    started: float = inf
    ended: float = inf


LENGTHS: dict[str, tuple[Length, Length]] = {
    "alike": (lambda rng: rng.uniform(3, 7), lambda rng: rng.uniform(3, 7)),
    "short and long": (lambda rng: rng.uniform(0.5, 1.5), lambda rng: rng.uniform(20, 40)),
    "exponential": (lambda rng: rng.expovariate(1 / 5), lambda rng: rng.expovariate(1 / 10)),
    "seldom long": (
        lambda rng: 30.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.5),
        lambda rng: 30.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.5),
    ),
}


@pytest.mark.parametrize("slots", [2, 5])
@pytest.mark.parametrize("lengths", LENGTHS)
async def test_a_quiet_key_waits_for_one_flooding_task_and_none_gets_more_than_its_share(
    lengths: str, slots: int, autojump_clock: object
):
    ran = await flooded(lengths, slots)

    took = [one.ended - one.queued for one in ran if one.owner == "quiet"]
    floods = [one.ended - one.started for one in ran if one.owner != "quiet" and one.ended < inf]
    assert len(took) == QUIET_TASKS
    assert p95(took) <= 2 * QUIET_S + p95(floods)
    for one in ran:
        check_share(one, ran, slots)


def check_share(one: Ran, ran: list[Ran], slots: int) -> None:
    """No key gets a slot that it would hold more of than a waiting one does, with that one."""
    now = one.started
    held = Counter(other.owner for other in ran if other.started <= now < other.ended)
    assert held.total() <= slots
    for waits in {other.owner for other in ran if other.queued < now < other.started < inf}:
        assert held[one.owner] <= held[waits] + 1
        if slots > KEYS:  # Else a flooding key may hold none either, and have waited longer.
            assert waits != "quiet" or held["quiet"]


async def flooded(lengths: str, slots: int) -> list[Ran]:
    """All tasks that were made until `QUIET_TASKS` of the quiet key had ended, one after the other."""
    rng, cast, ran = Random(f"{lengths} {slots}"), Cast(), list[Ran]()
    cast.writes = script = ByTask()
    settings = Settings(data_dir=None, max_running_tasks=slots)
    async with scripted_system(cast, settings=settings) as system, trio.open_nursery() as nursery:

        async def flood(owner: str, length: Length) -> None:
            while True:
                await run(system, script, ran, owner, length(rng))

        for owner, length in zip("ab", LENGTHS[lengths], strict=True):
            for _ in range(2 * slots):
                nursery.start_soon(flood, owner, length)
        await trio.sleep(60)
        with trio.fail_after(DAY_S):
            for _ in range(QUIET_TASKS):
                await trio.sleep(rng.uniform(0, 10))
                await run(system, script, ran, "quiet", QUIET_S)
        nursery.cancel_scope.cancel()
    return ran


async def run(system: System, script: ByTask, ran: list[Ran], owner: str, length_s: float) -> None:
    task = await system.create("frogs", owner=owner)
    script.lengths_s[task.task_id] = length_s
    one = Ran(owner, trio.current_time())
    ran.append(one)
    async for event in system.execute(task.task_id):
        if event.event_type == "task_started":
            one.started = trio.current_time()
    one.ended = trio.current_time()


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]
