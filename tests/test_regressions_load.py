"""What the crash test and the load test have found, each told once without chance or real time."""

from __future__ import annotations

import pytest
import trio

from actors.errors import TaskNotFound
from actors.journal.log import Piece
from actors.journal.memory import MemoryStore
from actors.testing import Cast, Delay, FaultyStore, scripted_system


class SlowRead(MemoryStore):
    """The first read after `slow` was set comes back late, with what was true when it was asked."""

    slow = False

    async def read(self, task_id: str, after: int) -> Piece | None:
        slow, self.slow = self.slow, False
        piece = await super().read(task_id, after)
        await trio.sleep(5 if slow else 0)
        return piece


async def test_a_task_that_is_deleted_while_it_is_read_from_the_log_is_gone(
    autojump_clock: object,
) -> None:
    disk = SlowRead()
    async with scripted_system(store=disk) as system:
        task_id = (await system.create("frogs")).task_id
    async with scripted_system(store=disk) as system, trio.open_nursery() as nursery:
        disk.slow = True

        async def start() -> None:
            with pytest.raises(TaskNotFound):
                await system.start(task_id)

        nursery.start_soon(start)
        await trio.sleep(1)
        await system.delete(task_id)


async def test_nobody_is_told_that_a_task_is_gone_before_the_log_has_forgotten_it(
    autojump_clock: object,
) -> None:
    disk = FaultyStore(MemoryStore())
    async with scripted_system(Cast(), store=disk) as system, trio.open_nursery() as nursery:
        task_id = (await system.create("frogs")).task_id
        disk.faults.append(Delay(5))
        nursery.start_soon(system.delete, task_id)
        await trio.sleep(1)
        with pytest.raises(TaskNotFound):
            await system.start(task_id)
        assert trio.current_time() == 5


async def test_a_task_that_is_being_deleted_stays_one_task(autojump_clock: object) -> None:
    """Else a start would begin on a copy of it, and the log would refuse what that run does."""
    disk = FaultyStore(MemoryStore())
    async with scripted_system(Cast(), store=disk) as system, trio.open_nursery() as nursery:
        task_id = (await system.create("frogs", idempotency_key="k")).task_id
        disk.faults.append(Delay(5))
        nursery.start_soon(system.delete, task_id)
        await trio.sleep(1)
        assert (await system.create("frogs", idempotency_key="k")).task_id == task_id
        with pytest.raises(TaskNotFound):
            await system.start(task_id)
