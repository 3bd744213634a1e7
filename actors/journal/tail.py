"""The newest events of a task, in memory, and the readers that wait for more.

Rule: a tail shows only what is committed. It is a cache: dropping one loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import trio

from actors.journal.log import PIECE_BYTES, Append, Piece
from actors.tasks.life import Task


@dataclass(frozen=True, slots=True)
class TailBounds:
    """The most events and bytes that a tail holds; it always holds the newest event."""

    events: int = 256
    bytes: int = 256 * 1024


class Tail:
    """The committed view of one task.

    `task` is None until it is loaded. `users` counts the holders of this object, `closings` how
    often its streams were closed, the last time for the reason `closed_for`.
    """

    __slots__ = ("_bounds", "_bytes", "_lines", "closed_for", "closings", "grown", "task", "users")

    def __init__(self, bounds: TailBounds) -> None:
        self._bounds = bounds
        self._lines: list[bytes] = []  # A deque takes 700 bytes more.
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

    def extend(self, append: Append) -> None:
        """Show what has been committed, and wake the readers that wait."""
        for record in append.records:
            self._lines.append(record.line)
            self._bytes += len(record.line)
        dropped = 0
        while dropped < len(self._lines) - 1 and (
            len(self._lines) - dropped > self._bounds.events or self._bytes > self._bounds.bytes
        ):
            self._bytes -= len(self._lines[dropped])
            dropped += 1
        del self._lines[:dropped]
        self.task = append.task
        self.grown.unpark_all()

    def close_streams(self, reason: str) -> None:
        """Close the streams that are open now; later ones may follow again."""
        self.closings += 1
        self.closed_for = reason
        self.grown.unpark_all()

    def holds(self, after: int) -> bool:
        """Whether it holds all events after `after`."""
        return self.task is not None and after >= self.task.last_seq - len(self._lines)

    def read(self, after: int) -> Piece | None:
        """The events after `after`; None if there are none, or not all of them are held."""
        if self.task is None or not self.holds(after) or after >= self.task.last_seq:
            return None
        skipped = after - (self.task.last_seq - len(self._lines))
        lines = list(_up_to_a_piece(self._lines[skipped:]))
        return Piece(after + 1, after + len(lines), b"".join(lines))


def _up_to_a_piece(lines: Iterable[bytes]) -> Iterable[bytes]:
    size = 0
    for line in lines:
        if size >= PIECE_BYTES:
            return
        size += len(line)
        yield line
