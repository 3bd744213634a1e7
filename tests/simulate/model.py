"""The facts of one simulated program: the disk, the answers clients got, and the agents at work.

Rule: it records while the program runs, and `verdict` judges at the end. `fail` records what is wrong
already while it runs.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from actors.errors import AgentFailed, InvalidPlan, TaskUnreadable
from actors.journal.ledger import Window
from actors.journal.log import Piece
from actors.journal.memory import MemoryStore
from actors.journal.tail import TailBounds
from actors.runtime import Call, Request
from actors.sqlite_errors import DamagedRecord
from actors.system import Tuning
from actors.tasks.life import Task
from actors.testing import HANG, Act, Cast, Machine, Script, ScriptedCrash, Stubborn

from .plugin import Odd
from .program import Program

SUPERVISOR_CONCURRENCY = 8
"""A process starts as many Trio tasks; with the product's 64 a program takes twice as long."""

DOWN_S = 0.002
"""The shortest time between two processes, so that a timestamp belongs to one of them."""


class Disk(MemoryStore):
    """A disk that also remembers what was deleted from it."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: dict[str, bytes] = {}
        self.damaged: set[str] = set()

    def ids(self) -> list[str]:
        """The tasks on it."""
        return list(self._tasks)

    def task(self, task_id: str) -> Task | None:
        """The committed task, without waiting."""
        return self._tasks.get(task_id)

    def log(self, task_id: str) -> bytes:
        """All lines of a task, deleted or not."""
        if task_id in self._pieces:
            return b"".join(piece.lines for piece in self._pieces[task_id])
        return self.deleted.get(task_id, b"")

    def pending(self) -> int:
        """How many tasks are pending."""
        return sum(task.status == "pending" for task in self._tasks.values())

    async def read(self, task_id: str, after: int) -> Piece | None:
        self._check(task_id)
        return await super().read(task_id, after)

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        self._check(task_id)
        return await super().outputs(task_id)

    def _check(self, task_id: str) -> None:
        if task_id in self.damaged:
            raise DamagedRecord(f"a record of task {task_id} is damaged")

    async def delete(self, task_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.deleted[task_id] = self.log(task_id)
        await super().delete(task_id)


@dataclass
class Slice:
    """Lines that a client was given, from the one after seq `after` on."""

    task_id: str
    after: int
    lines: bytearray = field(default_factory=bytearray)


class Model:
    """The world of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.disk = Disk()
        self.casts: dict[str, Cast] = {}
        self.odd: dict[str, Script] = {}
        self.ids: dict[str, str] = {}
        self.created: set[str] = set()
        self.accepted: set[str] = set()
        self.deleting: set[str] = set()
        self.restless: Counter[str] = Counter()
        self.stopped: set[str] = set()
        self.views: list[tuple[str, Task]] = []
        self.briefs: list[Task] = []
        self.slices: list[Slice] = []
        self.working: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.boots: list[tuple[float, str]] = []
        self.crashes = 0
        self.refusals = 0
        self.busy = False
        self.refusals_ever = False
        self.actors_stopped = False
        self.stopping = False
        self.troubles: list[str] = []

    def fail(self, trouble: str) -> None:
        """Record a failure of the system under test."""
        self.troubles.append(f"{trio.current_time():.4f} s: {trouble}")

    def program_crashes(self, error: BaseException) -> bool:
        """Whether an actor that has crashed too often did so because the program says so."""
        return planted(error.__cause__)

    def machine(self, settings: Any, jitter: Any, bounds: Mapping[str, int]) -> Machine:
        """The machine this program runs on."""
        Odd.model = self
        agents = {name: self._player(name) for name in ("analyzer", "retriever", "writer")}
        return Machine(
            settings=settings,
            agents=agents,
            disk=self.disk,
            jitter=jitter,
            tuning=Tuning(
                SUPERVISOR_CONCURRENCY,
                TailBounds(events=bounds["tail_events"]),
                Window(events=bounds["ahead_events"]),
                snapshot_every=bounds["ahead_events"],
            ),
        )

    # --- agents -----------------------------------------------------------------------------

    def _player(self, name: str) -> Callable[[], Player]:
        return lambda: Player(self, name)

    def cast_of(self, task_id: str) -> Cast:
        """The scripts of a task; its description is its label."""
        task = self.disk.task(task_id)
        if task is None:
            self.fail(f"an agent works for {task_id}, which is not on the disk")
            return Cast()
        return self.casts[task.task_description]

    @contextmanager
    def at_work(self, key: str) -> Iterator[None]:
        """An agent works for `key` inside the block."""
        task_id, step_id = key.split("/")
        task = self.disk.task(task_id)
        if task_id in self.stopped:
            self.fail(f"{step_id} of {self.name(task_id)} begins after its cancel was answered")
        if task and step_id in task.steps and task.steps[step_id].status == "completed":
            self.fail(f"{step_id} of {self.name(task_id)} runs again, though it had completed")
        self.attempts[key] += 1
        self.working[task_id] += 1
        try:
            yield
        finally:
            self.working[task_id] -= 1

    def name(self, task_id: str) -> str:
        """The label of a task, for people."""
        return next((label for label, known in self.ids.items() if known == task_id), task_id)


class Player:
    """An agent that plays each task's own script."""

    def __init__(self, model: Model, name: str) -> None:
        self._model, self._name = model, name

    async def handle(self, request: Any, call: Call[Any]) -> Any:
        cast = self._model.cast_of(request.key.split("/")[0])
        with self._model.at_work(request.key):
            return await cast.factories()[self._name]().handle(request, call)


def cast_for(new: dict[str, Any]) -> Cast:
    """The scripts of a task, from its `create` operation."""
    acts = {step: [act_of(raw) for raw in raws] for step, raws in new["acts"].items()}
    parts = [f"part {n} " for n in range(new["parts"])]
    return Cast(
        plans=acts.get("analysis", ()),
        retrieves=acts.get("retrieval", ()),
        weighs=acts.get("synthesis", ()),
        writes=acts.get("writing", ()),
        parts=parts,
        pause_s=new["pause_s"],
        act_after=len(parts) // 2,
        questions=new["questions"],
        plugin=Odd.name if "odd" in new else "",
    )


def odd_script(new: dict[str, Any]) -> Script:
    """The script of the plugin for a task, from its `create` operation."""
    return Script([act_of(raw) for raw in new.get("odd", ())])


def act_of(raw: Any) -> Act:
    """An act as programs spell it."""
    match raw:
        case "fail":
            return AgentFailed("as the script says")
        case "invalid":
            return InvalidPlan("as the script says")
        case "crash":
            return ScriptedCrash("as the script says")
        case "leave":
            return SystemExit("as the script says")
        case "group":
            return BaseExceptionGroup("as the script says", [KeyboardInterrupt(), GeneratorExit()])
        case "hang":
            return HANG
        case ["slow", seconds]:
            return float(seconds)
        case ["stubborn", seconds]:
            return Stubborn(seconds)
        case "ok":
            return None
    raise ValueError(f"unknown act {raw!r}")


class Bomb(Request[None]):
    """A request that no actor understands, so that handling it is a crash."""


class FailOnErrors(logging.Handler):
    """A logged crash that the program did not ask for is a failure."""

    def __init__(self, model: Model) -> None:
        super().__init__(logging.ERROR)
        self._model = model

    def emit(self, record: logging.LogRecord) -> None:
        crash = record.exc_info[1] if record.exc_info else None
        if crash is not None and not (planted(crash) or planted(leaf(crash))):
            self._model.fail(f"{record.getMessage()}: {leaf(crash)!r}")


def planted(crash: BaseException | None) -> bool:
    """Whether the program asked for this crash."""
    scripted = isinstance(crash, ScriptedCrash | TaskUnreadable) or "as the script" in str(crash)
    return scripted or "Bomb" in str(crash)


def leaf(error: BaseException) -> BaseException:
    """The first error in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
