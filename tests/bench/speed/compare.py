"""How fast Terzetto is beside what people would write, all measured in turn in one run.

    pip install fastapi 'uvicorn[standard]' aiosqlite
    python tests/bench/speed/compare.py [--rounds 5] [--tasks 300]

A round starts each server of `servers.py` anew and puts the load of `load.py` on it. Printed are the
medians over the rounds, as a table in Markdown: tasks and events per second of the server's CPU time,
what that is relative to each peer, the time to the first event and to the end of a task at several
concurrencies, and the share of a core that the load took. The first line tells what a commit costs on
this disk.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
SERVERS = ("terzetto", "memory", "fastapi", "fastapi-log", "quart")
CONCURRENCIES = (1, 50, 500)
MANY = 50
"""The concurrency at which CPU time is measured."""


def measured(server: str, tasks: int) -> dict[int, dict[str, Any]]:
    """The results of `load.py` by concurrency, with the CPU seconds of the server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "servers.py"), server, folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            url = child.stdout.readline().strip()
            try:
                wait_for(url)
                load(url, 20, 10)  # Warm up.
                return {many: loaded(child.pid, url, tasks, many) for many in CONCURRENCIES}
            finally:
                child.send_signal(signal.SIGKILL)


def wait_for(url: str) -> None:
    """Until the server accepts connections."""
    place = urlsplit(url)
    while True:
        with suppress(ConnectionRefusedError):
            socket.create_connection((place.hostname, place.port)).close()
            return
        time.sleep(0.02)


def loaded(pid: int, url: str, tasks: int, concurrency: int) -> dict[str, Any]:
    before = cpu_s(pid)
    found = load(url, max(tasks, concurrency) if concurrency > 1 else tasks // 3, concurrency)
    return {**found, "server_s": cpu_s(pid) - before}


def load(url: str, tasks: int, concurrency: int) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "load.py"), url, str(tasks), str(concurrency)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def cpu_s(pid: int) -> float:
    """The CPU seconds of a process, to the nanosecond, over all its threads."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9


def commit_ms() -> float:
    """The median milliseconds of an fsync of 4 KiB."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(200):
            begin = time.perf_counter()
            file.write(b"x" * 4_096)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begin)
    return median(times) * 1_000


def tasks_per_cpu_s(round_: dict[int, dict[str, Any]]) -> float:
    found = round_[MANY]
    return len(found["whole_s"]) / float(found["server_s"])


def milliseconds(rounds: list[dict[int, dict[str, Any]]], many: int, what: str) -> str:
    """Median over the rounds of p50 and p99."""
    cuts = [quantiles(round_[many][what], n=100) for round_ in rounds]
    p50, p99 = (median(cut[at] for cut in cuts) * 1_000 for at in (49, 98))
    return f"{p50:.1f} / {p99:.1f}"


def table(found: dict[str, list[dict[int, dict[str, Any]]]]) -> str:
    ours = [tasks_per_cpu_s(one) for one in found["terzetto"]]
    times = [f"{name} at {many}" for many in CONCURRENCIES for name in ("first", "whole")]
    head = ["server", "tasks per CPU s", "events per CPU s", "Terzetto / it", *times, "load's core"]
    lines = [head, ["---"] * len(head)]
    for server, rounds in found.items():
        rates = [tasks_per_cpu_s(one) for one in rounds]
        events = median(one[MANY]["events"] / one[MANY]["server_s"] for one in rounds)
        ratio = median(mine / theirs for mine, theirs in zip(ours, rates, strict=True))
        shares = median(one[MANY]["cpu_s"] / one[MANY]["wall_s"] for one in rounds)
        cells = [
            milliseconds(rounds, many, what)
            for many in CONCURRENCIES
            for what in ("first_s", "whole_s")
        ]
        start = [server, f"{median(rates):.0f}", f"{events:.0f}", f"{ratio:.2f}"]
        lines.append([*start, *cells, f"{shares:.0%}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=300)
    asked = parser.parse_args()
    found: dict[str, list[dict[int, dict[str, Any]]]] = {server: [] for server in SERVERS}
    print(f"An fsync takes {commit_ms():.2f} ms. Times are p50 / p99 in milliseconds.\n")
    for _ in range(asked.rounds):
        for server, rounds in found.items():
            rounds.append(measured(server, asked.tasks))
    print(table(found))


if __name__ == "__main__":
    main()
