"""Tasks and events per second of the server's CPU, and times by concurrency, beside the peers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from processes import SPEED, Server, serving

from .figures import Aim, Effort, Part, Table, number, of_rounds, p50_p99, ratio
from .machine import fsync_ms
from .plots import lines

SERVERS = ("terzetto", "memory", "fastapi", "fastapi-log", "quart")
AIMS = {"fastapi": 0.5, "fastapi-log": 2.0, "quart": 2.0}
CONCURRENCIES = (1, 50, 500)
MANY = 50
"""The concurrency at which CPU time is measured."""

Round = dict[int, dict[str, Any]]
"""What the load saw, by concurrency; `server_s` is the CPU time of the server."""

Found = dict[str, list[Round]]


def load(url: str, tasks: int, concurrency: int) -> dict[str, Any]:
    command = [sys.executable, str(SPEED / "load.py"), url, str(tasks), str(concurrency)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def measured(server: Server, tasks: int, concurrency: int) -> dict[str, Any]:
    """What the load saw, with the CPU seconds of the server."""
    before = server.cpu_s()
    found = load(server.url, tasks, concurrency)
    return {**found, "server_s": server.cpu_s() - before}


def one_round(name: str, tasks: int) -> Round:
    with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder)) as server:
        load(server.url, 50, 10)  # Warm up.
        counts = {many: max(tasks, many) if many > 1 else tasks // 3 for many in CONCURRENCIES}
        return {many: measured(server, count, many) for many, count in counts.items()}


def of_all(rounds: list[Round], many: int, what: str) -> list[list[float]]:
    return [one[many][what] for one in rounds]


def per_cpu_s(rounds: list[Round]) -> list[float]:
    """Tasks per second of the server's CPU, in each round."""
    return [len(one[MANY]["whole_s"]) / one[MANY]["server_s"] for one in rounds]


def rates(found: Found) -> Table:
    rows = []
    for name, rounds in found.items():
        tasks = per_cpu_s(rounds)
        events = median(one[MANY]["events"] / one[MANY]["server_s"] for one in rounds)
        beside = ratio(per_cpu_s(found["terzetto"]), tasks)
        rows.append([name, number(median(tasks)), number(events), f"{beside:.2f}"])
    note = f"At concurrency {MANY}, the CPU of all threads of the server."
    head = ("server", "tasks per CPU s", "events per CPU s", "Terzetto / it")
    return Table(head, rows, note)


def times(found: Found, fsync: float) -> Table:
    columns = [(what, many) for many in CONCURRENCIES for what in ("first_s", "whole_s")]
    named = {"first_s": "first event", "whole_s": "whole task"}
    rows = [
        [name, *(p50_p99(of_all(rounds, many, what)) for what, many in columns)]
        for name, rounds in found.items()
    ]
    head = ["server", *(f"{named[what]} at {many}" for what, many in columns)]
    return Table(head, rows, f"p50 / p99 in milliseconds. An fsync took {fsync:.2f} ms meanwhile.")


def shares(found: Found) -> Table:
    """That the load is not what limits the servers."""
    rows = [
        [name, *(load_share([one[many] for one in rounds]) for many in CONCURRENCIES)]
        for name, rounds in found.items()
    ]
    head = ("load generator", *(f"at {many}" for many in CONCURRENCIES))
    note = (
        "The share of a core that it took; in brackets its CPU time beside the server's, which is "
        "its share if the server has a core of its own."
    )
    return Table(head, rows, note)


def load_share(seen: Sequence[dict[str, Any]]) -> str:
    of_core = median(one["cpu_s"] / one["wall_s"] for one in seen)
    of_server = median(one["cpu_s"] / one["server_s"] for one in seen)
    return f"{of_core:.0%} ({of_server:.0%})"


def plot(found: Found, title: str, what: str) -> str:
    curves = {
        f"{name} p{share * 100:.0f}": [
            of_rounds(of_all(rounds, many, what), share) * 1e3 for many in CONCURRENCIES
        ]
        for name, rounds in found.items()
        for share in (0.5, 0.99)
    }
    steps = [f"{many} at once" for many in CONCURRENCIES]
    return lines(title, "ms", steps, curves)


def aims(found: Found) -> list[Aim]:
    ours = found["terzetto"]
    beside = [
        Aim(f"tasks per CPU second, to {name}", ratio(per_cpu_s(ours), per_cpu_s(found[name])), aim)
        for name, aim in AIMS.items()
    ]
    alone = {what: of_rounds(of_all(ours, 1, what), 0.5) * 1e3 for what in ("first_s", "whole_s")}
    return [
        *beside,
        Aim("first event at concurrency 1, p50", alone["first_s"], 1.2, "ms", at_most=True),
        Aim("whole task at concurrency 1, p50", alone["whole_s"], 2.5, "ms", at_most=True),
    ]


def measure(effort: Effort) -> Part:
    found: Found = {name: [] for name in SERVERS}
    fsyncs = []
    for _ in range(effort.rounds):
        fsyncs.append(fsync_ms())
        for name, rounds in found.items():
            rounds.append(one_round(name, effort.of(300, 60)))
    tables = [rates(found), times(found, median(fsyncs)), shares(found)]
    plots = {
        "first_event.svg": plot(found, "Time to the first event", "first_s"),
        "whole_task.svg": plot(found, "Time of a whole task", "whole_s"),
    }
    return Part("Streamed tasks", tables, aims(found), plots)
