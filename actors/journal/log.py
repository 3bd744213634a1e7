"""The protocol of log engines: `Log`, the source of truth, and `Index`, a projection of it.

Rule: no operation that an engine on another database could not offer. An append is one message, which
is refused unless the task's log is at the position that the writer expects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple, Protocol

from actors.errors import ActorError
from actors.runtime.request import Request
from actors.tasks.life import Task, TaskStatus

Position = int
"""The seq of the last event in a task's log. Compare it for equality only."""

EMPTY: Position = 0
"""The position of a task that does not exist."""

MAX_LINE_BYTES = 512 * 1024
"""The longest line, and the most bytes of lines in one append."""

SNAPSHOT_EVERY = 1_000
"""Events from one snapshot to the next, and so about the most that are decoded to open a task.
`tests/bench/long_logs.py` prints the time. A snapshot is at most about as long as so many events."""

PIECE_BYTES = 256 * 1024
"""A read stops after the append that takes it past this many bytes."""


class StaleWriter(ActorError):
    """The log is not at the position the writer expects: there is another writer. A bug."""

    code = "stale_writer"


class Record(NamedTuple):  # Made in half the time of a frozen dataclass.
    """One event to be committed: its public line and, for a step that completed, its output."""

    seq: int
    line: bytes
    step_id: str | None = None
    output: bytes | None = None


@dataclass(frozen=True)  # Without slots, for `lines`.
class Append(Request[Position]):
    """Commit these records after `expected`; `task` is what they make of the task.

    `snapshot` replaces the task's older snapshot.
    """

    must_finish: ClassVar[bool] = True

    task: Task
    expected: Position
    records: tuple[Record, ...]
    snapshot: bytes | None = None

    @cached_property
    def lines(self) -> bytes:
        """All its lines, joined."""
        return b"".join([record.line for record in self.records])

    @property
    def piece(self) -> Piece:
        """Its events."""
        return Piece(self.records[0].seq, self.records[-1].seq, self.lines)


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive events as their bytes: the lines of `first_seq` to `last_seq`."""

    first_seq: int
    last_seq: int
    lines: bytes

    @property
    def is_whole(self) -> bool:
        """Whether it has one line for each of its events, the first one first."""
        begins = self.lines.startswith(b'{"seq":%d,' % self.first_seq)
        return begins and self.lines.count(b"\n") == self.last_seq - self.first_seq + 1


@dataclass(frozen=True, slots=True)
class IndexPage:
    """Tasks without steps and texts, newest first; `next_before` continues, None at the end."""

    tasks: tuple[Task, ...]
    next_before: int | None


class Log(Protocol):
    """An append-only log of events for each task."""

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        """Commit the group durably; one answer for each append, in order.

        Raises `StorageUnavailable`, with nothing committed.
        """

    async def read(self, task_id: str, after: int) -> Piece | None:
        """The next events after seq `after`, at most about `PIECE_BYTES`; None if there are none."""

    async def snapshot(self, task_id: str) -> bytes | None:
        """The newest snapshot, None if there is none; never of an event that the log does not have."""

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        """The private outputs of the completed steps, by step id."""

    async def delete(self, task_id: str) -> TaskStatus | None:
        """Delete a task with its events, outputs and snapshot; an unknown one is no error.

        Returns the status that the index had, or None.
        """


class Index(Protocol):
    """Queries over many tasks; kept with the log, and can be rebuilt from it."""

    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        """A page of at most `limit` tasks created before the mark `before`; of one owner, if given."""

    async def owner(self, task_id: str) -> str | None:
        """Whose task it is, even if its log is damaged; None also if the index does not know it."""

    async def unfinished(self) -> list[str]:
        """The ids of executing, then of queued tasks, each longest waiting first."""

    async def counts(self, status: TaskStatus) -> Counter[str | None]:
        """How many tasks of each owner are in this state, without a look at the others."""


class Store(Log, Index, Protocol):
    """Both in one, as one transaction keeps them."""

    async def claim(self) -> bool:
        """Called once at the start: whether the last owner released it."""

    async def release(self) -> None:
        """Called last at an orderly end; the next `claim` returns True."""

    async def check(self) -> None:
        """Raise `StorageUnavailable` if there is no room, or writes are refused, as the last was."""


def lines_after(lines: bytes, first_seq: int, after: int) -> bytes:
    """The lines after seq `after` among the joined lines that begin with `first_seq`."""
    start = 0
    for _ in range(after - first_seq + 1):
        start = lines.index(b"\n", start) + 1
    return lines[start:]
