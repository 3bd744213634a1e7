"""Live tasks: those that a request or a run works on, and the queue for a slot.

They outlive the supervisor's instances: a rebuilt supervisor goes on with the tasks that run.

Rule: facts only. Decisions are the supervisor's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from actors.clock import Now
from actors.errors import TaskNotFound
from actors.journal.journal import CommittedView
from actors.journal.ledger import Ledger, Window
from actors.journal.log import SNAPSHOT_EVERY
from actors.runs.charges import Charges, LastEnd
from actors.runs.fair_queue import FairQueue
from actors.runtime import Ref
from actors.tasks.life import Task


class LiveTask:
    """A task in memory: its ledger, and while it runs the scope that cancels the run.

    `charges` is there from the event that opens or resumes the run to the run's end.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.users = 0
        self.queued = False
        self.last_end: LastEnd = "shutdown"
        self.charges: Charges | None = None
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
        """Whether it can leave memory."""
        return not (self.users or self.queued or self.scope)


@dataclass(frozen=True, slots=True)
class CancelReason:
    """A request to cancel. `text` is the reason given, if any."""

    text: str | None


@dataclass
class LiveTasks:
    """Live tasks by id, the queue for a slot, the number of slots taken, and pending tasks by owner.

    `stalled` holds the ids of tasks whose log could not be written. A suspect holds `suspects_turn`
    during its attempt.
    """

    view: CommittedView
    journal: Ref
    now: Now
    window: Window
    runs: trio.Nursery
    snapshot_every: int = SNAPSHOT_EVERY
    live: dict[str, LiveTask] = field(default_factory=dict)
    queue: FairQueue = field(default_factory=FairQueue)
    running: int = 0
    pending: Counter[str | None] = field(default_factory=Counter)
    draining: bool = False
    stalled: set[str] = field(default_factory=set)
    suspects_turn: trio.Lock = field(default_factory=trio.Lock)
    last_end: LastEnd = "shutdown"
    retries: Counter[str] = field(default_factory=Counter)
    slot_freed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    @asynccontextmanager
    async def hold(self, task_id: str, *, create: bool = False) -> AsyncIterator[LiveTask]:
        """Keep a task in memory inside the block; raises `TaskNotFound`.

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
            await live.forgotten.wait()  # Answer only when the deletion is committed.
            raise live.ledger.failed or gone from None
        finally:
            live.users -= 1
            self.clear(live)

    def put(self, task_id: str, task: Task | None) -> LiveTask:
        """Add a task, unless a concurrent request already has; `task` is None for a new one."""
        if task_id not in self.live:
            ledger = Ledger(self.journal, task_id, task, self.now, self.window, self.snapshot_every)
            self.live[task_id] = LiveTask(ledger)
        return self.live[task_id]

    def clear(self, live: LiveTask) -> None:
        """Drop a task from memory if it is idle.

        Until then its `LiveTask` is the only one, even if its log cannot be written or is being
        deleted: two would run the task twice, or cancel it beside its own run.
        """
        if live.idle:
            self.drop(live)

    def drop(self, live: LiveTask) -> None:
        """Drop a task from memory; a deleted one at once, so that its id can be used again."""
        if self.live.get(live.ledger.task_id) is live:
            del self.live[live.ledger.task_id]
