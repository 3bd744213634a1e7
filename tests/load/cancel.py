"""The load test of cancellation: N streaming tasks over real sockets, cancelled in every way.

    python -m tests.load.cancel [--tasks 1000] [--singles 200] [--pause 2.0] [--only singles ...]

A server process with the log on disk; a client process, this one, with a connection for each
stream. Scenarios, each with N tasks of its own: `singles` (one cancel after another while all the
others stream), `request` (all of them at once), `disconnect` (all clients hang up at once),
`deadline` (all run out of time), and at last `shutdown` (SIGTERM).

It prints how long a cancel takes, seen from the client and inside the server; how long until the
last one has been answered; the worst stall of the server's loop, by the clock and by the processor,
which differ when others use this machine; and Trio tasks, objects and memory before and after. It
ends with 1 if an agent worked after a cancel was answered, a run has not exactly one ending, or
something was left behind; never because of a time.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import trio

from actors.journal.sqlite import open_sqlite_store
from actors.testing import check_log

from .client import Connection, Stream
from .process import WAIT_S, Failed, Server
from .result import Result, additions_per_us, report

T = TypeVar("T")

SCENARIOS = ("singles", "request", "disconnect", "deadline", "shutdown")

OPENING = 64
"""How many streams are opened at the same time."""

SAMPLE = 20
"""How many logs of a scenario are read from beginning to end."""

QUIET_S = 10.0
"""What still runs after so long, although nothing is left to do, was left behind."""

LEFT_BEHIND = 0.5
"""More objects of a kind than that for each task are a leak; caches and threads move a little."""

MOVES = 50
"""So many objects of a kind may always come or go."""


class LoadTest:
    """All scenarios against one server."""

    def __init__(
        self,
        folder: Path,
        tasks: int,
        singles: int,
        pause_s: float,
        *,
        blame: bool = False,
    ) -> None:
        self.results: list[Result] = []
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        self._tasks, self._singles, self._pause_s = tasks, min(singles, tasks), pause_s
        self._server = Server(self._data, tasks, pause_s, blame=blame)
        self._address = ("", 0)
        self._idle_tasks = 0
        self._unfinished = 0

    async def run(self, scenarios: Sequence[str]) -> None:
        try:
            self._address = await self._server.address()
            self._idle_tasks = (await self._server.ask("writing"))["tasks"]
            await self._warm_up()
            for name in scenarios:
                await getattr(self, name)()
        finally:
            self._server.close()

    # --- scenarios --------------------------------------------------------------------------

    async def singles(self) -> None:
        async with self._scenario("singles") as (result, streams):
            connection = await Connection.to(self._address)
            for stream in Random(1).sample(streams, self._singles):
                result.client_s.append(await self._cancel(connection, stream.task_id))
            connection.close()
            await self._marks(result)
            await self._cancel_all(streams)  # The rest; for some it is the second time.
        await self._check(result, streams, "cancelled")

    async def request(self) -> None:
        async with self._scenario("request") as (result, streams):
            result.client_s, result.all_s = await self._cancel_all(streams)
            await self._marks(result)
        result.ended_s = max(s.ended_at or 0.0 for s in streams) - result.started
        await self._check(result, streams, "cancelled")

    async def disconnect(self) -> None:
        async with self._scenario("disconnect", "?on_disconnect=cancel") as (result, streams):
            for stream in streams:
                stream.hang_up()
            await self._server.until(lambda told: told["running_tasks"] == 0)
            result.all_s = time.perf_counter() - result.started
            await self._marks(result)
        await self._check(result, streams, "cancelled", read=False)

    async def deadline(self) -> None:
        deadline_s = max(2.0, self._tasks / 100)
        async with self._scenario("deadline", deadline_s=deadline_s) as (result, streams):
            with trio.fail_after(WAIT_S):
                while any(stream.ended_at is None for stream in streams):
                    await trio.sleep(0.02)
            await self._marks(result)
        await self._check(result, streams, "failed")

    async def shutdown(self) -> None:
        async with self._scenario("shutdown", leaves=False) as (result, streams):
            self._server.process.send_signal(signal.SIGTERM)
            code = await self._server.ended()
            result.all_s = time.perf_counter() - result.started
        _must(code == 0, f"the server ended with {code}")
        closed = Counter(b'"stream_closing"' in s.end and b"draining" in s.end for s in streams)
        _must(closed == {True: len(streams)}, f"told that the server stops: {closed}")
        async with open_sqlite_store(self._data / "log.db") as store:
            executing = (await store.counts("executing")).total()
            _must(executing == len(streams), f"executing in the log: {executing}")
            for stream in _sample(streams):
                log = b""
                while piece := await store.read(stream.task_id, log.count(b"\n")):
                    log += piece.lines
                _must(check_log(log) == "executing", "a task that was stopped has an ending")

    # --- what they are made of --------------------------------------------------------------

    async def _warm_up(self) -> None:
        """Every worker has worked once, and all is there that is made only once."""
        streams = await self._created(self._tasks)
        async with trio.open_nursery() as nursery:
            await self._open(nursery, streams, "?on_disconnect=cancel")
            await self._server.until(lambda told: told["writing"] == self._tasks)
            await self._cancel_all(streams[:OPENING])
            for stream in streams[OPENING:]:
                stream.hang_up()
            await self._server.until(lambda told: told["running_tasks"] == 0)

    @asynccontextmanager
    async def _scenario(
        self, name: str, query: str = "", deadline_s: float | None = None, leaves: bool = True
    ) -> AsyncIterator[tuple[Result, list[Stream]]]:
        """N tasks that stream; the block cancels them, and then all must be as it was before."""
        result = Result(name, speed=additions_per_us())
        self.results.append(result)
        result.before = await self._quiet()
        await self._server.ask("reset")
        async with trio.open_nursery() as nursery:
            streams = await self._created(self._tasks, deadline_s)
            await self._open(nursery, streams, query)
            if deadline_s is None:
                await self._server.until(lambda told: told["writing"] == self._tasks)
                await trio.sleep(min(3.0, 3 * self._pause_s))
            await self._server.ask("reset")
            result.started = time.perf_counter()
            yield result, streams
            with trio.fail_after(WAIT_S):
                while any(stream.ended_at is None for stream in streams):
                    await trio.sleep(0.01)
        if leaves:
            result.after = await self._quiet()

    async def _quiet(self) -> dict[str, Any]:
        """What lives in the server once it has nothing to do; given up after a while."""
        with trio.move_on_after(QUIET_S):
            await self._server.until(lambda told: told["tasks"] == self._idle_tasks)
        return await self._server.ask("figures")

    async def _created(self, count: int, deadline_s: float | None = None) -> list[Stream]:
        body: dict[str, Any] = {"task_description": "frogs"}
        if deadline_s is not None:
            body["deadline_s"] = deadline_s

        async def create(connection: Connection, _: int) -> Stream:
            status, created = await connection.ask("POST", "/tasks", body)
            _must(status == 201, f"a creation was answered with {status}: {created}")
            return Stream(created["task_id"])

        return await self._over(32, range(count), create)

    async def _open(self, nursery: trio.Nursery, streams: list[Stream], query: str) -> None:
        opening = trio.CapacityLimiter(OPENING)

        async def read(stream: Stream) -> None:
            async with opening:
                await stream.open(self._address, query)
            await stream.drain()

        for stream in streams:
            nursery.start_soon(read, stream)
        with trio.fail_after(WAIT_S):
            while any(stream.socket is None or not stream.bytes for stream in streams):
                await trio.sleep(0.01)

    async def _cancel_all(self, streams: Sequence[Stream]) -> tuple[list[float], float]:
        """A connection for each cancel, all open before the first is sent."""

        async def cancel(connection: Connection, stream: Stream) -> float:
            return await self._cancel(connection, stream.task_id)

        started: list[float] = []
        took = await self._over(len(streams), streams, cancel, started.append)
        return took, time.perf_counter() - started[0]

    async def _cancel(self, connection: Connection, task_id: str) -> float:
        asked = time.perf_counter()
        while True:
            status, task = await connection.ask("POST", f"/tasks/{task_id}/cancel")
            if task.get("code") != "cancel_unfinished":
                break
            self._unfinished += 1  # It took longer than `cancel_timeout_s`, and goes on.
        took = time.perf_counter() - asked
        _must(status == 200 and task["status"] == "cancelled", f"cancel: {status} {task}")
        return took

    async def _over(
        self,
        connections: int,
        items: Iterable[Any],
        deed: Callable[[Connection, Any], Awaitable[T]],
        starts: Callable[[float], None] = lambda _: None,
    ) -> list[T]:
        """Do it for each item over that many connections."""
        opened = [await Connection.to(self._address) for _ in range(connections)]
        left, done = iter(items), []

        async def work(connection: Connection) -> None:
            for item in left:
                done.append(await deed(connection, item))
            connection.close()

        starts(time.perf_counter())
        async with trio.open_nursery() as nursery:
            for connection in opened:
                nursery.start_soon(work, connection)
        return done

    async def _marks(self, result: Result) -> None:
        result.unfinished, self._unfinished = self._unfinished, 0
        result.marks = await self._server.ask("marks")
        result.server_s = result.marks.pop("cancels_s")

    async def _check(
        self, result: Result, streams: list[Stream], status: str, *, read: bool = True
    ) -> None:
        """What must hold whatever the times are."""
        late = (await self._server.ask("marks"))["late"]
        _must(not late, f"{len(late)} agents worked after the answer, first: {late[:1]}")
        if read:
            endings = Counter(stream.endings for stream in streams)
            _must(endings == {1: len(streams)}, f"endings in a stream: {endings}")
        connection = await Connection.to(self._address)
        for stream in _sample(streams):
            told, task = await connection.ask("GET", f"/tasks/{stream.task_id}/status")
            _must(told == 200 and task["status"] == status, f"{task['status']}, not {status}")
            log = await _whole_log(self._address, stream.task_id)
            _must(check_log(log) == status, "the log says otherwise")
        connection.close()
        before, after = result.before, result.after
        tasks = after["tasks"] - before["tasks"]
        _must(tasks == 0, f"{tasks} Trio tasks were left behind")
        more = Counter(after["kinds"]) - Counter(before["kinds"])
        most = MOVES + LEFT_BEHIND * len(streams)
        leaks = {kind: count for kind, count in more.items() if count > most}
        _must(not leaks, f"objects were left behind: {leaks}")


async def _whole_log(address: tuple[str, int], task_id: str) -> bytes:
    """The log as an ended stream has it, taken out of its chunks."""
    stream = Stream(task_id)
    kept = bytearray()
    stream.taken = kept.extend
    await stream.open(address)
    await stream.drain()
    body, log = bytes(kept), b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        log += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return log


def _sample(streams: list[Stream]) -> list[Stream]:
    return Random(2).sample(streams, min(SAMPLE, len(streams)))


def _must(true: bool, what: str) -> None:
    if not true:
        raise Failed(what)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.cancel", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between a task's parts")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    parser.add_argument(
        "--blame", action="store_true", help="print the task steps of the worst stall"
    )
    asked = parser.parse_args()
    gc.disable()  # What the pauses of the client itself take is not the server's.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(
        f"{asked.tasks} tasks, a part of text every {asked.pause:g} s each; load {os.getloadavg()}"
    )
    with tempfile.TemporaryDirectory(prefix="terzetto-load-") as folder:
        test = LoadTest(
            Path(folder),
            asked.tasks,
            asked.singles,
            asked.pause,
            blame=asked.blame,
        )
        try:
            trio.run(test.run, asked.only)
        finally:
            for result in test.results:
                print(report(result), flush=True)
            print((Path(folder) / "server.log").read_text()[-2000:], file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
