"""The log in memory: for tests, and for programs that store nothing.

Rule: no thread and no clock, so that it works in virtual time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import trio

from actors.errors import ActorError
from actors.journal.log import (
    EMPTY,
    PIECE_BYTES,
    Append,
    IndexPage,
    Piece,
    Position,
    StaleWriter,
    lines_after,
)
from actors.tasks.life import Task, TaskStatus


class MemoryStore:
    """A `Store` of dictionaries. One system after another may use it, like a disk."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._pieces: dict[str, list[Piece]] = {}
        self._outputs: dict[str, dict[str, bytes]] = {}
        self._snapshots: dict[str, bytes] = {}
        self._marks: dict[str, int] = {}
        self._created = 0
        self._orderly = True

    async def claim(self) -> bool:
        orderly, self._orderly = self._orderly, False
        return orderly

    async def check(self) -> None:
        await trio.lowlevel.checkpoint()

    async def release(self) -> None:
        self._orderly = True

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        await trio.lowlevel.checkpoint()
        return [self._append(one) for one in group]

    def _append(self, append: Append) -> Position | ActorError:
        task_id = append.task.task_id
        known = self._tasks.get(task_id)
        if (known.last_seq if known else EMPTY) != append.expected:
            return StaleWriter(f"The log of task {task_id} is not at {append.expected}.")
        if known is None:
            self._created += 1
            self._marks[task_id] = self._created
        self._pieces.setdefault(task_id, []).append(append.piece)
        outputs = self._outputs.setdefault(task_id, {})
        outputs.update({r.step_id: r.output for r in append.records if r.step_id and r.output})
        self._tasks[task_id] = append.task
        if append.snapshot:
            self._snapshots[task_id] = append.snapshot
        return append.records[-1].seq

    async def read(self, task_id: str, after: int) -> Piece | None:
        await trio.lowlevel.checkpoint()
        found: list[bytes] = []
        size, last = 0, after
        pieces = self._pieces.get(task_id, [])
        number = bisect_right(pieces, after, key=lambda piece: piece.last_seq)
        while number < len(pieces) and size < PIECE_BYTES:
            piece = pieces[number]
            found.append(lines_after(piece.lines, piece.first_seq, after))
            size, last, number = size + len(found[-1]), piece.last_seq, number + 1
        return Piece(after + 1, last, b"".join(found)) if found else None

    async def snapshot(self, task_id: str) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self._snapshots.get(task_id)

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        await trio.lowlevel.checkpoint()
        return dict(self._outputs.get(task_id, {}))

    async def delete(self, task_id: str) -> TaskStatus | None:
        await trio.lowlevel.checkpoint()
        task = self._tasks.get(task_id)
        tables = (self._tasks, self._pieces, self._outputs, self._snapshots, self._marks)
        for table in tables:
            table.pop(task_id, None)
        return task.status if task else None

    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        await trio.lowlevel.checkpoint()
        found = [
            (mark, self._tasks[task_id])
            for task_id, mark in reversed(self._marks.items())
            if (before is None or mark < before)
            and status in (None, self._tasks[task_id].status)
            and owner in (None, self._tasks[task_id].owner)
        ]
        more = len(found) > limit
        page = found[:limit]
        return IndexPage(tuple(task for _, task in page), page[-1][0] if more else None)

    async def owner(self, task_id: str) -> str | None:
        await trio.lowlevel.checkpoint()
        return self._tasks[task_id].owner if task_id in self._tasks else None

    async def unfinished(self) -> list[str]:
        await trio.lowlevel.checkpoint()
        order = ("executing", "queued")
        found = [task for task in self._tasks.values() if task.status in order]
        found.sort(key=lambda task: (order.index(task.status), task.updated_at))
        return [task.task_id for task in found]

    async def counts(self, status: TaskStatus) -> Counter[str | None]:
        await trio.lowlevel.checkpoint()
        return Counter(task.owner for task in self._tasks.values() if task.status == status)
