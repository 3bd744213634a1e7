"""A store that fails on demand: it refuses writes, is slow, or kills its process.

    disk = MemoryStore()                                       # survives
    store = FaultyStore(disk, [None, Refuse(), DieAfter()])    # as one process sees it

Rule: every answer of a `FaultyStore` is true. Once its process is dead, it writes nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import trio

from actors.errors import ActorError, StorageUnavailable
from actors.journal.log import Append, IndexPage, Piece, Position, Store
from actors.runtime import ProcessDied
from actors.tasks.life import TaskStatus


@dataclass(frozen=True, slots=True)
class Refuse:
    """There is no room (ENOSPC, EDQUOT): nothing is written."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The write takes so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Busy:
    """Another program holds the lock for so many seconds; past `BUSY_S` nothing is written."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DieBefore:
    """The process dies with nothing written."""


@dataclass(frozen=True, slots=True)
class DieAfter:
    """The process dies between the write and its answer."""


Fault: TypeAlias = Refuse | Delay | Busy | DieBefore | DieAfter

BUSY_S = 30.0
"""How long a write waits for the lock, as with SQLite."""


class FaultyStore:
    """What one process sees of `disk`; each write takes the next of `faults`, None for none.

    With `jitter` each operation first gives way to other tasks a few times, at random.
    `on_death` is called once, when a fault kills the process.
    """

    def __init__(
        self,
        disk: Store,
        faults: Iterable[Fault | None] = (),
        *,
        jitter: Random | None = None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._disk = disk
        self.faults = deque(faults)
        self.writing = 0
        self._jitter = jitter
        self._on_death = on_death
        self._dead = trio.Event()

    @property
    def dead(self) -> bool:
        """Whether its process is gone."""
        return self._dead.is_set()

    def die(self) -> None:
        """From now on every write raises `ProcessDied`, those under way included."""
        self._dead.set()

    async def _give_way(self) -> None:
        if self._jitter:
            most = 40 if self._jitter.random() < 0.1 else 4  # Now and then a disk is slow.
            for _ in range(self._jitter.randrange(most)):
                await trio.lowlevel.checkpoint()

    # --- writing ----------------------------------------------------------------------------

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        self.writing += 1
        try:
            await self._give_way()
            fault = await self._next_fault()
            outcomes = await self._disk.append(group)
            if isinstance(fault, DieAfter):
                self._kill()
            return outcomes
        finally:
            self.writing -= 1

    async def delete(self, task_id: str) -> TaskStatus | None:
        self.writing += 1
        try:
            await self._give_way()
            fault = await self._next_fault()
            status = await self._disk.delete(task_id)
            if isinstance(fault, DieAfter):
                self._kill()
            return status
        finally:
            self.writing -= 1

    async def _next_fault(self) -> Fault | None:
        """Take the next fault and apply what comes before the write."""
        self._check_alive()
        fault = self.faults.popleft() if self.faults else None
        match fault:
            case Refuse():
                raise StorageUnavailable("There is no room left for the log.")
            case Delay(seconds) | Busy(seconds):
                with trio.move_on_after(min(seconds, BUSY_S)):
                    await self._dead.wait()
                if isinstance(fault, Busy) and seconds > BUSY_S and not self.dead:
                    raise StorageUnavailable("Another program has locked the log.")
            case DieBefore():
                self._kill()
        self._check_alive()
        return fault

    def _kill(self) -> None:
        self.die()
        self._on_death()
        raise ProcessDied

    def _check_alive(self) -> None:
        if self.dead:
            raise ProcessDied

    async def claim(self) -> bool:
        self._check_alive()
        return await self._disk.claim()

    async def check(self) -> None:
        await self._disk.check()

    async def release(self) -> None:
        self._check_alive()
        await self._disk.release()

    # --- reading ----------------------------------------------------------------------------

    async def read(self, task_id: str, after: int) -> Piece | None:
        await self._give_way()
        return await self._disk.read(task_id, after)

    async def snapshot(self, task_id: str) -> bytes | None:
        await self._give_way()
        return await self._disk.snapshot(task_id)

    async def outputs(self, task_id: str) -> dict[str, bytes]:
        await self._give_way()
        return await self._disk.outputs(task_id)

    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        await self._give_way()
        return await self._disk.page(status, limit, before, owner)

    async def owner(self, task_id: str) -> str | None:
        await self._give_way()
        return await self._disk.owner(task_id)

    async def unfinished(self) -> list[str]:
        await self._give_way()
        return await self._disk.unfinished()

    async def counts(self, status: TaskStatus) -> Counter[str | None]:
        await self._give_way()
        return await self._disk.counts(status)
