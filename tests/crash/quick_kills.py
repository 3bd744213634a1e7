"""Who is charged when a real server dies again and again: the agent that kills it, and nobody else.

    python -m tests.crash.quick_kills [--kills 40] [--seed 1]

First an agent of one task kills the server whenever it is called, with other tasks beside it: that step
must end in its own failure mode, and the other tasks must complete. Then the server is killed from
outside within a quarter of a second of each start, with 3 to 12 new tasks each: at most one task per
five kills may end as interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import trio

from .facts import FINAL, Broken
from .process import Process
from .server import notes_of

LONGEST_LIFE_S = 0.25
MOST_STARTS = 10
MOST_CALLS = 3
"""Of the agent that kills: its two attempts, and the first, when others ran beside it."""

SETTLED_S = 60.0

Task = dict[str, Any]


class QuickKills:
    """Both stories, each in a folder of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = Random(seed)
        self._process = Process(folder)

    def close(self) -> None:
        """End the warm process."""
        self._process.close()

    async def crash_loop(self) -> str:
        """A task whose plugin kills the server at every call, and others beside it."""
        texts = ["frogs", "frogs with an effect", "a killer", "toads", "newts with an effect"]
        ids: list[str] = []
        for number in range(1, MOST_STARTS):
            tasks = await self._life(number, texts if number == 1 else [], ids)
            if tasks is not None:
                break
        else:
            raise Broken(f"the server still died at start {MOST_STARTS}")
        killer = next(task for task in tasks if "killer" in task["task_description"])
        notes = [notes_of(self._folder, n).read_text().split() for n in range(1, number + 1)]
        calls = sum(noted.count(f"{killer['task_id']}/s3!") for noted in notes)
        if [task["status"] for task in tasks] != ["completed"] * len(texts):
            raise Broken(f"not every task has completed: {tasks}")
        if [task["task_id"] for task in tasks if task["degraded"]] != [killer["task_id"]]:
            raise Broken(f"others than the killer are degraded: {tasks}")
        if calls > MOST_CALLS:
            raise Broken(f"the agent that kills was called {calls} times")
        return f"a crash loop ended after {calls} calls and {number - 1} deaths"

    async def _life(self, number: int, texts: list[str], ids: list[str]) -> list[Task] | None:
        """One life of the server: its tasks once all have ended, or None if it died before."""
        self._process.start(number)
        tasks = None
        if url := await self._process.url():
            async with httpx.AsyncClient(base_url=url, timeout=20) as http:
                try:
                    for text in texts:
                        ids.append(await _created(http, text))
                    for task_id in ids:
                        await _started(http, task_id)
                    tasks = await _ended(http, ids)
                except httpx.TransportError:
                    pass  # It has died, as the exit code shows.
        self._process.signal(signal.SIGTERM if tasks else signal.SIGKILL)
        code = self._process.ended()
        if code != (0 if tasks else -signal.SIGKILL):
            raise Broken(f"the server ended with {code}")
        return tasks

    async def from_outside(self, kills: int) -> str:
        """Kills that no task is the cause of."""
        ids: list[str] = []
        for number in range(1, kills + 1):
            self._process.start(number)
            url = await self._process.url()
            assert url is not None
            async with (
                httpx.AsyncClient(base_url=url, timeout=20) as http,
                trio.open_nursery() as n,
            ):
                n.start_soon(self._work, http, ids)
                await trio.sleep(self._rng.uniform(0, LONGEST_LIFE_S))
                n.cancel_scope.cancel()
            self._process.signal(signal.SIGKILL)
            if (code := self._process.ended()) != -signal.SIGKILL:
                raise Broken(f"the server ended by itself, with {code}")
        tasks = await self._life(kills + 1, [], ids)
        assert tasks is not None
        # The agents fail at random, too; that is no matter of the kills.
        errors = [[step["error"] or {} for step in task["steps"]] for task in tasks]
        given_up = sum("interrupted" in [e.get("code") for e in of_task] for of_task in errors)
        if given_up > kills // 5:
            raise Broken(f"after {kills} kills {given_up} tasks gave up a step as interrupted")
        return f"{kills} kills from outside, {len(tasks)} tasks, {given_up} interrupted"

    async def _work(self, http: httpx.AsyncClient, ids: list[str]) -> None:
        for _ in range(self._rng.randrange(3, 13)):
            text = self._rng.choice(("frogs", "frogs with an effect"))
            ids.append(await _created(http, text))
            await _started(http, ids[-1])


async def _created(http: httpx.AsyncClient, text: str) -> str:
    answer = await http.post("/tasks", json={"task_description": text})
    return str(answer.raise_for_status().json()["task_id"])


async def _started(http: httpx.AsyncClient, task_id: str) -> None:
    headers = {"Prefer": "respond-async"}
    answer = await http.post(f"/tasks/{task_id}/execute", headers=headers)
    while answer.status_code == 503:  # The queue is full of what earlier lives have left.
        await trio.sleep(0.01)
        answer = await http.post(f"/tasks/{task_id}/execute", headers=headers)
    answer.raise_for_status()


async def _ended(http: httpx.AsyncClient, ids: list[str]) -> list[Task]:
    """The tasks, once all of them have ended."""
    tasks: list[Task] = []
    with trio.fail_after(SETTLED_S):
        for task_id in ids:
            while (task := (await http.get(f"/tasks/{task_id}")).json())["status"] not in FINAL:
                await trio.sleep(0.01)
            tasks.append(task)
    return tasks


async def play(kills: int, seed: int, folder: Path) -> list[str]:
    """Both stories; what happened, in words. Raises `Broken`."""
    told = []
    for story in ("crash-loop", "from-outside"):
        place = folder / story
        place.mkdir()
        test = QuickKills(place, seed)
        try:
            told.append(
                await (test.crash_loop() if story == "crash-loop" else test.from_outside(kills))
            )
        finally:
            test.close()
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.quick_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="terzetto-quick-") as made:
        print("\n".join(trio.run(play, asked.kills, asked.seed, Path(made))))
    print(f"{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
