"""Where the server's CPU time goes for a streamed task: samples of its event loop, by the package.

`count_layers(file)` runs in the server: at each millisecond of CPU it looks whose code the event loop
executes. The standard library and the smaller packages count as the code that called them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

from processes import serving, threads_cpu_s

from .figures import Effort, Part, Table, number
from .throughput import MANY, load

SAMPLE_S = 0.001
WAIT_S = 20.0

LAYERS = {
    "/site-packages/trio/": "Trio",
    "/site-packages/h11/": "h11",
    "/web/http/": "HTTP connections (`web/http`)",
    "/web/": "keys, routes, responses (`web/access`, `web/api`)",
    "/actors/runs/": "runs and the supervisor (`actors/runs`)",
    "/actors/runtime/": "actors and their mailboxes (`actors/runtime`)",
    "/actors/journal/": "ledgers, journal, readers (`actors/journal`)",
    "/actors/sqlite": "ledgers, journal, readers (`actors/journal`)",
    "/actors/tasks/": "events and the states of tasks (`actors/tasks`)",
    "/actors/clock": "events and the states of tasks (`actors/tasks`)",
    "/actors/testing/": "the scripted agents",
}
OTHERS = "others"


def layer_of(frame: FrameType | None) -> str:
    while frame:
        file = frame.f_code.co_filename
        for part, layer in LAYERS.items():
            if part in file:
                return layer
        frame = frame.f_back
    return OTHERS


def count_layers(file: Path) -> None:
    """Count from SIGUSR1 on, and write the counts to `file` at SIGUSR2."""
    counts: Counter[str] = Counter()

    def sample(signum: int, frame: FrameType | None) -> None:
        counts[layer_of(frame)] += 1

    def begin(signum: int, frame: FrameType | None) -> None:
        counts.clear()
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    def end(signum: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(counts))
        unfinished.rename(file)

    for signum, handler in (
        (signal.SIGPROF, sample),
        (signal.SIGUSR1, begin),
        (signal.SIGUSR2, end),
    ):
        signal.signal(signum, handler)


def one_round(tasks: int) -> tuple[float, dict[str, float]]:
    """Microseconds of CPU for a task, and the share of each layer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "layers.json"
        flags = ("--layers", str(file))
        with serving("terzetto", Path(folder), *flags) as server:
            load(server.url, 50, 10)  # Warm up.
            before = threads_cpu_s(server.pid)
            load(server.url, tasks, MANY)  # Without sampling, which costs time itself.
            after = threads_cpu_s(server.pid)
            os.kill(server.pid, signal.SIGUSR1)
            load(server.url, tasks, MANY)
            os.kill(server.pid, signal.SIGUSR2)
            counts = written(file)
    used = {thread: took - before.get(thread, 0.0) for thread, took in after.items()}
    total = sum(used.values())
    loop = used[server.pid] / total
    shares = {layer: loop * n / sum(counts.values()) for layer, n in counts.items()}
    return total / tasks * 1e6, {**shares, "threads that commit": 1 - loop}


def written(file: Path) -> dict[str, int]:
    until = time.monotonic() + WAIT_S
    while not file.exists():
        if time.monotonic() > until:
            sys.exit("The server has written no samples.")
        time.sleep(0.05)
    counts: dict[str, Any] = json.loads(file.read_text())
    return counts


def measure(effort: Effort) -> Part:
    rounds = [one_round(effort.of(1_500, 200)) for _ in range(effort.rounds)]
    cost = median(one[0] for one in rounds)
    layers = sorted({layer for _, shares in rounds for layer in shares})
    share = {layer: median(one[1].get(layer, 0.0) for one in rounds) for layer in layers}
    rows = [
        [layer, f"{share[layer]:.0%}", number(share[layer] * cost)]
        for layer in sorted(layers, key=lambda layer: -share[layer])
    ]
    head = ("code", "share", "µs of a task")
    note = f"At concurrency {MANY}; a task takes {number(cost)} µs of CPU in all."
    return Part("Where the CPU time of a streamed task goes", [Table(head, rows, note)])
