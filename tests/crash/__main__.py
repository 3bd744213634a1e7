"""The crash test: a real server, killed with SIGKILL at random moments, checked through its API.

    python -m tests.crash [--cycles 1000] [--seed 1] [--keep FOLDER]

One cycle: the server starts on the folder that the last one left; clients create, execute, attach,
cancel, retry and delete tasks, and compare every answer with all earlier ones; the server is killed.
At the end the last server runs until every task has ended by itself, and every log is compared once
more. The exit code is 1 at the first disagreement.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

import httpx
import trio

from .clients import Cycle
from .facts import FINAL, Broken, Facts
from .process import Process
from .server import notes_of

CLIENTS = 6
LONGEST_LIFE_S = 0.4
KILLED_AT_START = 0.08
"""The share of cycles in which the kill does not wait until the server listens."""

STOPPED = 0.12
"""The share of cycles that end with SIGTERM, most of them with a kill soon after it."""

END_S = 120.0
ANSWER_S = 30.0
"""Hang guards."""


class CrashTest:
    """All cycles of one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.facts = Facts()
        self.kills: Counter[str] = Counter()
        self.cycle = 0
        self._folder = folder
        self._rng = Random(seed)
        self._process = Process(folder)

    async def run(self, cycles: int) -> None:
        try:
            for self.cycle in range(1, cycles + 1):
                await self._one(self.cycle)
            self.cycle += 1
            await self._last(self.cycle)
        finally:
            self._process.close()

    # --- one cycle --------------------------------------------------------------------------

    async def _one(self, number: int) -> None:
        self._process.start(number)
        if self._rng.random() < KILLED_AT_START:
            await trio.sleep(self._rng.uniform(0, 0.12))
            self.kills["while it started"] += 1
            self._killed()
            return
        http, cycle = await self._connect(number)
        async with http, trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(cycle.work)
            await trio.sleep(self._rng.uniform(0, LONGEST_LIFE_S))
            cycle.ending = True
            stopping = self._rng.random() < STOPPED
            if stopping:
                self._process.signal(signal.SIGTERM)
                await trio.sleep(self._rng.uniform(0, 0.3))
            self._count(cycle, stopping=stopping)
            self._killed(may_have_ended=stopping)
            nursery.cancel_scope.deadline = trio.current_time() + ANSWER_S
        if nursery.cancel_scope.cancelled_caught:
            raise Broken("a client still waits for an answer of a server that is gone")
        notes = notes_of(self._folder, number)
        self.facts.attempts_noted(notes.read_text().split(), number)
        notes.unlink()

    async def _connect(self, number: int) -> tuple[httpx.AsyncClient, Cycle]:
        url = await self._process.url()
        if url is None:
            raise Broken("the server died while it started")
        limits = httpx.Limits(max_connections=None)
        http = httpx.AsyncClient(base_url=url, limits=limits, timeout=20, verify=False)
        return http, Cycle(number, http, self.facts, self._rng)

    def _killed(self, *, may_have_ended: bool = False) -> None:
        self._process.signal(signal.SIGKILL)  # It is not reaped yet, so the pid is still its own.
        code = self._process.ended()
        if code == 0 and may_have_ended:
            self.kills["(had ended in order)"] += 1
        elif code != -signal.SIGKILL:
            raise Broken(f"the server ended by itself, with {code}")

    def _count(self, cycle: Cycle, *, stopping: bool) -> None:
        self.kills["while it stopped" if stopping else "while it served"] += 1
        for verb, count in cycle.in_flight.items():
            self.kills[f"in the middle of {verb}"] += bool(count)

    # --- the end ----------------------------------------------------------------------------

    async def _last(self, number: int) -> None:
        """No kill any more: all that was accepted ends by itself, and all logs are compared."""
        self._process.start(number)
        http, cycle = await self._connect(number)
        async with http:
            with trio.fail_after(END_S):
                while not await self._settled(http):
                    await trio.sleep(0.05)
            listed = await cycle.whole_listing()
            there = [task for task in self.facts.tasks.values() if not task.gone]
            for task in there:
                await cycle.check(task)
                self.facts.check_effects(task)
            self._compare(listed)
            cycle.ending = True
            self._process.signal(signal.SIGTERM)
        if (code := self._process.ended()) != 0:
            raise Broken(f"the last server ended with {code}")

    async def _settled(self, http: httpx.AsyncClient) -> bool:
        for status in ("executing", "queued"):
            answer = await http.get("/tasks", params={"status": status, "limit": 1})
            if answer.json()["tasks"]:
                return False
        return True

    def _compare(self, listed: list[dict[str, object]]) -> None:
        """The list, the logs and the facts name the same tasks, at the same place."""
        found = {task["task_id"]: task["status"] for task in listed}
        known = {t.task_id: t.status for t in self.facts.tasks.values() if not t.gone}
        if found != known:
            raise Broken(f"the list differs from the logs: {found.items() ^ known.items()}")
        for task in self.facts.tasks.values():
            if not task.gone and task.status not in {"pending", *FINAL}:
                raise Broken(f"task {task.task_id} is {task.status}, but no run works for it")

    # --- reports ----------------------------------------------------------------------------

    def known_of(self, failure: str) -> str:
        """What is known of the tasks that a failure names, and what the servers have said."""
        named = [task for task in self.facts.tasks.values() if task.task_id in failure]
        lines = [task.lines[seq].decode() for task in named for seq in sorted(task.lines)]
        return "".join(lines) + (self._folder / "server.log").read_text()[-4000:]

    def summary(self, seconds: float) -> str:
        facts = self.facts
        ended = Counter("gone" if t.gone else t.status for t in facts.tasks.values())
        runs = Counter[str]()
        for task in facts.tasks.values():
            for line in task.lines.values():
                event = json.loads(line)
                if event["event_type"] == "task_resumed":
                    runs[f"after a {event['data']['reason']}"] += 1
        return "\n".join(
            (
                f"{self.cycle - 1} cycles in {seconds:.0f} s, {self.cycle / seconds:.1f} a second",
                f"tasks: {len(facts.tasks)}, at the end {_counted(ended)}",
                f"events: {facts.lines} streamed, {facts.checked} compared, logs: {facts.checks}",
                f"kills: {_counted(self.kills)}",
                f"effects: {sum(facts.effects.values())} calls of a plugin",
                f"went on: {_counted(runs)}",
                f"answers: {_counted(facts.answers)}",
            )
        )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="use this folder and leave it there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="terzetto-crash-") as made:
        folder = asked.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        test = CrashTest(folder, asked.seed)
        started = time.monotonic()
        try:
            trio.run(test.run, asked.cycles)
        except BaseException:
            print(test.known_of(traceback.format_exc()), file=sys.stderr)
            print(f"seed {asked.seed}, cycle {test.cycle} of {asked.cycles}", file=sys.stderr)
            raise
        print(test.summary(time.monotonic() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main())
