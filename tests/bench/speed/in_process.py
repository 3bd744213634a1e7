"""Without HTTP: what a commit takes and holds, and what actors cost beside raw Trio channels."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

import trio
from actor_cost import ROWS, measure_all
from load.server import Watch
from processes import in_child

from actors.clock import wall_clock
from actors.settings import Settings
from actors.testing import Cast, scripted_system
from web.server import SWITCH_S

from .figures import Aim, Effort, Part, Table, number, p50_p99
from .servers import LIMITS, TEXTS

CONCURRENCIES = (1, 50, 500)

Commits = tuple[float, list[tuple[float, int]]]
"""Tasks per second of CPU; seconds and appends of each commit."""


async def run_tasks(folder: Path, tasks: int, concurrency: int) -> Commits:
    """Run tasks from their creation to their end, so many at once."""
    sys.setswitchinterval(SWITCH_S)
    watch, left = Watch(), [0] * tasks
    settings = Settings(data_dir=folder, **LIMITS)
    async with scripted_system(Cast(parts=TEXTS), settings=settings, now=wall_clock) as system:
        watch.watch_commits(system._view.store)

        async def work() -> None:
            while left:
                left.pop()
                task = await system.create("frogs")
                async for _ in system.execute(task.task_id):
                    pass

        began = time.process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(concurrency):
                nursery.start_soon(work)
        return tasks / (time.process_time() - began), list(watch.commits)


def one_round(tasks: int, concurrency: int) -> Commits:
    with tempfile.TemporaryDirectory() as folder:
        found: Commits = in_child(partial(trio.run, run_tasks, Path(folder), tasks, concurrency))
        return found


def commits_row(concurrency: int, rounds: Sequence[Commits]) -> list[str]:
    sizes = median(mean(appends for _, appends in commits) for _, commits in rounds)
    times = p50_p99([[seconds for seconds, _ in commits] for _, commits in rounds])
    rate = median(rate for rate, _ in rounds)
    return [str(concurrency), number(sizes), times, number(rate)]


def measure_commits(effort: Effort) -> Part:
    found: dict[int, list[Commits]] = {many: [] for many in CONCURRENCIES}
    for _ in range(effort.rounds):
        for many, rounds in found.items():
            tasks = max(effort.of(300, 50), many) if many > 1 else effort.of(100, 20)
            rounds.append(one_round(tasks, many))
    head = ("tasks at once", "appends per commit", "commit, p50 / p99 ms", "tasks per CPU s")
    rows = [commits_row(many, rounds) for many, rounds in found.items()]
    note = "The scripted tasks of the servers in this process: the limit for any HTTP server."
    return Part("Group commit, without HTTP", [Table(head, rows, note)])


def measure_asks(effort: Effort) -> Part:
    found = in_child(partial(trio.run, measure_all, max(effort.rounds, 3)))
    rows, aims = [], []
    for (name, _, raw_name, _, aim), (cost, beside) in zip(ROWS, found, strict=True):
        rows.append([name, number(cost), raw_name, f"{beside:.2f}"])
        if aim:
            aims.append(Aim(f"{name}, to {raw_name}", beside, aim, at_most=True))
    head = ("actors", "µs of CPU", "raw Trio", "actors / raw")
    return Part("Actors beside raw channels", [Table(head, rows)], aims)
