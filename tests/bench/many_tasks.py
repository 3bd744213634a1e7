"""What a task costs in a log with a million others, and how long a start takes.

    python tests/bench/many_tasks.py [--tasks 10 1000000] [--runs 300] [--rounds 3] [--folder DIR]

Logs on disk with so many finished tasks, copies of one that was cancelled. In each, a system with
scripted agents starts, and runs tasks one after another from their creation to their end. The rounds
go through the logs in turn, so that a busy machine is unfair to all alike; each in a process of its own.
The ratios compare each log with the first, the smallest one.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from processes import in_child
from scripted import Cast, scripted_system

from actors.settings import Settings

PARTS = [f"This is sentence number {n}. [1] " for n in range(20)]
COPIED = """
    WITH RECURSIVE copy (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM copy WHERE n < :tasks)
    INSERT INTO {table} ({columns}) SELECT {values} FROM copy, {table} WHERE {table}.mark = 1
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds: of the start, of a first page of the list, and of each task by clock and by CPU."""

    start_s: float
    list_s: float
    task_s: float
    cpu_s: float


async def build(folder: Path, tasks: int) -> None:
    """One real task, and its copies under other ids."""
    async with scripted_system(settings=Settings(data_dir=folder)) as system:
        await system.cancel((await system.create("frogs")).task_id)
    with closing(sqlite3.connect(folder / "log.db")) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        for table, changed in (("tasks", {"task_id": "hex(randomblob(16))"}), ("log", {})):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            changed["mark"] = "n"
            values = ", ".join(changed.get(column, column) for column in columns)
            sql = COPIED.format(table=table, columns=", ".join(columns), values=values)
            db.execute(sql, {"tasks": tasks})


async def measure(folder: Path, runs: int) -> tuple[float, ...]:
    started = time.perf_counter()
    async with scripted_system(Cast(parts=PARTS), settings=Settings(data_dir=folder)) as system:
        start_s = time.perf_counter() - started
        started = time.perf_counter()
        await system.tasks(limit=50)
        list_s = time.perf_counter() - started
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(runs):
            task = await system.create("frogs")
            async for _ in system.execute(task.task_id):
                pass
        return (
            start_s,
            list_s,
            (time.perf_counter() - began) / runs,
            (time.process_time() - cpu) / runs,
        )


def tell(tasks: int, one: Measured, first: Measured, file: Path) -> None:
    print(
        f"{tasks:>9,} tasks, {file.stat().st_size / 2**20:6.0f} MiB: start {one.start_s * 1e3:5.0f} ms,"
        f" list {one.list_s * 1e3:.1f} ms, a task {one.task_s * 1e3:.2f} ms"
        f" ({one.task_s / first.task_s:.2f} times the first), {one.cpu_s * 1e3:.2f} ms of CPU"
        f" ({one.cpu_s / first.cpu_s:.2f} times the first)",
        flush=True,
    )


def measure_all(folder: Path, sizes: list[int], runs: int, rounds: int) -> dict[int, Measured]:
    """The medians of the rounds for each size; the logs stay in the folder."""
    folders = {tasks: folder / str(tasks) for tasks in sizes}
    for tasks, one in folders.items():
        in_child(partial(trio.run, build, one, tasks))
    os.sync()
    found: dict[int, list[tuple[float, ...]]] = {tasks: [] for tasks in folders}
    for _ in range(rounds):
        for tasks, one in folders.items():
            found[tasks].append(in_child(partial(trio.run, measure, one, runs)))
    return {
        tasks: Measured(*map(statistics.median, zip(*values, strict=True)))
        for tasks, values in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10, 1_000_000])
    parser.add_argument("--runs", type=int, default=300, help="tasks that are run in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the logs are built")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        found = measure_all(Path(name), asked.tasks, asked.runs, asked.rounds)
        for tasks, one in found.items():
            tell(tasks, one, found[asked.tasks[0]], Path(name, str(tasks), "log.db"))


if __name__ == "__main__":
    main()
