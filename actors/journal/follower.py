"""A follower: a reader of one task's log, with a cursor of its own.

Rule: a follower is a cursor, not a queue. However slowly it reads, it holds one piece at most, and a
follower that is dropped needs no clean-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from actors.errors import InvalidRequest, TaskNotFound
from actors.journal.journal import CommittedView
from actors.journal.log import Piece
from actors.journal.tail import Tail
from actors.tasks.life import FINAL


@dataclass(frozen=True, slots=True)
class Closing:
    """The server ends a stream early; the rest comes after seq `resume_after`."""

    reason: str
    resume_after: int | None


class Follower:
    """Iterates over the pieces of a log from seq `after` + 1 on.

    With `follow` it ends with the event that ends the run, without it with the last event that is
    committed now. If the server ends it early, `closing` says why. `ended` is true if there was
    nothing to read or to wait for when it was opened.
    """

    def __init__(self, view: CommittedView, task_id: str, after: int, follow: bool) -> None:
        self.after = after
        self.closing: Closing | None = None
        self.ended = False
        self._view = view
        self._task_id = task_id
        self._follow = follow
        self._seen: tuple[Tail, int] | None = None

    @classmethod
    async def open(
        cls, view: CommittedView, task_id: str, after: int = 0, *, follow: bool = True
    ) -> Self:
        """Raises `TaskNotFound`, and `InvalidRequest` if `after` is past the end of this log.

        If the next event cannot be read, `TaskUnreadable` is raised now: a stream of none would be
        opened again and again.
        """
        async with view.use(task_id) as tail:
            last = tail.task.last_seq if tail.task else 0
            if not 0 <= after <= last:
                raise InvalidRequest(f"after must be from 0 to {last}, this task's last seq.")
            if not tail.holds(after):
                await view.read(tail, task_id, after)
            follower = cls(view, task_id, after, follow)
            follower._seen = (tail, tail.closings)
            follower.ended = follower._at_end(tail)
            return follower

    @property
    def ready(self) -> bool:
        """Whether the next piece is in memory, or the end has been reached."""
        if self._seen is None or (task := self._seen[0].task) is None:
            return False
        held = self.after < task.last_seq and self._seen[0].holds(self.after)
        return held or self._at_end(self._seen[0])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        tail = self._view.hold(self._task_id)  # As `use` does, but this happens for each event.
        try:
            await self._view.load(self._task_id, tail)
            piece = await self._next(tail)
        except TaskNotFound:
            self.closing = Closing("deleted", None)
            piece = None
        finally:
            self._view.let_go(self._task_id, tail)
        if piece is None:
            raise StopAsyncIteration
        self.after = piece.last_seq
        return piece

    async def _next(self, tail: Tail) -> Piece | None:
        """The next piece, as soon as there is one; None if the stream ends."""
        if self._seen is None or self._seen[0] is not tail:
            self._seen = (tail, tail.closings)
        while True:
            piece = await self._view.read(tail, self._task_id, self.after)
            if piece is not None:
                return piece
            if tail.task is None or self.after < tail.task.last_seq:  # Deleted while it was read.
                self._close("deleted")
                return None
            if not self._follow or self._at_end(tail):
                return None
            if tail.closings > self._seen[1] or self._view.closed_for:
                self._close(self._view.closed_for or tail.closed_for)
                return None
            tail.drop_what_all_have_read()
            await tail.grown.park()

    def _at_end(self, tail: Tail) -> bool:
        task = tail.task
        return task is not None and task.status in FINAL and self.after >= task.last_seq

    def _close(self, reason: str) -> None:
        self.closing = Closing(reason, None if reason == "deleted" else self.after)
