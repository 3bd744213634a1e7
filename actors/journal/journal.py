"""The journal: one actor that all appends meet in, and the committed view that all readers share.

    append --> waiting --> one group, one commit --> tails grow --> readers wake, replies settle

Rule: durable before visible. Readers, status and replies see an event only after its commit.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, assert_never

import trio

from actors.errors import ActorError, StorageUnavailable, TaskNotFound
from actors.journal.log import Append, Piece, Position, Store
from actors.journal.tail import Tail, TailBounds
from actors.messages import Ping
from actors.runtime import Call, Request
from actors.tasks.events import decode
from actors.tasks.life import Task, evolve

GROUP_APPENDS = 512
"""The most appends in one commit, and the most that wait for the next."""

GROUP_BYTES = 4 * 1024 * 1024
"""A commit takes no further append once it has this many bytes of lines."""

TOLD_AT_ONCE = 4
"""How many appends of a group are told of between two checkpoints; each wakes a run and readers."""

IDLE_TAILS = 256
"""How many tails nobody uses are kept, the longest unused being dropped first."""

Waiting: TypeAlias = tuple[Append, Call[Any]]
Told: TypeAlias = tuple[Waiting, Position | ActorError]


@dataclass(frozen=True, slots=True)
class Delete(Request[None]):
    """Forget a task that no run works for; its readers are told."""

    must_finish: ClassVar[bool] = True

    task_id: str


class CommittedView:
    """What is in the log, for any number of readers; only the journal writes to it."""

    def __init__(self, store: Store, bounds: TailBounds) -> None:
        self.store = store
        self._bounds = bounds
        self._used: dict[str, Tail] = {}
        self._idle: OrderedDict[str, Tail] = OrderedDict()
        self._closed_for: str | None = None

    # --- reading ----------------------------------------------------------------------------

    async def task(self, task_id: str) -> Task:
        """The committed state of a task; raises `TaskNotFound`."""
        async with self.use(task_id) as tail:
            assert tail.task is not None
            return tail.task

    async def read(self, tail: Tail, task_id: str, after: int) -> Piece | None:
        """The next committed events after `after`; None if there are none yet."""
        if tail.task is None or after >= tail.task.last_seq:
            return None
        return tail.read(after) or await self.store.read(task_id, after)

    @asynccontextmanager
    async def use(self, task_id: str) -> AsyncIterator[Tail]:
        """Hold on to a task's tail, loaded from the log if need be; raises `TaskNotFound`."""
        tail = self.hold(task_id)
        try:
            await self.load(task_id, tail)
            yield tail
        finally:
            self.let_go(task_id, tail)

    def hold(self, task_id: str) -> Tail:
        """The task's tail, perhaps not loaded; it stays the task's until `let_go`."""
        tail = self._used.get(task_id) or self._idle.pop(task_id, None) or Tail(self._bounds)
        self._used[task_id] = tail
        tail.users += 1
        return tail

    def let_go(self, task_id: str, tail: Tail) -> None:
        """Undo one `hold`."""
        tail.users -= 1
        if tail.users == 0 and self._used.get(task_id) is tail:
            del self._used[task_id]
            if tail.task is not None:
                self._idle[task_id] = tail
                if len(self._idle) > IDLE_TAILS:
                    self._idle.popitem(last=False)

    async def load(self, task_id: str, tail: Tail) -> None:
        """Load a tail from the log, if that is still to be done; raises `TaskNotFound`."""
        if tail.task is not None:
            return
        task: Task | None = None
        while piece := await self.store.read(task_id, task.last_seq if task else 0):
            for line in piece.lines.splitlines(keepends=True):
                task = evolve(task, decode(line))
            if tail.task is not None:
                return  # A commit came first and brought the newer state along.
        if tail.task is None:
            if task is None or self._used.get(task_id) is not tail:  # Perhaps deleted meanwhile.
                raise TaskNotFound(f"There is no task {task_id}.")
            tail.task = task

    # --- changing ---------------------------------------------------------------------------

    def show(self, append: Append) -> None:
        """An append has been committed."""
        tail = self.hold(append.task.task_id)
        tail.extend(append)
        self.let_go(append.task.task_id, tail)

    def forget(self, task_id: str) -> None:
        """A task has been deleted."""
        tail = self._used.pop(task_id, None) or self._idle.pop(task_id, None)
        if tail is not None:
            tail.task = None
            tail.close_streams("deleted")

    def close_streams(self, reason: str, task_id: str | None = None) -> None:
        """Tell the readers of one task, or of all, to leave. For all, it stays so."""
        if task_id is None:
            self._closed_for = reason
            for tail in self._used.values():
                tail.close_streams(reason)
        elif task_id in self._used:
            self._used[task_id].close_streams(reason)

    @property
    def closed_for(self) -> str | None:
        """Why no stream stays open any more, if that is so."""
        return self._closed_for

    def gauges(self) -> dict[str, int]:
        """What it holds in memory."""
        tails = [*self._used.values(), *self._idle.values()]
        return {"tails": len(tails), "tail_bytes": sum(tail.bytes for tail in tails)}


class Journal:
    """The actor. Its handlers keep the reply's slot, and the commit that is under way settles it.

    No task has two appends here at once, and none while it is deleted: what comes of one group may be
    told in any order, and while the next group is being written.
    """

    def __init__(self, view: CommittedView) -> None:
        self._view = view
        self._appends: deque[Waiting] = deque()
        self._deletes: deque[tuple[Delete, Call[Any]]] = deque()
        self._work = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    async def handle(self, request: Append | Delete | Ping, call: Call[Any]) -> Any:
        match request:
            case Ping():
                return None
            case Append():
                while len(self._appends) >= GROUP_APPENDS:
                    await self._room.park()
                self._appends.append((request, call))
            case Delete():
                self._deletes.append((request, call))
            case _:
                assert_never(request)
        self._work.unpark()
        return call.defer()

    async def background(self) -> None:
        """Commit what waits, one group after another."""
        async with trio.open_nursery() as telling:
            while True:
                while not (self._appends or self._deletes):
                    await self._work.park()
                with trio.CancelScope(shield=True):
                    while self._deletes:
                        await self._delete(*self._deletes.popleft())
                    await self._commit(telling)

    async def _delete(self, delete: Delete, call: Call[Any]) -> None:
        try:
            await self._view.store.delete(delete.task_id)
        except StorageUnavailable as full:
            call.fail(full)
        else:
            self._view.forget(delete.task_id)
            call.settle(None)

    def _take(self) -> list[Waiting]:
        group: list[Waiting] = []
        size = 0
        while self._appends and size < GROUP_BYTES:
            append, call = self._appends.popleft()
            group.append((append, call))
            size += sum(len(record.line) for record in append.records)
        self._room.unpark_all()
        return group

    async def _commit(self, telling: trio.Nursery) -> None:
        """Commit a group, if any append waits."""
        outcomes: Sequence[Position | ActorError]
        group = self._take()
        if not group:
            return
        try:
            outcomes = await self._view.store.append([append for append, _ in group])
        except StorageUnavailable as full:
            outcomes = [full] * len(group)
        told = list(zip(group, outcomes, strict=True))
        # Endings first: a cancel waits for one, and is to be quick however much is written.
        told.sort(key=lambda one: not one[0][0].task.finished)
        self._tell(told[:TOLD_AT_ONCE])
        if rest := told[TOLD_AT_ONCE:]:
            telling.start_soon(self._tell_in_slices, rest)

    async def _tell_in_slices(self, told: Sequence[Told]) -> None:
        """Each wakes a run and readers; in slices, the loop never stalls."""
        with trio.CancelScope(shield=True):
            for start in range(0, len(told), TOLD_AT_ONCE):
                await trio.lowlevel.checkpoint()
                self._tell(told[start : start + TOLD_AT_ONCE])

    def _tell(self, told: Sequence[Told]) -> None:
        """Show it to the readers, then settle the replies."""
        for (append, call), outcome in told:
            if isinstance(outcome, ActorError):
                call.fail(outcome)
            else:
                self._view.show(append)
                call.settle(outcome)
