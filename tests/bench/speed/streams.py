"""Memory of an open stream whose task is executing, beside the peers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from processes import SPEED, serving

from .figures import Aim, Effort, Part, Table, number, ratio
from .throughput import load

SERVERS = ("terzetto", "fastapi", "quart")
COUNTS = (1_000, 5_000)
AIM = 1.5


def idle_mib(name: str) -> float:
    """A server that has worked and has no streams, with few workers."""
    with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder)) as server:
        load(server.url, 50, 10)
        return server.rss_mib()


def of_stream(name: str, count: int, idle: float) -> tuple[float, float]:
    """KiB of a stream when so many are open, and what is left of it after all were closed.

    The growth is that since `idle`, so that it includes the worker that each task has.
    """
    flags = ("--open", str(count))
    with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder), *flags) as server:
        before = server.rss_mib()
        command = [sys.executable, str(SPEED / "holding.py"), server.url, str(count)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as client:
            assert client.stdin and client.stdout
            are_open = int(client.stdout.readline())
            if are_open != count:
                raise RuntimeError(f"{name}: {are_open} of {count} streams are open")
            grown = server.rss_mib() - idle
            client.stdin.close()
        left = server.rss_mib() - before
        return grown / count * 1024, left / count * 1024


def one_round(name: str, counts: Sequence[int]) -> list[float]:
    """KiB of a stream at each count; and left of it, after the last."""
    idle = idle_mib(name)
    found = [of_stream(name, count, idle) for count in counts]
    return [*(grown for grown, _ in found), found[-1][1]]


def measure(effort: Effort) -> Part:
    counts = (100, 300) if effort.quick else COUNTS
    found: dict[str, list[list[float]]] = {name: [] for name in SERVERS}
    for _ in range(effort.rounds):
        for name, rounds in found.items():
            rounds.append(one_round(name, counts))
    figures = [*(f"{count:,} open" for count in counts), "left after all were closed"]
    rows, beside = [], {}
    for n, figure in enumerate(figures):
        kib = {name: [one[n] for one in rounds] for name, rounds in found.items()}
        beside[figure] = ratio(kib["terzetto"], kib["fastapi"])
        cells = [number(median(kib[name])) for name in SERVERS]
        rows.append([figure, *cells, f"{beside[figure]:.2f}"])
    head = ("KiB for each stream", *SERVERS, "Terzetto / FastAPI")
    note = "The growth of the resident memory of the server, measured when it has nothing to do."
    aims = [
        Aim(f"memory of a stream, {figure}, to FastAPI's", beside[figure], AIM, at_most=True)
        for figure in figures[:-1]
    ]
    return Part("Memory of open streams", [Table(head, rows, note)], aims)
