"""The supervisor's tasks: the tasks that somebody works on, and the queue for a slot.

It outlives the supervisor's instances: a rebuilt supervisor finds the running tasks here and goes
on with them. Rule: the tasks holds facts and makes no decisions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import trio

from actors.clock import Now
from actors.errors import TaskNotFound
from actors.journal.journal import CommittedView
from actors.journal.ledger import Ledger, Window
from actors.runtime import Ref
from actors.tasks.life import Task

LastEnd = Literal["crash", "shutdown", "storage"]
"""How the work on a task stopped before it goes on; only a crash uses up an attempt."""


class LiveTask:
    """A task on the tasks: its ledger, and while it runs the scope that stops it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.users = 0
        self.queued = False
        self.last_end: LastEnd = "shutdown"
        self.scope: trio.CancelScope | None = None
        self.cancelled_for: CancelReason | None = None
        self.cancels = 0
        self.ended = trio.lowlevel.ParkingLot()
        self.forgotten: trio.Event | None = None

    @property
    def task(self) -> Task:
        """The task as decided."""
        return self.ledger.task

    @property
    def idle(self) -> bool:
        """Whether nobody needs it on the tasks."""
        return not (self.users or self.queued or self.scope)


@dataclass(frozen=True, slots=True)
class CancelReason:
    """Why somebody cancels a task; `text` may be None."""

    text: str | None


@dataclass
class LiveTasks:
    """The tasks at work, by id; the ids that wait for a slot; and how many slots are taken.

    `stalled` holds the ids of tasks whose log could not be written.
    """

    view: CommittedView
    journal: Ref
    now: Now
    window: Window
    runs: trio.Nursery
    live: dict[str, LiveTask] = field(default_factory=dict)
    queue: deque[str] = field(default_factory=deque)
    running: int = 0
    pending: int = 0
    draining: bool = False
    stalled: set[str] = field(default_factory=set)
    last_end: LastEnd = "shutdown"
    retries: Counter[str] = field(default_factory=Counter)
    slot_freed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    @asynccontextmanager
    async def take(self, task_id: str, *, create: bool = False) -> AsyncIterator[LiveTask]:
        """Hold a task on the tasks inside the block; raises `TaskNotFound`.

        With `create` a task that does not exist gets a ledger with nothing recorded in it.
        """
        live = self.live.get(task_id)
        if live is None:
            try:
                task: Task | None = await self.view.task(task_id)
            except TaskNotFound:
                if not create:
                    raise
                task = None
            live = self.put(task_id, task)
        live.users += 1
        try:
            yield live
        except TaskNotFound as gone:
            if live.forgotten is None:
                raise
            await live.forgotten.wait()  # Not even that is told before it is in the log.
            raise live.ledger.failed or gone from None
        finally:
            live.users -= 1
            self.clear(live)

    def put(self, task_id: str, task: Task | None) -> LiveTask:
        """On the tasks it goes, unless another was quicker while we read the log; None: a new one."""
        if task_id not in self.live:
            ledger = Ledger(self.journal, task_id, task, self.now, self.window)
            self.live[task_id] = LiveTask(ledger)
        return self.live[task_id]

    def clear(self, live: LiveTask) -> None:
        """Take it off the tasks if nobody needs it there.

        Until then even one whose log could not be written, or is being deleted, is the task's only
        one: two at once would run it twice, or cancel it beside its own run.
        """
        if live.idle and self.live.get(live.ledger.task_id) is live:
            del self.live[live.ledger.task_id]
