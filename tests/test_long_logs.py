"""What long logs and many tasks cost: counted in events and in instructions of SQLite, not in time."""

from __future__ import annotations

from contextlib import closing

import trio

from actors.clock import virtual_clock
from actors.journal.follower import Follower
from actors.journal.journal import CommittedView, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.log import SNAPSHOT_EVERY, Piece
from actors.journal.sqlite import SCHEMA, SqliteStore
from actors.journal.tail import TailBounds
from actors.runtime import spawn
from actors.sqlite import MemoryDatabase
from actors.tasks import events as e
from actors.tasks.plan import StepKind
from actors.testing import scripted_system

WRITING: tuple[str, StepKind] = ("s1", "writing")


class Counting(SqliteStore):
    """Counts the events that are read of logs, and the instructions that SQLite executes for it."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.events = self.instructions = 0
        database.read_now(lambda db: db.set_progress_handler(self._count, 1))

    def _count(self) -> None:
        self.instructions += 1

    async def read(self, task_id: str, after: int) -> Piece | None:
        piece = await super().read(task_id, after)
        self.events += piece.lines.count(b"\n") if piece else 0
        return piece


async def written(store: SqliteStore, events: int, window: int = 64) -> None:
    """Write a task with so many events, about `window` in each row."""
    async with trio.open_nursery() as nursery:
        view = CommittedView(store, TailBounds())
        journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
        ledger = Ledger(journal, "t1", None, virtual_clock, Window())
        ledger.record(e.TaskCreated("frogs"), e.TaskQueued(0, 1), e.TaskStarted(1))
        ledger.record(e.StepStarted(*WRITING, 1, 1, "writer", "write", 1))
        for n in range(5, events + 1):
            ledger.record(e.PartialOutput(*WRITING, 1, "frog "))
            if n % window == 0:
                await ledger.flush()
        await ledger.flush()
        nursery.cancel_scope.cancel()


async def opening(events: int) -> tuple[int, int]:
    """The events that are read to open a task with so many, and the instructions of SQLite."""
    with closing(MemoryDatabase(SCHEMA)) as database:
        await written(SqliteStore(database), events)
        store = Counting(database)
        task = await CommittedView(store, TailBounds()).task("t1")
        assert (task.last_seq, task.text) == (events, "frog " * (events - 4))
        return store.events, store.instructions


async def test_a_task_is_opened_from_its_last_events_however_long_its_log_is() -> None:
    _, of_a_short_log = await opening(SNAPSHOT_EVERY + 200)
    events, instructions = await opening(20 * SNAPSHOT_EVERY + 200)
    assert events <= SNAPSHOT_EVERY
    assert instructions < 1.5 * of_a_short_log


async def replaying(events: int) -> int:
    """The instructions of SQLite for a replay."""
    with closing(MemoryDatabase(SCHEMA)) as database:
        await written(SqliteStore(database), events, window=2)
        store = Counting(database)
        follower = await Follower.open(CommittedView(store, TailBounds()), "t1", follow=False)
        assert [piece.last_seq async for piece in follower][-1] == events
        return store.instructions


async def test_a_replay_costs_in_proportion_to_the_events() -> None:
    assert await replaying(10_000) < 11 * await replaying(1_000)


async def starting(tasks: int) -> int:
    """The instructions of SQLite for a start with so many finished tasks, and a pending one."""
    with closing(MemoryDatabase(SCHEMA)) as database:
        async with scripted_system(store=SqliteStore(database)) as system:
            for _ in range(tasks):
                await system.cancel((await system.create("frogs")).task_id)
            await system.create("toads")
        store = Counting(database)
        async with scripted_system(store=store) as system:
            assert system.gauges()["pending_tasks"] == 1
            return store.instructions


async def test_a_start_reads_no_finished_tasks() -> None:
    assert await starting(500) < 1.5 * await starting(5)
