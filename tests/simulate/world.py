"""One program in virtual time: processes one after another on one disk, until everything has ended.

Rule: a program that has not ended after `LIMIT_S` virtual seconds hangs, which is a failure.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import trio
from trio.testing import wait_all_tasks_blocked

from actors.runtime import RestartLimitExceeded
from actors.settings import Settings
from actors.system import System
from actors.testing import Busy, Delay, DieAfter, DieBefore, Fault, Refuse, run_virtual
from actors.testing.faults import BUSY_S

from .clients import Clients, Reader
from .model import DOWN_S, FailOnErrors, Model, leaf
from .plugin import AGENT
from .program import Op, Program
from .quiet import check_quiet, check_still
from .verdict import judge

LIMIT_S = 3_000.0
LAST_S = 600.0
"""How long the last process may take to bring everything to its end."""

CALM_S = 60.0
"""Long enough for the slowest reader to read its log and for every timer of the system to fire."""

BOOTS = 20

Judge = Callable[[Model], None]


def play(program: Program, judge: Judge = judge) -> list[str]:
    """Run a program, judge it at its end, and return what was wrong, if anything."""
    model = Model(program)
    with _failing_on_errors(model):
        try:
            run_virtual(World(model, judge).run, seed=program.seed)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - this program has found it.
            model.troubles.append(f"{type(leaf(error)).__name__}: {leaf(error)}")
    return model.troubles


@contextmanager
def _failing_on_errors(model: Model) -> Iterator[None]:
    handler, logger = FailOnErrors(model), logging.getLogger("actors")
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class World:
    """Runs a program on one machine, process after process."""

    def __init__(self, model: Model, judge: Judge) -> None:
        self.model = model
        self._judge = judge
        self._ops = deque(model.program.ops)
        chosen = dict(model.program.settings)
        bounds = {name: chosen.pop(name) for name in ("tail_events", "ahead_events")}
        settings = Settings(**chosen, agents=(AGENT,))
        self._settings = settings
        self._machine = model.machine(settings, Random(model.program.seed), bounds)
        self._down_s = 0.0

    async def run(self) -> None:
        with trio.fail_after(LIMIT_S):
            while self._ops:
                await self._process(self._live)
            for _ in range(BOOTS):
                if await self._process(self._last):
                    break
            else:
                self.model.fail(f"nothing has settled after {BOOTS} more processes")
        if not self.model.troubles:
            self._judge(self.model)

    async def _process(self, life: object) -> bool:
        """One process, from its start to its end; whether it ended in order."""
        model, machine = self.model, self._machine
        model.boots.append((trio.current_time(), machine.last_end))
        model.refusals, model.stopping, model.actors_stopped = 0, False, False
        ended = False
        try:
            async with machine.boot() as system:
                async with trio.open_nursery() as nursery:
                    clients = Clients(model, system, nursery)
                    for reader in model.slices:
                        if isinstance(reader, Reader):
                            clients.connect(reader)
                    ended = await life(system, clients)  # type: ignore[operator]
                    nursery.cancel_scope.cancel()
        except* RestartLimitExceeded as group:
            if not model.program_crashes(leaf(group)):
                raise
        for reader in model.slices:
            if isinstance(reader, Reader):
                reader.connected = reader.waiting = False
        if machine.last_end == "crash":
            model.crashes += 1
        elif model.actors_stopped:
            model.fail("an actor had stopped in a process that went on")
        if any(model.working.values()):
            model.fail(f"agents work though their process is gone: {model.working}")
        await trio.sleep(max(self._down_s, DOWN_S))
        self._down_s = 0.0
        return ended and machine.last_end == "shutdown"

    # --- while there are operations ------------------------------------------------------------

    async def _live(self, system: System, clients: Clients) -> bool:
        while self._ops:
            op = self._ops.popleft()
            await trio.sleep_until(op.at)
            if op.ticks % 2 == 0:
                await wait_all_tasks_blocked()
                check_quiet(self.model, system, self._machine)
            if op.verb in ("kill", "stop", "disk"):
                for _ in range(op.ticks):
                    await trio.lowlevel.checkpoint()
            match op.verb:
                case "kill":
                    self._down_s = op.args["down_s"]
                    self._machine.kill()
                    await trio.lowlevel.checkpoint()
                case "stop":
                    self._down_s = op.args["down_s"]
                    self.model.stopping = True
                    await system.drain(op.args["grace_s"])
                    return True
                case "disk":
                    self._break_disk(op)
                case _:
                    clients._nursery.start_soon(clients.perform, op)
        if self.model.program.stays:
            self._machine.store.faults.clear()  # Tasks whose writes were refused resume by themselves.
            return await self._last(system, clients)
        await trio.sleep(0.5)
        self.model.stopping = True
        await system.drain(0)
        return True

    def _break_disk(self, op: Op) -> None:
        faults = [fault_of(raw) for raw in op.args["faults"]]
        self.model.refusals += sum(isinstance(fault, Refuse) for fault in faults)
        self.model.refusals += sum(isinstance(f, Busy) and f.seconds > BUSY_S for f in faults)
        self.model.busy = self.model.busy or any(isinstance(f, Busy) for f in faults)
        self.model.refusals_ever = self.model.refusals_ever or self.model.refusals > 0
        self._machine.store.faults.extend(faults)

    # --- at the end -----------------------------------------------------------------------------

    async def _last(self, system: System, clients: Clients) -> bool:
        """Without further faults every accepted task must end and every reader must catch up."""
        model = self.model
        clients.calm = True
        deadline = trio.current_time() + LAST_S
        while unfinished := set(await model.disk.unfinished()) - model.disk.damaged:
            await trio.sleep(0.25)
            if trio.current_time() > deadline:
                names = [(model.name(key), str(model.disk.task(key))) for key in unfinished]
                model.fail(f"still unfinished: {names}")
                break
        await trio.sleep(CALM_S)
        await wait_all_tasks_blocked()
        check_quiet(model, system, self._machine)
        for reader in model.slices:
            if isinstance(reader, Reader):
                reader.scope.cancel()
        await wait_all_tasks_blocked()
        check_still(model, system)
        self.model.stopping = True
        return True


def fault_of(raw: list[object] | None) -> Fault | None:
    """A fault as programs spell it."""
    match raw:
        case None:
            return None
        case ["refuse"]:
            return Refuse()
        case ["delay", float(seconds)]:
            return Delay(seconds)
        case ["busy", float(seconds)]:
            return Busy(seconds)
        case ["die before"]:
            return DieBefore()
        case ["die after"]:
            return DieAfter()
    raise ValueError(f"unknown fault {raw!r}")
