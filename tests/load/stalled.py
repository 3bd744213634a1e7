"""What readers who do not read cost: memory, and the time it takes to stop.

    python tests/load/stalled.py [--readers 1000] [--logs 4] [--idle 2000] [--stock]

A real server process with its log on disk holds a few finished tasks, each with a log of megabytes.
Readers ask for them and read nothing, each over a connection of its own; more clients keep idle
connections. Then one of the readers wakes up and reads everything, and the server gets SIGTERM with
all of them connected. Everything is on 127.0.0.1 and ends by itself. `--stock` serves with
Hypercorn's and quart-trio's own classes, for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx

sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (1, 2)]

ATTEMPTS = 16
PARTS = ["frogs sing at night, " * 190 for _ in range(60)]
WAIT_S = 120
"""A hang guard for each of the steps below."""


def serve(folder: str, logs: int, readers: int, stock: bool) -> None:
    """The server process: `terzetto serve`, with agents that follow a script."""
    from scripted import Cast, NoLibrary

    import web.api.app
    import web.server
    from actors.errors import AgentFailed
    from actors.system import open_system
    from web.settings.model import ServerSettings

    attempts = [*([AgentFailed("not yet")] * (ATTEMPTS - 1)), None]
    cast = Cast(parts=PARTS, act_after=len(PARTS), writes=attempts * logs)
    changed: Any = web.server
    changed.open_system = partial(open_system, library=NoLibrary(), agents=cast.factories())
    if stock:
        use_stock_server()
    settings = ServerSettings(
        data_dir=Path(folder),
        bind="127.0.0.1:0",
        retry_delays_s=(0.0,) * (ATTEMPTS - 1),
        max_streams_per_client=readers + 10,
        write_timeout_s=3_600,
        grace_s=5,
    )
    os._exit(web.server.run(settings))


def use_stock_server() -> None:
    """What `web.server` did before it had a server of its own."""
    from hypercorn.config import Config
    from hypercorn.trio import serve as stock_serve
    from quart_trio.asgi import TrioASGIHTTPConnection
    from quart_trio.wrappers import TrioRequest

    import web.api.app
    import web.server

    async def serve_app(app: Any, settings: Any, *, table: Any = None, **more: Any) -> None:
        config = Config()
        config.bind = [settings.bind]
        config.graceful_timeout = 1.0
        config.keep_alive_max_requests = 1_000_000
        await stock_serve(app, config, **more)

    changed: Any = web.server
    changed.serve_app = serve_app
    changed_app: Any = web.api.app
    changed_app.HttpConnection = TrioASGIHTTPConnection
    changed_app.BodyRequest = TrioRequest


def end_with(parent: int) -> None:
    """Let no server outlive the script that made it."""
    os.read(parent, 1)
    os._exit(1)


class Process:
    """The server, seen from outside."""

    def __init__(self, folder: str, asked: argparse.Namespace) -> None:
        watched, self._alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._alive)
            threading.Thread(target=end_with, args=(watched,), daemon=True).start()
            serve(folder, asked.logs, asked.readers, asked.stock)
        announced = Path(folder) / "server.json"
        until = time.monotonic() + WAIT_S
        while not announced.exists() and time.monotonic() < until:
            time.sleep(0.05)
        self.url = str(json.loads(announced.read_text())["url"])

    def memory(self, name: str = "VmRSS") -> float:
        """Megabytes in memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise AssertionError(name)

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it has nothing left to do."""
        quiet, last = 0, -1.0
        until = time.monotonic() + WAIT_S
        while quiet < 4 and time.monotonic() < until:
            time.sleep(0.25)
            quiet = quiet + 1 if self.cpu_s() - last < 0.02 else 0
            last = self.cpu_s()

    def stop(self) -> tuple[float, bool]:
        """SIGTERM; the seconds it took to end, and whether it ended by itself."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        while time.monotonic() - began < 30:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return time.monotonic() - began, True
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return time.monotonic() - began, False


def make_logs(http: httpx.Client, logs: int) -> list[tuple[str, bytes]]:
    """So many finished tasks: the target of each one's stream, and the bytes of its log."""
    found = []
    for _ in range(logs):
        task_id = http.post("/tasks", json={"task_description": "frogs"}).json()["task_id"]
        http.post(f"/tasks/{task_id}/execute")
        target = f"/tasks/{task_id}/events"
        found.append((target, http.get(target).content))
    return found


def ask(url: httpx.URL, target: str) -> socket.socket:
    client = socket.create_connection((url.host, url.port or 80), timeout=WAIT_S)
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
    return client


def read_rest(client: socket.socket) -> bytes:
    """The body of a chunked response, to its end."""
    from http.client import HTTPResponse

    response = HTTPResponse(client)
    response.begin()
    return response.read()


async def rests(url: httpx.URL, count: int) -> list[Any]:
    """Connections with one answered request each."""
    found = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"ok")
        found.append(writer)
    return found


def report(process: Process, asked: argparse.Namespace) -> None:
    url = httpx.URL(process.url)
    with httpx.Client(base_url=url, timeout=WAIT_S) as http:
        logs = make_logs(http, asked.logs)
        size = len(logs[0][1]) / 2**20
        for target, _ in logs * 4:  # What reading costs by itself stays out of the account.
            http.get(target)
        began = time.monotonic()
        http.get(logs[0][0])
        print(f"one reader alone: {size / (time.monotonic() - began):.0f} MiB/s")
        process.settle()
        before = process.memory()
        readers = [ask(url, logs[n % len(logs)][0]) for n in range(asked.readers)]
        process.settle()
        stalled = process.memory()
        each = (stalled - before) / asked.readers * 1024
        print(
            f"{asked.readers} stalled readers of logs of {size:.1f} MiB: {before:.1f} MiB before,"
            f" {stalled:.1f} MiB with them, {stalled - before:.1f} MiB more, {each:.1f} KiB each"
        )
        gauges = http.get("/health").json()["gauges"]
        print({name: gauges[name] for name in sorted(gauges)})
        idle = asyncio.run(with_idle(process, url, asked.idle))
        began = time.monotonic()
        whole = read_rest(readers[1])
        same = hashlib.sha256(whole).digest() == hashlib.sha256(logs[1 % len(logs)][1]).digest()
        print(f"one of them reads on: {time.monotonic() - began:.2f} s, exact: {same}")
        took_s, by_itself = process.stop()
        print(f"SIGTERM with all of them connected: {took_s:.2f} s, by itself: {by_itself}")
        assert idle is None and len(readers) == asked.readers


async def with_idle(process: Process, url: httpx.URL, count: int) -> None:
    before = process.memory()
    opened = await rests(url, count)
    process.settle()
    more = process.memory() - before
    if count:
        print(f"{count} idle connections: {more:.1f} MiB more, {more / count * 1024:.1f} KiB each")
    for writer in opened:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=1_000)
    parser.add_argument("--logs", type=int, default=4)
    parser.add_argument("--idle", type=int, default=2_000)
    parser.add_argument("--stock", action="store_true")
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    with tempfile.TemporaryDirectory() as folder:
        report(Process(folder, asked), asked)


if __name__ == "__main__":
    main()
