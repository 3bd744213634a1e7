"""What a long log costs: the status of its task after a restart, its replay, and memory.

    python tests/bench/long_logs.py [--events 1000 100000 1000000] [--each 1] [--folder /dev/shm]

One task with so many events in the SQLite log, `--each` events in a commit: 1 is what a slow model
makes, 64 what a fast agent makes. Prints the first status after opening, and what a replay takes: of
the pieces of the log in this process, and of `GET /tasks/{id}/events` per second of the server's CPU.
The ratios compare each log with the first, the smallest one.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from processes import in_child, rss_mib, serving

from actors.clock import wall_clock
from actors.journal.follower import Follower
from actors.journal.journal import CommittedView, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.sqlite import open_sqlite_store
from actors.journal.tail import TailBounds
from actors.runtime import spawn
from actors.tasks import events as e
from actors.tasks.failure import Failure

TASK = "7d9f0f6e-0000-4000-8000-000000000001"
PART = "some twenty bytes, ñ "
PARTS = 10_000
"""Parts of one attempt; a text is at most 256 KiB long."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, and bytes of NDJSON. `cpu_s` is the server's for the replay over HTTP."""

    events: int
    bytes: int
    status_s: float
    replay_s: float
    http_s: float
    cpu_s: float
    grown_mib: float


def history(events: int) -> Iterator[e.Event]:
    """A task whose writer fails after each 10,000 parts."""
    step: tuple[str, Any] = ("s1", "writing")
    yield from (e.TaskCreated("frogs"), e.TaskQueued(0, 1), e.TaskStarted(1))
    for n in range(events - 4):
        attempt, part = divmod(n, PARTS)
        if part == 0:
            yield e.StepStarted(*step, 1, 1, "writer", "write", attempt + 1)
        elif part == PARTS - 1:
            failure = Failure("agent_failed", "no")
            yield e.StepRetrying(*step, attempt + 1, attempt + 2, 0.0, failure)
        else:
            yield e.PartialOutput(*step, attempt + 1, PART)
    yield e.TaskFailed(Failure("agent_failed", "no"), "s1", None)


async def build(file: Path, events: int, each: int) -> None:
    async with open_sqlite_store(file) as store, trio.open_nursery() as nursery:
        view = CommittedView(store, TailBounds())
        journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
        ledger = Ledger(journal, TASK, None, wall_clock, Window())
        for n, event in enumerate(history(events), 1):
            ledger.record(event)
            if n % each == 0:
                await ledger.flush()
        await ledger.flush()
        nursery.cancel_scope.cancel()


async def in_process(file: Path) -> tuple[int, float, float, float]:
    """Bytes, seconds to the first status, seconds of the replay, MiB that memory has grown."""
    async with open_sqlite_store(file) as store:
        view = CommittedView(store, TailBounds())
        before, started = rss_mib(), time.perf_counter()
        await view.task(TASK)
        status_s = time.perf_counter() - started
        started, size = time.perf_counter(), 0
        async for piece in await Follower.open(view, TASK):
            size += len(piece.lines)
        return size, status_s, time.perf_counter() - started, rss_mib() - before


def over_http(folder: Path, times: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of one replay, read as fast as it comes; means of so many."""
    with serving("terzetto", folder) as server:
        _replay(server.url)
        before, started = server.cpu_s(), time.perf_counter()
        for _ in range(times):
            _replay(server.url)
        took = time.perf_counter() - started, server.cpu_s() - before
    return took[0] / times, took[1] / times


def _replay(url: str) -> None:
    where = urlsplit(url)
    head = f"GET /tasks/{TASK}/events HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
    with closing(socket.create_connection((where.hostname, where.port))) as client:
        client.sendall(head.encode())
        last, buffer = b"", memoryview(bytearray(1 << 20))
        while read := client.recv_into(buffer):
            last = (last + bytes(buffer[max(0, read - 500) : read]))[-500:]
    assert b"task_failed" in last, last


def measure(folder: Path, events: int, each: int) -> Measured:
    file = folder / "log.db"
    in_child(partial(trio.run, build, file, events, each))
    runs = [in_child(partial(trio.run, in_process, file)) for _ in range(3)]
    size, status_s, replay_s, grown = (statistics.median(run[n] for run in runs) for n in range(4))
    over = over_http(folder, max(1, min(200, 200_000 // events)))
    return Measured(events, int(size), status_s, replay_s, *over, grown)


def tell(one: Measured, first: Measured) -> None:
    mb = one.bytes / 1e6
    print(
        f"{one.events:>9,} events, {mb:6.1f} MB: status {one.status_s * 1e3:8.1f} ms"
        f" ({one.status_s / first.status_s:.1f} times the first), replay {mb / one.replay_s:4.0f} MB/s"
        f" ({one.replay_s / one.events * 1e6:.2f} µs an event), over HTTP {mb / one.http_s:4.0f} MB/s,"
        f" {mb / one.cpu_s:4.0f} MB per CPU s; memory +{one.grown_mib:.1f} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--each", type=int, default=1, help="events in one commit")
    parser.add_argument("--folder", type=Path, help="where the logs are built")
    asked = parser.parse_args()
    first: Measured | None = None
    for events in asked.events:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            one = measure(Path(folder), events, asked.each)
        first = first or one
        tell(one, first)


if __name__ == "__main__":
    main()
