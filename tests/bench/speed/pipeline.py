"""The real agents on disk, without a model: plan, retrieval and report over a library of some size."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import trio
from library import OF_DOCUMENT, STOP, Language, documents, fill
from processes import in_child, threads_cpu_s

from actors.settings import Settings
from actors.system import System, open_system
from web.server import SWITCH_S

from .figures import Aim, Effort, Part, Table, number

AT_ONCE = 4
SEED = 5_000
AIM = 60
STAGES = ("actor analyzer", "actor retriever", "actor writer", "actor journal", "run", "others")


class ByTask(trio.abc.Instrument):
    """CPU seconds of the event loop by the actor or the run that they were for."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._since = time.thread_time()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._since = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.seconds[self._name(task)] += time.thread_time() - self._since

    def _name(self, task: trio.lowlevel.Task) -> str:
        """The first of the task and those above it that has a name of its own."""
        above: trio.lowlevel.Task | None = task
        while above:
            if above.name in STAGES:
                return above.name
            if above.name.startswith("run "):
                return "run"
            above = above.parent_nursery.parent_task if above.parent_nursery else None
        return "others"


def questions(count: int) -> list[str]:
    """Questions of words that stand together in a sentence of the library."""
    language, rng, found = Language(Random(SEED)), Random(SEED), []
    frequent = set(language.words[:STOP])
    text = next(documents(language, OF_DOCUMENT)).text
    for sentence in rng.sample(text.split(". "), count):
        telling = [word for word in sentence.lower().split() if word not in frequent]
        found.append(f"What is said about {' and '.join(telling[:3])}?")
    return found


async def run_all(system: System, asked: list[str]) -> None:
    """Run tasks to their end, a few at once."""
    left = list(asked)

    async def work() -> None:
        while left:
            task = await system.create(left.pop())
            events = [event.event_type async for event in system.execute(task.task_id)]
            assert events[-1] == "task_completed", events

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)


async def one_round(folder: Path, asked: list[str]) -> tuple[float, float, dict[str, float]]:
    """Tasks per CPU second, the event loop's share of the time, and where the event loop's goes."""
    sys.setswitchinterval(SWITCH_S)
    async with open_system(Settings(data_dir=folder)) as system:
        await run_all(system, asked[:5])  # Warm up.
        before = threads_cpu_s()
        await run_all(system, asked)
        grown = {of: took - before.get(of, 0.0) for of, took in threads_cpu_s().items()}
        total, watch = sum(grown.values()), ByTask()
        trio.lowlevel.add_instrument(watch)  # Not before: watching costs time itself.
        await run_all(system, asked)
        trio.lowlevel.remove_instrument(watch)
        return len(asked) / total, grown[os.getpid()] / total, dict(watch.seconds)


def measure(effort: Effort) -> Part:
    passages, asked = effort.of(5_000, 500), questions(effort.of(40, 10))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_child(partial(trio.run, fill, folder, passages, Language(Random(SEED))))
        rounds = [
            in_child(partial(trio.run, one_round, folder, asked)) for _ in range(effort.rounds)
        ]
    rate = median(one[0] for one in rounds)
    loop = median(one[1] for one in rounds)
    rows = [["tasks per CPU second", number(rate)], ["CPU of a task, ms", number(1e3 / rate)]]
    rows += [["threads of SQLite", f"{1 - loop:.0%}"], ["event loop", f"{loop:.0%}"]]
    watched = [one[2] for one in rounds]
    for stage in STAGES:
        share = median(seen.get(stage, 0.0) / sum(seen.values()) for seen in watched)
        rows.append([f"event loop: {stage}", f"{share * loop:.0%}"])
    note = f"{passages:,} passages, {AT_ONCE} tasks at once, the log and the library on disk."
    table = Table(("the process", "median"), rows, note)
    aim = Aim(f"real pipeline, {passages:,} passages, tasks per CPU second", rate, AIM, "tasks")
    return Part("The real pipeline, without a model", [table], [aim])
