"""The newest events of a task, in memory, and the readers that wait for more.

Rule: a tail shows only what is committed. It is a cache: dropping one loses nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice

import trio

from actors.journal.log import PIECE_BYTES, Append, Piece, lines_after
from actors.tasks.life import Task


@dataclass(frozen=True, slots=True)
class TailBounds:
    """The most events and bytes that a tail holds; it always holds the newest event.

    All tails that nobody uses have `idle_bytes`. A task that was created and not executed is one of
    them: with room for 256 tails, a task cost 1.6 times as much when 500 clients came at once.
    """

    events: int = 256
    bytes: int = 256 * 1024
    idle_bytes: int = 32 * 1024 * 1024


TASK_BYTES = 2 * 1024
"""About what a task takes without its texts."""


class Tail:
    """The committed view of one task.

    `task` is None until it is loaded. `users` counts the holders of this object, `closings` how
    often its streams were closed, the last time for the reason `closed_for`.
    """

    __slots__ = ("_bounds", "_bytes", "_pieces", "closed_for", "closings", "grown", "task", "users")

    def __init__(self, bounds: TailBounds) -> None:
        self._bounds = bounds
        self._pieces: list[Piece] = []  # One for each commit. A deque takes 700 bytes more.
        self._bytes = 0
        self.task: Task | None = None
        self.grown = trio.lowlevel.ParkingLot()
        self.users = 0
        self.closings = 0
        self.closed_for = ""

    @property
    def bytes(self) -> int:
        """How many bytes of lines it holds."""
        return self._bytes

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return self._bytes + TASK_BYTES + (len(self.task.text) if self.task else 0)

    def extend(self, append: Append) -> None:
        """Show what has been committed, and wake the readers that wait."""
        self._pieces.append(append.piece)
        self._bytes += len(append.lines)
        while self._is_full():
            oldest = self._pieces.pop(0)
            self._bytes -= len(oldest.lines)
            if not self._pieces:
                self._pieces = [_end_of(oldest, self._bounds)]
                self._bytes = len(self._pieces[0].lines)
                break
        self.task = append.task
        self.grown.unpark_all()

    def _is_full(self) -> bool:
        events = self._pieces[-1].last_seq - self._pieces[0].first_seq + 1
        return events > self._bounds.events or self._bytes > self._bounds.bytes

    def drop_what_all_have_read(self) -> None:
        """Called by a reader before it waits. Who comes later reads the log.

        A stream that waits for a model holds a third less memory so (`tests/bench/speed`, memory).
        """
        if len(self.grown) == self.users - 1:
            self._pieces.clear()
            self._bytes = 0

    def close_streams(self, reason: str) -> None:
        """Close the streams that are open now; later ones may follow again."""
        self.closings += 1
        self.closed_for = reason
        self.grown.unpark_all()

    def holds(self, after: int) -> bool:
        """Whether it holds all events after `after`."""
        if self.task is None:
            return False
        return after >= (self._pieces[0].first_seq - 1 if self._pieces else self.task.last_seq)

    def read(self, after: int) -> Piece | None:
        """The events after `after`; None if there are none, or not all of them are held."""
        if self.task is None or not self.holds(after) or after >= self.task.last_seq:
            return None
        number = bisect_right(self._pieces, after, key=lambda piece: piece.last_seq)
        first = self._pieces[number]
        found = [lines_after(first.lines, first.first_seq, after)]
        size, last = len(found[0]), first.last_seq
        for piece in islice(self._pieces, number + 1, None):
            if size >= PIECE_BYTES:
                break
            found.append(piece.lines)
            size, last = size + len(piece.lines), piece.last_seq
        return Piece(after + 1, last, b"".join(found))


def _end_of(piece: Piece, bounds: TailBounds) -> Piece:
    """As many of its last events as may be held, at least one."""
    lines = piece.lines
    newest = lines.rfind(b"\n", 0, -1) + 1
    begin = max(len(lines) - bounds.bytes, 0)
    start = min(lines.index(b"\n", begin - 1) + 1, newest) if begin else 0
    first = piece.last_seq - lines.count(b"\n", start) + 1
    wanted = max(first, piece.last_seq - bounds.events + 1)
    return Piece(wanted, piece.last_seq, lines_after(lines[start:], first, wanted - 1))
