"""A follower: somebody who reads a task's log from a place of their own, as far as it goes.

Rule: a follower is a cursor and no queue. However slow it reads, it costs its piece in hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from actors.errors import InvalidRequest
from actors.journal.journal import CommittedView
from actors.journal.log import Piece
from actors.journal.tail import Tail
from actors.tasks.life import FINAL


@dataclass(frozen=True, slots=True)
class Closing:
    """The server ends a stream before its time; the rest is after seq `resume_after`."""

    reason: str
    resume_after: int | None


class Follower:
    """Pieces of a log from seq `after` + 1 on: `async with`, then iterate.

    With `follow` the iteration ends when the last event of the log is an ending; without, with what
    is there now. If the server ends it early, it just ends and `closing` says why.
    """

    def __init__(self, view: CommittedView, task_id: str, after: int, follow: bool = True) -> None:
        self.after = after
        self.closing: Closing | None = None
        self._view = view
        self._task_id = task_id
        self._follow = follow
        self._use = view.use(task_id)
        self._tail: Tail

    async def __aenter__(self) -> Follower:
        self._tail = await self._use.__aenter__()
        self._closings = self._tail.closings
        last = self._tail.task.last_seq if self._tail.task else 0
        if not 0 <= self.after <= last:
            await self._use.__aexit__(None, None, None)
            raise InvalidRequest(f"after must be from 0 to {last}, the last seq of this task.")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._use.__aexit__(kind, error, traceback)

    def __aiter__(self) -> Follower:
        return self

    @property
    def at_end(self) -> bool:
        """Whether the task has ended and everything has been read."""
        task = self._tail.task
        return task is not None and task.status in FINAL and self.after >= task.last_seq

    async def __anext__(self) -> Piece:
        while True:
            piece = await self._view.read(self._tail, self._task_id, self.after)
            if piece is not None:
                self.after = piece.last_seq
                return piece
            if self.at_end or not self._follow:
                raise StopAsyncIteration
            if self._tail.closings > self._closings or self._view.closed_for:
                self._close()
                raise StopAsyncIteration
            await self._tail.grown.park()

    def _close(self) -> None:
        reason = self._view.closed_for or self._tail.closed_for
        self.closing = Closing(reason, None if reason == "deleted" else self.after)
