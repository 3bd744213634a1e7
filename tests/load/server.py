"""The server of the load test: the product's own, with agents that never end, and gauges inside.

Run by `tests.load.cancel` in a process of its own; one argument is the file descriptor of a socket
on which it is asked, a JSON line each way: "figures", "reset", "marks" and "writing".

Rule: what the gauges see is the server's. Nothing of the driver runs in here.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import trio

import web.server
from actors.errors import ActorError
from actors.journal.log import Append, Position, Store
from actors.messages import Write
from actors.runtime import Call
from actors.system import System, open_system
from actors.tasks.life import Task
from actors.testing import NoLibrary, Script, ScriptedAnalyzer, ScriptedRetriever
from web.settings.model import ServerSettings

from .gauges import Blame, Stalls, figures


class Watch(Script):
    """Which tasks agents work for; none may work once the task's cancel has been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work: Counter[str] = Counter()
        self.writing: set[str] = set()
        self.answered: set[str] = set()
        self.late: list[str] = []
        self.cancels_s: list[float] = []
        self.commits: list[tuple[float, int]] = []

    @asynccontextmanager
    async def attempt(self, key: str) -> AsyncIterator[None]:
        task_id = key.partition("/")[0]
        self.works(task_id)
        self.at_work[task_id] += 1
        try:
            yield
        finally:
            self.at_work[task_id] -= 1
            if not self.at_work[task_id]:
                del self.at_work[task_id]

    def works(self, task_id: str) -> None:
        """An agent does something for this task, now."""
        if task_id in self.answered:
            self.late.append(f"worked for {task_id} after its cancel had been answered")

    def watch(self, system: System) -> None:
        """From now on every cancel is timed, and checked at the moment of its answer."""
        real = system.cancel

        async def cancel(task_id: str, reason: str | None = None) -> Task:
            asked = time.perf_counter()
            task = await real(task_id, reason)
            self.cancels_s.append(time.perf_counter() - asked)
            self.answered.add(task_id)
            if task_id in self.at_work:
                self.late.append(f"an agent worked for {task_id} when its cancel was answered")
            return task

        system.cancel = cancel  # type: ignore[method-assign]

    def watch_commits(self, store: Store) -> None:
        """From now on every commit is timed."""
        real = store.append

        async def append(group: Sequence[Append]) -> list[Position | ActorError]:
            begun = time.perf_counter()
            outcomes = await real(group)
            self.commits.append((time.perf_counter() - begun, len(group)))
            return outcomes

        store.append = append  # type: ignore[method-assign]

    def reset(self) -> None:
        self.commits.clear()
        self.writing.clear()
        self.answered.clear()
        self.cancels_s.clear()


class EndlessWriter:
    """Writes a sentence every `pause_s` seconds, half as much more or less, without end."""

    name, does = "writer", "writes until it is cancelled"

    def __init__(self, watch: Watch, pause_s: float) -> None:
        self._watch, self._pause_s = watch, pause_s

    async def handle(self, request: Write, call: Call[Any]) -> None:
        task_id = request.key.partition("/")[0]
        rng = Random(request.key)
        async with self._watch.attempt(request.key):
            number = 0
            while True:
                await trio.sleep(self._pause_s * rng.uniform(0.5, 1.5))
                self._watch.works(task_id)
                number += 1
                await call.part(f"This is sentence number {number}. [1] ")
                self._watch.writing.add(task_id)


async def answer(asked: socket.socket, system: System, watch: Watch, stalls: Stalls) -> None:
    """Answer the driver until it is gone."""
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(asked))
    rest = b""
    while data := await stream.receive_some():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            told: dict[str, Any] = {}
            match json.loads(line):
                case "reset":
                    watch.reset()
                    stalls.reset()
                case "marks":
                    told = {**stalls.told(), "cancels_s": watch.cancels_s, "late": watch.late}
                    told["commits"] = watch.commits
                case "writing":
                    told = {"writing": len(watch.writing), "working": len(watch.at_work)}
                    told["tasks"] = trio.lowlevel.current_statistics().tasks_living
                    told |= system.gauges()
                case "figures":
                    system._view._idle.clear()  # A cache with a bound of its own.
                    told = figures()
            await stream.send_all(json.dumps(told).encode() + b"\n")


def serve(
    folder: Path, tasks: int, pause_s: float, grace_s: float, asked: socket.socket, *, blame: bool
) -> int:
    """Until it is stopped by a signal; its exit code."""
    watch, stalls = Watch(), Blame() if blame else Stalls()
    agents: dict[str, Any] = {
        "analyzer": lambda: ScriptedAnalyzer(watch, watch),
        "retriever": lambda: ScriptedRetriever(watch),
        "writer": lambda: EndlessWriter(watch, pause_s),
    }

    library: Any = NoLibrary()

    @asynccontextmanager
    async def opened(settings: ServerSettings) -> AsyncIterator[System]:
        trio.lowlevel.add_instrument(stalls)
        async with open_system(settings, library=library, agents=agents) as system:
            watch.watch(system)
            watch.watch_commits(system._view.store)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, asked, system, watch, stalls)
                yield system
                nursery.cancel_scope.cancel()

    settings = ServerSettings(
        data_dir=folder,
        bind="127.0.0.1:0",
        max_running_tasks=tasks,
        max_queued_tasks=tasks,
        max_streams_per_client=tasks * 2,
        max_connections=tasks * 2 + 100,
        writer_mailbox=tasks,
        step_timeout_s=3_600,
        grace_s=grace_s,
    )
    # Every task streams at once, which takes a worker each; the settings allow fewer.
    return web.server.run(settings.model_copy(update={"writer_concurrency": tasks}), opens=opened)


def main() -> int:
    folder, tasks, pause_s, grace_s, fd, *blame = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asked = socket.socket(fileno=int(fd))
    times = float(pause_s), float(grace_s)
    return serve(Path(folder), int(tasks), *times, asked, blame=bool(blame))


if __name__ == "__main__":
    sys.exit(main())
