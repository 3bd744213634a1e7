"""Cancelling streaming tasks: one after another, and all by request, as the load test does it."""

from __future__ import annotations

import gc
import resource
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import trio
from load.cancel import LoadTest
from processes import in_child

from .figures import Aim, Effort, Part, Table, number, of_rounds, p50_p99

COUNTS = {1_000: 5, 5_000: 15}
"""The aims in milliseconds for the p99 of a cancel."""

ALL_S = 0.6
SINGLES = 200
PARTS_PER_S = 500
"""Of all tasks together: it is not the writing that keeps the server busy."""

Cancels = tuple[list[float], float]
"""Seconds of each cancel, and of cancelling all by request."""


def one_round(tasks: int) -> Cancels:
    gc.disable()  # The pauses of the client are not the server's.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        test = LoadTest(Path(folder), tasks, SINGLES, pause_s=max(2.0, tasks / PARTS_PER_S))
        trio.run(test.run, ["singles", "request"])
        singles, request = test.results
        return singles.client_s, request.all_s


def measure(effort: Effort) -> Part:
    counts = {100: 5} if effort.quick else COUNTS
    found: dict[int, list[Cancels]] = {}
    for tasks in counts:  # Thousands of streams take minutes, so fewer rounds of them.
        times = max(1, min(effort.rounds, 3_000 // tasks))
        found[tasks] = [in_child(partial(one_round, tasks)) for _ in range(times)]
    rows, aims = [], []
    for tasks, rounds in found.items():
        singles, all_s = [one[0] for one in rounds], median(one[1] for one in rounds)
        rows.append([f"{tasks:,}", p50_p99(singles), number(all_s * 1e3), str(len(rounds))])
        p99 = of_rounds(singles, 0.99) * 1e3
        figure = f"cancel at {tasks:,} streams, p99"
        aims.append(Aim(figure, p99, counts[tasks], "ms", at_most=True))
        if tasks == 1_000:
            aims.append(Aim("cancel all of 1,000 by request", all_s, ALL_S, "s", at_most=True))
    head = ("streams", "one cancel, p50 / p99 ms", "all by request, ms", "rounds")
    note = "Until the answer, which comes when no agent works for the task any more."
    return Part("Cancelling", [Table(head, rows, note)], aims)
