"""A ledger: the one writer of a task's log.

It holds the task as decided, which may be ahead of the log by a bounded window; the committed view
is the journal's. Rule: `record` decides and never waits; nobody is told before `flush` returns.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from actors.clock import Now, rfc3339
from actors.errors import ActorError, OutputTooLarge
from actors.journal.log import EMPTY, MAX_LINE_BYTES, Append, Position, Record
from actors.runtime import Ref
from actors.tasks.events import Event, Stamped
from actors.tasks.life import Task, evolve


@dataclass(frozen=True, slots=True)
class Window:
    """How far a run may be ahead of the log."""

    events: int = 64
    bytes: int = 64 * 1024


class Ledger:
    """Decides what happens to a task, and has it committed in order."""

    def __init__(
        self, journal: Ref, task_id: str, task: Task | None, now: Now, window: Window
    ) -> None:
        self.task_id = task_id
        self._task = task
        self.committed: Position = task.last_seq if task else EMPTY
        self.failed: ActorError | None = None
        self._journal = journal
        self._now = now
        self._window = window
        self._ahead: deque[tuple[Record, Task]] = deque()
        self._ahead_bytes = 0
        self._sending = False
        self._moved = trio.lowlevel.ParkingLot()

    @property
    def task(self) -> Task:
        """The task as decided."""
        assert self._task is not None, "nothing has been recorded yet"
        return self._task

    @property
    def exists(self) -> bool:
        """Whether the task has at least been decided to exist."""
        return self._task is not None

    def record(
        self, event: Event, *, step_id: str | None = None, output: bytes | None = None
    ) -> None:
        """Decide that `event` has happened. Raises `OutputTooLarge` if its line would be too long."""
        if self.failed:
            raise self.failed
        seq = self._task.last_seq + 1 if self._task else 1
        stamped = Stamped(seq, self.task_id, rfc3339(self._now()), event)
        task = evolve(self._task, stamped)
        line = stamped.line()
        if len(line) > MAX_LINE_BYTES:
            raise OutputTooLarge(f"An event of {len(line):,} bytes is too long for the log.")
        self._task = task
        self._ahead.append((Record(seq, line, step_id, output), task))
        self._ahead_bytes += len(line)
        self._moved.unpark_all()

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
        """Wait until all that has been recorded is committed. Raises `StorageUnavailable`."""
        target = self._task.last_seq if self._task else EMPTY
        while self.committed < target:
            if self.failed:
                raise self.failed
            if self._sending:
                await self._moved.park()
            else:
                await self._send()

    @asynccontextmanager
    async def pumping(self) -> AsyncIterator[None]:
        """Inside the block what is recorded is committed as it comes; at its end, all of it is.

        If the log cannot be written, the block is cancelled and the log's error raised.
        """
        async with trio.open_nursery() as nursery:
            until_left = trio.CancelScope(shield=True)  # What has been decided is committed.
            nursery.start_soon(self._pump, until_left, nursery.cancel_scope)
            try:
                yield
            except Exception:
                if not self.failed:
                    raise  # Otherwise it is what came of the log's failure, raised below.
            finally:
                until_left.cancel()
        if self.failed:
            raise self.failed

    async def _pump(self, until_left: trio.CancelScope, block: trio.CancelScope) -> None:
        with contextlib.suppress(ActorError):  # It is in `failed`.
            with until_left:
                while True:
                    while not self._ahead:
                        await self._moved.park()
                    await self.flush()
            with trio.CancelScope(shield=True):
                await self.flush()
        if self.failed:
            block.cancel()

    async def _send(self) -> None:
        records, task = self._batch()
        self._sending = True
        try:
            with trio.CancelScope(shield=True):  # A commit is never half waited for.
                append = Append(task, self.committed, tuple(records))
                self.committed = await self._journal.ask(append)
                self._ahead_bytes -= sum(len(record.line) for record in records)
        except ActorError as error:
            self.failed = error
            raise
        finally:
            self._sending = False
            self._moved.unpark_all()

    def _batch(self) -> tuple[list[Record], Task]:
        records: list[Record] = []
        size = 0
        while self._ahead and size + len(self._ahead[0][0].line) <= MAX_LINE_BYTES:
            record, task = self._ahead.popleft()
            records.append(record)
            size += len(record.line)
        return records, task
