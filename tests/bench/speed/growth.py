"""What many tasks in the log and many events of a task cost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import long_logs
import many_tasks

from .figures import Aim, Effort, Part, Table, number
from .plots import lines

TASK_AIM = 1.2
REPLAY_AIM = 300


def measure_tasks(effort: Effort) -> Part:
    sizes = [10, 1_000] if effort.quick else [10, 10_000, 1_000_000]
    with tempfile.TemporaryDirectory() as folder:
        runs = effort.of(200, 50)
        found = many_tasks.measure_all(Path(folder), sizes, runs, effort.rounds)
    first, last = found[sizes[0]], found[sizes[-1]]
    rows = [
        [
            f"{tasks:,}",
            *(
                number(seconds * 1e3)
                for seconds in (one.start_s, one.list_s, one.task_s, one.cpu_s)
            ),
            f"{one.cpu_s / first.cpu_s:.2f}",
        ]
        for tasks, one in found.items()
    ]
    head = ("tasks in the log", "start, ms", "list, ms", "task, ms", "its CPU, ms", "to the first")
    figure = f"CPU of a task with {sizes[-1]:,} in the log, to {sizes[0]}"
    aim = Aim(figure, last.cpu_s / first.cpu_s, TASK_AIM, at_most=True)
    return Part("Growth with the tasks in the log", [Table(head, rows)], [aim])


def measure_replays(effort: Effort) -> Part:
    sizes = (10, 1_000, effort.of(100_000, 10_000))
    found = []
    for events in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found.append(long_logs.measure(Path(folder), events, each=64))
    rates = [(one.bytes / 1e6 / one.cpu_s, one.bytes / 1e6 / one.http_s) for one in found]
    rows = [
        [
            f"{one.events:,}",
            number(one.bytes / 1e6),
            *map(number, rate),
            number(one.bytes / 1e6 / one.replay_s),
            number(one.status_s * 1e3),
            number(one.grown_mib),
        ]
        for one, rate in zip(found, rates, strict=True)
    ]
    head = ("events of the task", "MB", "MB per CPU s", "MB/s over HTTP", "MB/s in process")
    table = Table((*head, "first status, ms", "memory, MiB"), rows, "64 events in a commit.")
    aim = Aim(f"replay of {sizes[-1]:,} events", rates[-1][0], REPLAY_AIM, "MB per CPU s")
    steps = [f"{events:,} events" for events in sizes]
    curves = {
        "per CPU second": [rate[0] for rate in rates],
        "over HTTP": [rate[1] for rate in rates],
    }
    plot = lines("Replay of a task", "MB/s", steps, curves)
    return Part("Replay", [table], [aim], {"replay.svg": plot})
