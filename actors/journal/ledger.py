"""A ledger: the one writer of a task's log.

It holds the task as decided, which may be ahead of the log by a bounded window.

Rule: `record` decides and never waits; no answer is given before `flush` has returned.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from actors.clock import Now, rfc3339
from actors.errors import ActorError, OutputTooLarge
from actors.journal.log import (
    EMPTY,
    MAX_LINE_BYTES,
    SNAPSHOT_EVERY,
    Append,
    Position,
    Record,
)
from actors.runtime import Call, Ref
from actors.tasks.events import Event, Stamped
from actors.tasks.life import Task, evolve
from actors.tasks.snapshot import dump_snapshot


@dataclass(frozen=True, slots=True)
class Window:
    """How far a run may be ahead of the log."""

    events: int = 64
    bytes: int = 64 * 1024


class Ledger:
    """Records what happens to a task, and has the journal commit it in order."""

    def __init__(
        self,
        journal: Ref,
        task_id: str,
        task: Task | None,
        now: Now,
        window: Window,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self.task_id = task_id
        self._task = task
        self.committed: Position = task.last_seq if task else EMPTY
        self.failed: ActorError | None = None
        self._journal = journal
        self._now = now
        self._window = window
        self._snapshot_every = snapshot_every
        self._ahead: list[tuple[Record, Task]] = []  # A deque takes 700 bytes more.
        self._ahead_bytes = 0
        self._sent_bytes = 0
        self._unsent: Append | None = None
        self._block: trio.Nursery | None = None
        self._moved = trio.lowlevel.ParkingLot()
        self._flushing: list[tuple[Position, trio.lowlevel.Task]] = []

    @property
    def task(self) -> Task:
        """The task as decided."""
        assert self._task is not None, "nothing has been recorded yet"
        return self._task

    @property
    def exists(self) -> bool:
        """Whether the creation of the task has been recorded."""
        return self._task is not None

    def record(
        self, *events: Event, step_id: str | None = None, output: bytes | None = None
    ) -> None:
        """Decide that `events` have happened now; the last is committed with `output`.

        Raises `OutputTooLarge` if a line would be too long, and then changes nothing.
        """
        if self.failed:
            raise self.failed
        decided: list[tuple[Record, Task]] = []
        task, size = self._task, 0
        # A clock may be set back. The times of a log are not: deadlines count from them.
        time = max(rfc3339(self._now()), task.updated_at if task else "")
        for number, event in enumerate(events, 1):
            seq = task.last_seq + 1 if task else 1
            stamped = Stamped(seq, self.task_id, time, event)
            task = evolve(task, stamped)
            line = stamped.line()
            if len(line) > MAX_LINE_BYTES:
                raise OutputTooLarge(f"An event of {len(line):,} bytes is too long for the log.")
            last = number == len(events)
            record = Record(seq, line, step_id, output) if last else Record(seq, line)
            decided.append((record, task))
            size += len(line)
        self._task = task
        self._ahead += decided
        self._ahead_bytes += size
        self._send()

    async def room(self) -> None:
        """Wait while the window is full."""
        while (
            self.task.last_seq - self.committed >= self._window.events
            or self._ahead_bytes >= self._window.bytes
        ):
            if self.failed:
                raise self.failed
            await self._moved.park()

    async def flush(self) -> None:
        """Wait until all that has been recorded is committed. Raises `StorageUnavailable`.

        It cannot be cancelled: another ledger of the same task must not begin at this position.
        """
        target = self._task.last_seq if self._task else EMPTY
        while self.committed < target:
            if self.failed:
                raise self.failed
            if self._unsent:
                await self._send_when_there_is_room()
            else:  # In a shielded scope this would take three times as long.
                self._flushing.append((target, trio.lowlevel.current_task()))
                await trio.lowlevel.wait_task_rescheduled(_stay)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Commit all that was recorded in the block before it ends.

        If the log cannot be written, the block is cancelled and the log's error is raised.
        """
        async with trio.open_nursery() as nursery:
            self._block = nursery
            try:
                yield
            except Exception:
                if not self.failed:
                    raise  # Otherwise the failure of the log has caused it, which is raised below.
            finally:
                self._block = None
                with contextlib.suppress(ActorError):  # It is in `failed`.
                    await self.flush()
                nursery.cancel_scope.cancel()
        if self.failed:
            raise self.failed

    # --- to the journal -------------------------------------------------------------------------

    def _send(self) -> None:
        """Send what has been decided, unless an append is under way; its reply sends the rest.

        This is a callback, not a task of its own, because it runs for each event of each run.
        """
        if self._sent_bytes or not self._ahead:
            return
        append = self._batch()
        try:
            self._journal.send_on_nowait(append, self._answered)
        except trio.WouldBlock:
            self._unsent = append
            if self._block is not None:
                self._block.start_soon(self._send_when_there_is_room)
            else:  # A `flush` sends it.
                self._wake()
        except ActorError as stopped:
            self._fail(stopped)

    async def _send_when_there_is_room(self) -> None:
        append, self._unsent = self._unsent, None
        if append is None:
            return  # `flush` has been here.
        with trio.CancelScope(shield=True):
            try:
                await self._journal.send_on(append, self._answered)
            except ActorError as stopped:
                self._fail(stopped)

    def _answered(self, call: Call[Position]) -> None:
        try:
            self.committed = call.result()
        except ActorError as error:
            self._fail(error)
            return
        self._ahead_bytes -= self._sent_bytes
        self._sent_bytes = 0
        self._wake()
        self._send()

    def _fail(self, error: ActorError) -> None:
        self.failed = error
        if self._block is not None:
            self._block.cancel_scope.cancel()
        self._wake()

    def _wake(self) -> None:
        """Let those go on that wait for the log; a flush, when all that it waits for is there."""
        self._moved.unpark_all()
        waiting, self._flushing = self._flushing, []
        for target, task in waiting:
            if self.committed >= target or self.failed or self._unsent:
                trio.lowlevel.reschedule(task)
            else:
                self._flushing.append((target, task))

    def _batch(self) -> Append:
        records: list[Record] = []
        for record, decided in self._ahead:
            if self._sent_bytes + len(record.line) > MAX_LINE_BYTES:
                break
            self._sent_bytes += len(record.line)
            records.append(record)
            task = decided
        del self._ahead[: len(records)]
        return Append(task, self.committed, tuple(records), self._snapshot(task))

    def _snapshot(self, task: Task) -> bytes | None:
        """A snapshot for each append that passes a multiple of `snapshot_every`."""
        every = self._snapshot_every
        return dump_snapshot(task) if task.last_seq // every > self.committed // every else None


def _stay(_raise_cancel: object) -> trio.lowlevel.Abort:
    """A wait that cannot be cancelled."""
    return trio.lowlevel.Abort.FAILED
