"""The server of the crash test: the product's own, with agents that take their time at random.

A warm process forks one child for each start, since importing takes longer than a whole cycle. It
reads "start N" and "wait" on its standard input, and answers with the child's pid, and with how
the child ended. What a child does is `web.server.run`, on a real folder and a real port.

Rule: agents note each attempt in a file before they work on it, so that the driver knows what was
begun although the process is gone. Those of the plugin, which has effects, end with "!".
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from typing import Any

import trio

import web.server
from actors.errors import AgentFailed
from actors.runtime import Call
from actors.system import System, open_system
from actors.tasks.plan import Plan
from actors.testing import (
    Act,
    NoLibrary,
    Script,
    ScriptedAnalyzer,
    ScriptedRetriever,
    ScriptedWriter,
    plan_for,
)
from web.settings.model import ServerSettings

from .effect import Effect, calls_effect

PARTS = ("Frogs ", "sing ", "at night, ", "in ponds: ", "\u2028", "quak. ", "[1]")
TEXT = "".join(PARTS)

RUNNING, QUEUED = 8, 40
"""Few slots, so that some tasks are queued when the kill comes."""

RETRY_DELAYS_S = (0.0, 0.01, 0.02, 0.04)
ATTEMPTS = len(RETRY_DELAYS_S) + 1

GRACE_S = 0.05
LONGEST_STEP_S = 0.03
LONGEST_PART_S = 0.015
FAILING = 0.08
"""The share of attempts that fail."""


class Chance(Script):
    """Each attempt fails, or takes a while, as the dice fall."""

    def __init__(self, rng: Random, notes: int) -> None:
        super().__init__()
        self.rng, self._notes = rng, notes

    def note(self, line: str) -> None:
        os.write(self._notes, f"{line}\n".encode())

    def next_act(self, key: str) -> Act:
        self.note(key)
        if self.rng.random() < FAILING:
            return AgentFailed("The dice said so.")
        return self.rng.uniform(0, LONGEST_STEP_S)


class CallingAnalyzer(ScriptedAnalyzer):
    """Plans a call of the plugin for the tasks that are for it."""

    def plan(self, text: str) -> Plan:
        return plan_for(text, plugin=Effect.name if calls_effect(text) else "")


class UnsteadyWriter(ScriptedWriter):
    """Takes a while for each part, and for some none at all."""

    def __init__(self, chance: Chance) -> None:
        super().__init__(chance, PARTS, pause_s=0, act_after=1)
        self._rng = chance.rng

    async def _part(self, part: str, call: Call[Any]) -> None:
        if self._rng.random() < 0.8:
            await trio.sleep(self._rng.uniform(0, LONGEST_PART_S))
        await super()._part(part, call)


def serve(folder: Path, number: int) -> int:
    """Run the server until it is killed or stopped; its exit code."""
    notes = os.open(notes_of(folder, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = Chance(Random(number), notes)
    Effect.chance = chance
    agents: dict[str, Any] = {
        "analyzer": lambda: CallingAnalyzer(chance, chance),
        "retriever": lambda: ScriptedRetriever(chance),
        "writer": lambda: UnsteadyWriter(chance),
    }

    def opened(settings: ServerSettings) -> AbstractAsyncContextManager[System]:
        return open_system(settings, library=NoLibrary(), agents=agents)  # type: ignore[arg-type]

    return web.server.run(
        ServerSettings(
            data_dir=folder / "data",
            agents=("tests.crash.effect:Effect",),
            bind="127.0.0.1:0",
            max_running_tasks=RUNNING,
            max_queued_tasks=QUEUED,
            retry_delays_s=RETRY_DELAYS_S,
            grace_s=GRACE_S,
        ),
        opens=opened,
    )


def notes_of(folder: Path, number: int) -> Path:
    """Where the agents of one start note "task_id/step_id" of each attempt, a line each."""
    return folder / f"attempts-{number}"


def _child(folder: Path, number: int) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        messages = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(messages, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = serve(folder, number)
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(folder: Path) -> None:
    """Answer the driver until it is gone; then nothing is left running."""
    gc.freeze()
    pid = 0
    for line in sys.stdin:
        match line.split():
            case ["start", number]:
                if (pid := os.fork()) == 0:
                    _child(folder, int(number))
                print(pid, flush=True)
            case ["wait"]:
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
                pid = 0
    if pid:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
