"""The journal: one actor that commits all appends, and the committed view that all readers share.

    append --> waiting --> one group, one commit --> tails grow --> readers wake, replies settle

Rule: durable before visible. Readers, status and replies see an event only after its commit.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, assert_never

import trio

from actors.errors import ActorError, StorageUnavailable, TaskNotFound, TaskUnreadable
from actors.journal.log import Append, Piece, Position, Store
from actors.journal.tail import Tail, TailBounds
from actors.messages import Ping
from actors.runtime import Call, Request
from actors.runtime.fairness import LINES_PER_TICK, REPLIES_PER_TICK
from actors.sqlite_errors import DamagedRecord, UnusableDatabase
from actors.tasks.events import decode
from actors.tasks.life import IllegalMove, Task, TaskStatus, evolve
from actors.tasks.snapshot import load_snapshot

GROUP_APPENDS = 512
"""The most appends in one commit, and the most that wait for the next one."""

GROUP_BYTES = 4 * 1024 * 1024
"""A commit takes no further append once its lines and snapshots have this many bytes."""

Waiting: TypeAlias = tuple[Append, Call[Any]]
Outcome: TypeAlias = tuple[Waiting, Position | ActorError]


@dataclass(frozen=True, slots=True)
class Delete(Request[TaskStatus | None]):
    """Delete a task that no run works for, and close the streams of its readers.

    The reply is the status that it had in the index, as far as that can be read.
    """

    must_finish: ClassVar[bool] = True

    task_id: str


@contextmanager
def readable(task_id: str) -> Iterator[None]:
    """Read what is stored of a task in the block; raises `TaskUnreadable` if it is damaged.

    Without a checksum, damaged bytes can break what decodes them in any of these ways.
    """
    try:
        yield
    except (DamagedRecord, UnusableDatabase) as damaged:
        raise TaskUnreadable(damaged.message) from damaged
    except (ValueError, TypeError, LookupError, AttributeError, IllegalMove) as damaged:
        reason = f"a record of it cannot be read ({type(damaged).__name__})"
        raise TaskUnreadable(
            f"Task {task_id} is damaged: {reason}. Restore a backup, or delete it."
        ) from damaged


class CommittedView:
    """The committed log, for any number of readers; only the journal changes it."""

    def __init__(self, store: Store, bounds: TailBounds) -> None:
        self.store = store
        self._bounds = bounds
        self._used: dict[str, Tail] = {}
        self._idle: OrderedDict[str, Tail] = OrderedDict()  # The least recently used is the first.
        self._idle_bytes = 0
        self._closed_for: str | None = None

    # --- reading ----------------------------------------------------------------------------

    async def task(self, task_id: str) -> Task:
        """The committed state of a task; raises `TaskNotFound`."""
        async with self.use(task_id) as tail:
            assert tail.task is not None
            return tail.task

    async def read(self, tail: Tail, task_id: str, after: int) -> Piece | None:
        """The next committed events after `after`; None if there are none yet.

        Raises `TaskUnreadable`, also where opening the task did not, as that skips old events.
        """
        if tail.task is None or after >= tail.task.last_seq:
            return None
        if held := tail.read(after):
            return held
        with readable(task_id):
            piece = await self.store.read(task_id, after)
            if piece and not piece.is_whole:
                raise DamagedRecord(
                    f"Task {task_id} is damaged: an event from {after + 1} to {piece.last_seq} is "
                    "missing or is another one's. Restore a backup, or delete it."
                )
        return piece

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        """The private outputs of the completed steps, by step id; raises `TaskUnreadable`."""
        with readable(task_id):
            outputs = await self.store.outputs(task_id)
        return outputs

    @asynccontextmanager
    async def use(self, task_id: str) -> AsyncIterator[Tail]:
        """Hold a task's tail, loaded from the log if need be; raises `TaskNotFound`."""
        tail = self.hold(task_id)
        try:
            await self.load(task_id, tail)
            yield tail
        finally:
            self.let_go(task_id, tail)

    def hold(self, task_id: str) -> Tail:
        """The task's tail, perhaps not loaded; it stays the task's tail until `let_go`."""
        tail = self._used.get(task_id)
        if tail is None:
            tail = self._used[task_id] = self._idle_tail(task_id) or Tail(self._bounds)
        tail.users += 1
        return tail

    def let_go(self, task_id: str, tail: Tail) -> None:
        """Undo one `hold`."""
        tail.users -= 1
        if tail.users == 0 and self._used.get(task_id) is tail:
            del self._used[task_id]
            if tail.task is not None:
                self._idle[task_id] = tail
                self._idle_bytes += tail.size
                while self._idle_bytes > self._bounds.idle_bytes:
                    _, oldest = self._idle.popitem(last=False)
                    self._idle_bytes -= oldest.size

    def _idle_tail(self, task_id: str) -> Tail | None:
        """Take a tail out of those that nobody uses."""
        tail = self._idle.pop(task_id, None)
        if tail is not None:
            self._idle_bytes -= tail.size
        return tail

    async def load(self, task_id: str, tail: Tail) -> None:
        """Load a tail from the log, unless it is loaded; raises `TaskNotFound`, `TaskUnreadable`."""
        if tail.task is not None:
            return
        task = await self._snapshot(task_id)
        with readable(task_id):
            while piece := await self.store.read(task_id, task.last_seq if task else 0):
                for number, line in enumerate(piece.lines.splitlines(keepends=True), 1):
                    task = evolve(task, decode(line))
                    if number % LINES_PER_TICK == 0:
                        await trio.lowlevel.checkpoint()
                if tail.task is not None:
                    return  # A commit came first and brought the newer state along.
        if tail.task is None:
            if task is None or self._used.get(task_id) is not tail:  # Perhaps deleted meanwhile.
                raise TaskNotFound(f"There is no task {task_id}.")
            tail.task = task

    async def _snapshot(self, task_id: str) -> Task | None:
        """The task as it was at one of its last events, None if there is no snapshot to believe."""
        with suppress(TaskUnreadable, UnusableDatabase), readable(task_id):
            body = await self.store.snapshot(task_id)
            task = load_snapshot(body) if body else None
            if task is not None and task.task_id == task_id:
                return task
        return None

    # --- changing ---------------------------------------------------------------------------

    def show(self, append: Append) -> None:
        """Show an append that has been committed."""
        tail = self.hold(append.task.task_id)
        tail.extend(append)
        self.let_go(append.task.task_id, tail)

    def forget(self, task_id: str) -> None:
        """Forget a task that has been deleted."""
        tail = self._used.pop(task_id, None) or self._idle_tail(task_id)
        if tail is not None:
            tail.task = None
            tail.close_streams("deleted")

    def close_streams(self, reason: str, task_id: str | None = None) -> None:
        """Close the streams of one task, or all, and then those opened later, too."""
        if task_id is None:
            self._closed_for = reason
            for tail in self._used.values():
                tail.close_streams(reason)
        elif task_id in self._used:
            self._used[task_id].close_streams(reason)

    @property
    def closed_for(self) -> str | None:
        """Why all streams are closed, once they are."""
        return self._closed_for

    def gauges(self) -> dict[str, int]:
        """How much it holds in memory."""
        tails = [*self._used.values(), *self._idle.values()]
        return {"tails": len(tails), "tail_bytes": sum(tail.bytes for tail in tails)}


class Journal:
    """The actor. Its handlers defer their replies, and the commit settles them.

    No task has two appends here at once, and none while it is deleted. So the appends of a group may
    be answered in any order.
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
        """Commit what waits, one group after another; a delete waits for one group at most."""
        while True:
            while not (self._appends or self._deletes):
                await self._work.park()
            with trio.CancelScope(shield=True):
                if self._deletes:
                    await self._delete(*self._deletes.popleft())
                await self._commit()

    async def _delete(self, delete: Delete, call: Call[Any]) -> None:
        try:
            with readable(delete.task_id):
                status = await self._view.store.delete(delete.task_id)
        except (StorageUnavailable, TaskUnreadable) as unavailable:
            call.fail(unavailable)
        else:
            self._view.forget(delete.task_id)
            call.settle(status)

    def _take(self) -> list[Waiting]:
        group: list[Waiting] = []
        size = 0
        while self._appends and size < GROUP_BYTES:
            append, call = self._appends.popleft()
            group.append((append, call))
            size += len(append.lines) + len(append.snapshot or b"")
        self._room.unpark_all()
        return group

    async def _commit(self) -> None:
        """Commit a group, if any append waits, and answer it.

        What the answers lead to is in the next group. If that began at once, the groups of a busy loop
        would be a fifth as large (`tests/bench/speed`, commits), and a commit costs as much as ten appends.
        """
        outcomes: Sequence[Position | ActorError]
        group = self._take()
        if not group:
            return
        try:
            outcomes = await self._view.store.append([append for append, _ in group])
        except StorageUnavailable as unavailable:
            outcomes = [unavailable] * len(group)
        ordered = list(zip(group, outcomes, strict=True))
        # Endings first: a cancel waits for one, and must be quick however much is written.
        ordered.sort(key=lambda one: not one[0][0].task.finished)
        for start in range(0, len(ordered), REPLIES_PER_TICK):
            if start:
                await trio.lowlevel.checkpoint()
            self._answer(ordered[start : start + REPLIES_PER_TICK])

    def _answer(self, outcomes: Sequence[Outcome]) -> None:
        """Show each append to the readers, then settle its reply."""
        for (append, call), outcome in outcomes:
            if isinstance(outcome, ActorError):
                call.fail(outcome)
            else:
                self._view.show(append)
                call.settle(outcome)
