"""Tasks per second of server CPU, over real HTTP with the log on disk.

    python tests/bench/http_tasks.py [--tasks 300] [--concurrency 50] [--rounds 2] [--pause 0]

A real server process with scripted agents (no thinking, 20 parts of text) and the SQLite log; each
task is created, executed, and its stream read to the end. The same in memory tells what the disk
costs, and the same over Hypercorn's and quart-trio's own classes what our server saves: as ratios in
one run, taken in turn so that a busy machine is unfair to all alike.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PARTS = 20
PLACES = {
    "memory": "log in memory",
    "disk": "log on disk",
    "stock": "log in memory, stock server",
}


async def client(url: str, tasks: int, concurrency: int) -> float:
    """Run the tasks; the wall-clock seconds it took."""
    left = iter(range(tasks))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:

        async def worker() -> None:
            for _ in left:
                created = await http.post("/tasks", json={"task_description": "frogs"})
                log = await http.post(f"/tasks/{created.json()['task_id']}/execute")
                assert log.text.splitlines()[-1].startswith('{"seq":'), log.text

        started = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(concurrency):
                nursery.start_soon(worker)
        return time.perf_counter() - started


async def serve(folder: Path | None, pause_s: float, stock: bool, ready: int, done: int) -> None:
    from conftest import serving
    from http_raw import stock_serve
    from quart_trio.asgi import TrioASGIHTTPConnection
    from quart_trio.wrappers import TrioRequest
    from scripted import Cast, scripted_system

    from actors.settings import Settings

    cast = Cast(parts=[f"This is sentence number {n}. [1] " for n in range(PARTS)], pause_s=pause_s)
    async with scripted_system(cast, settings=Settings(data_dir=folder)) as system:
        server: dict[str, Any] = (
            {
                "serve": stock_serve,
                "http_class": TrioASGIHTTPConnection,
                "request_class": TrioRequest,
            }
            if stock
            else {}
        )
        async with serving(system, **server) as http:
            os.write(ready, str(http.base_url).encode())
            await trio.lowlevel.wait_readable(done)


def server_of(folder: Path | None, pause_s: float, *, stock: bool) -> tuple[int, str, int]:
    """A child process that serves until its pipe is closed: pid, URL, pipe."""
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(done_write)
        trio.run(serve, folder, pause_s, stock, ready_write, done_read)
        os._exit(0)
    os.close(done_read)
    return pid, os.read(ready_read, 200).decode(), done_write


def measure(place: str, tasks: int, concurrency: int, pause_s: float) -> tuple[float, float]:
    """CPU seconds of the server and wall-clock seconds, for all tasks."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) if place == "disk" else None
        pid, url, done = server_of(chosen, pause_s, stock=place == "stock")
        return _measure(pid, url, done, tasks, concurrency)


def _measure(pid: int, url: str, done: int, tasks: int, concurrency: int) -> tuple[float, float]:
    trio.run(client, url, 20, concurrency)  # Warm up.
    before = _cpu_of(pid)
    wall = trio.run(client, url, tasks, concurrency)
    cpu = _cpu_of(pid) - before
    os.close(done)
    os.waitpid(pid, 0)
    return cpu, wall


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each part of text")
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    spent: dict[str, list[float]] = {place: [0.0, 0.0] for place in PLACES}
    for _ in range(asked.rounds):
        for place, sums in spent.items():
            cpu, wall = measure(place, asked.tasks, asked.concurrency, asked.pause)
            sums[0] += cpu
            sums[1] += wall
    tasks = asked.tasks * asked.rounds
    for place, (cpu, wall) in spent.items():
        print(
            f"{PLACES[place]:32}: {tasks / cpu:6.0f} tasks per second of server CPU,"
            f" {tasks / wall:6.0f} per second of wall clock"
        )
    print(f"disk / memory: {spent['memory'][0] / spent['disk'][0]:.2f}")
    print(f"ours / stock:  {spent['stock'][0] / spent['memory'][0]:.2f}")


if __name__ == "__main__":
    main()
