"""The journal: group commit, compare-and-set, followers, bounds, and the stores.

Tests that take a `store` run on both, the one in memory and the one on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.clock import virtual_clock
from actors.errors import ActorError, InvalidRequest, StorageUnavailable, TaskNotFound
from actors.journal.follower import Follower
from actors.journal.journal import (
    GROUP_APPENDS,
    GROUP_BYTES,
    CommittedView,
    Delete,
    Journal,
)
from actors.journal.ledger import Ledger, Window
from actors.journal.log import (
    PIECE_BYTES,
    SNAPSHOT_EVERY,
    Append,
    IndexPage,
    Piece,
    Position,
    StaleWriter,
    Store,
)
from actors.journal.memory import MemoryStore
from actors.journal.sqlite import SCHEMA, SqliteStore, open_sqlite_store
from actors.journal.tail import TailBounds
from actors.runtime import ActorHandle, spawn
from actors.runtime.fairness import LINES_PER_TICK
from actors.sqlite import MemoryDatabase, open_database
from actors.tasks import events as e
from actors.tasks.failure import Failure
from actors.tasks.life import TaskStatus
from actors.tasks.plan import StepKind
from actors.testing import check_store
from actors.testing.check_store import MakeStore

WRITING: tuple[str, StepKind] = ("s1", "writing")


@pytest.fixture(params=["memory", "disk"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        async with open_sqlite_store(tmp_path / "log.db") as opened:
            yield opened


@pytest.fixture
def view(store: Store) -> CommittedView:
    return CommittedView(store, TailBounds(events=8))


@pytest.fixture
def journal(view: CommittedView, nursery: trio.Nursery) -> ActorHandle:
    return spawn(nursery, "journal", lambda: Journal(view), capacity=64)


def ledger_of(journal: ActorHandle, task_id: str = "t1", **window: int) -> Ledger:
    return Ledger(journal, task_id, None, virtual_clock, Window(**window))


async def begun(journal: ActorHandle, task_id: str = "t1", parts: int = 0) -> Ledger:
    """A task that is writing, with `parts` parts of text, in one commit."""
    ledger = ledger_of(journal, task_id)
    for event in (
        e.TaskCreated("frogs", None, {"a": "b"}),
        e.TaskQueued(0, 1),
        e.TaskStarted(1),
        e.StepStarted(*WRITING, 1, 1, "writer", "write", 1),
        *(e.PartialOutput(*WRITING, 1, f"part {n}. ") for n in range(parts)),
    ):
        ledger.record(event)
    await ledger.flush()
    return ledger


async def created(journal: ActorHandle, task_id: str, description: str = "frogs") -> None:
    ledger = ledger_of(journal, task_id)
    ledger.record(e.TaskCreated(description))
    await ledger.flush()


async def lines_of(view: CommittedView, task_id: str, after: int = 0) -> list[bytes]:
    follower = await Follower.open(view, task_id, after, follow=False)
    return b"".join([piece.lines async for piece in follower]).splitlines(keepends=True)


async def test_every_place_in_a_log_gives_the_same_bytes(
    store: Store, view: CommittedView, journal: ActorHandle
) -> None:
    ledger = await begun(journal, parts=3)
    ledger.record(e.PartialOutput(*WRITING, 1, "late"))
    await ledger.flush()
    fresh = CommittedView(store, TailBounds())
    everything = await lines_of(view, "t1")
    assert [e.decode(line).seq for line in everything] == list(range(1, 9))
    for after in range(9):
        assert await lines_of(view, "t1", after) == everything[after:]
        assert await lines_of(fresh, "t1", after) == everything[after:]
    assert await fresh.task("t1") == ledger.task


async def test_a_long_log_is_read_in_bounded_pieces(
    store: Store, view: CommittedView, journal: ActorHandle
) -> None:
    ledger = await begun(journal)
    for _ in range(40):
        ledger.record(e.PartialOutput(*WRITING, 1, "x" * 30_000))
        await ledger.flush()
    follower = await Follower.open(view, "t1", follow=False)
    sizes = [len(piece.lines) async for piece in follower]
    assert len(sizes) >= 4
    assert max(sizes) < PIECE_BYTES + 31_000
    assert view.gauges()["tail_bytes"] <= TailBounds().bytes + 31_000


async def test_a_read_takes_its_rows_in_order_and_sorts_none() -> None:
    """Else each piece of a long log would cost all the rows that are left."""
    seen: list[str] = []
    with closing(MemoryDatabase(SCHEMA)) as database:
        database.read_now(lambda db: db.set_trace_callback(seen.append))
        await SqliteStore(database).read("t1", 0)
        (sql,) = seen
        plan = database.read_now(lambda db: db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    assert not [row for row in plan if "TEMP B-TREE" in row[3]]


async def test_a_writer_who_is_not_where_the_log_is_is_refused_alone(
    store: Store, journal: ActorHandle
) -> None:
    first = await begun(journal)
    stale = ledger_of(journal)
    stale.record(e.TaskCreated("toads"))
    results: dict[str, Any] = {}

    async def flush(name: str, ledger: Ledger) -> None:
        try:
            await ledger.flush()
            results[name] = ledger.committed
        except ActorError as error:
            results[name] = type(error)

    other = ledger_of(journal, "t2")
    other.record(e.TaskCreated("newts"))
    first.record(e.PartialOutput(*WRITING, 1, "more"))
    async with trio.open_nursery() as nursery:
        for name, ledger in (("stale", stale), ("other", other), ("first", first)):
            nursery.start_soon(flush, name, ledger)
    assert results == {"stale": StaleWriter, "other": 1, "first": 5}


def same(store: Store) -> MakeStore:
    """Opens one store again and again, as a disk survives its processes."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        yield store

    return opened


async def test_the_store_in_memory_does_what_a_store_must() -> None:
    await check_store(same(MemoryStore()))


async def test_the_store_on_disk_does_what_a_store_must(tmp_path: Path) -> None:
    await check_store(lambda: open_sqlite_store(tmp_path / "log.db"))


class TakesAnything(MemoryStore):
    def _append(self, append: Append) -> Position | ActorError:
        answer = super()._append(append)
        return append.records[-1].seq if isinstance(answer, StaleWriter) else answer


class RefusesAll(MemoryStore):
    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        answers = await super().append(group)
        stale = [answer for answer in answers if isinstance(answer, StaleWriter)]
        return [*stale[:1] * len(group)] if stale else answers


class ReadsTooMuch(MemoryStore):
    async def read(self, task_id: str, after: int) -> Piece | None:
        piece = await super().read(task_id, after)
        if piece is None:
            return None
        return Piece(after + 1, piece.last_seq, b"".join(p.lines for p in self._pieces[task_id]))


class LosesOutputs(MemoryStore):
    async def outputs(self, task_id: str) -> dict[str, bytes]:
        return {}


class KeepsTheFirstSnapshot(MemoryStore):
    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        kept = dict(self._snapshots)
        answers = await super().append(group)
        self._snapshots |= kept
        return answers


class KeepsDeletedSnapshots(MemoryStore):
    async def delete(self, task_id: str) -> None:
        kept = dict(self._snapshots)
        await super().delete(task_id)
        self._snapshots = kept


class CountsAll(MemoryStore):
    async def counts(self, status: TaskStatus) -> Counter[str | None]:
        return Counter(task.owner for task in self._tasks.values())


class OldestFirst(MemoryStore):
    async def page(
        self, status: TaskStatus | None, limit: int, before: int | None, owner: str | None = None
    ) -> IndexPage:
        page = await super().page(status, limit, before, owner)
        return IndexPage(page.tasks[::-1], page.next_before)


class QueuedFirst(MemoryStore):
    async def unfinished(self) -> list[str]:
        return (await super().unfinished())[::-1]


class KeepsDeleted(MemoryStore):
    async def delete(self, task_id: str) -> None:
        pass


class NeverOrderly(MemoryStore):
    async def release(self) -> None:
        pass


@pytest.mark.parametrize(
    "broken",
    [
        TakesAnything,
        RefusesAll,
        ReadsTooMuch,
        LosesOutputs,
        KeepsTheFirstSnapshot,
        KeepsDeletedSnapshots,
        CountsAll,
        OldestFirst,
        QueuedFirst,
        KeepsDeleted,
        NeverOrderly,
    ],
)
async def test_a_store_that_does_not_is_found_out(broken: type[MemoryStore]) -> None:
    with pytest.raises(AssertionError, match=r"must.*\.$"):
        await check_store(same(broken()))


async def test_a_store_that_is_not_durable_is_found_out() -> None:
    with pytest.raises(AssertionError, match="durable"):
        await check_store(lambda: same(MemoryStore())())


async def test_appends_that_meet_are_committed_together(nursery: trio.Nursery) -> None:
    groups: list[int] = []

    class Counting(MemoryStore):
        async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
            groups.append(len(group))
            await trio.testing.wait_all_tasks_blocked()
            return await super().append(group)

    view = CommittedView(Counting(), TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    async with trio.open_nursery() as writers:
        for n in range(30):
            writers.start_soon(created, journal, f"t{n}")
    assert sum(groups) == 30
    assert len(groups) <= 3


class Gated(MemoryStore):
    """Commits nothing before its gate is open, and notes the groups."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()
        self.groups: list[Sequence[Append]] = []

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        self.groups.append(group)
        await self.gate.wait()
        return await super().append(group)


async def test_a_commit_takes_a_bounded_number_of_appends_and_so_does_the_queue(
    nursery: trio.Nursery,
) -> None:
    store = Gated()
    view = CommittedView(store, TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    async with trio.open_nursery() as writers:
        for n in range(2 * GROUP_APPENDS + 200):
            writers.start_soon(created, journal, f"t{n}")
        await trio.testing.wait_all_tasks_blocked()
        waiting = journal.info().depth
        store.gate.set()
    assert waiting == 64  # The queue was full, so the mailbox filled up.
    assert sum(map(len, store.groups)) == 2 * GROUP_APPENDS + 200
    assert max(map(len, store.groups)) == GROUP_APPENDS


async def test_a_commit_takes_a_bounded_number_of_bytes(nursery: trio.Nursery) -> None:
    store = Gated()
    view = CommittedView(store, TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    async with trio.open_nursery() as writers:
        for n in range(24):
            writers.start_soon(created, journal, f"t{n}", "x" * 500_000)
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
    sizes = [sum(len(append.lines) for append in group) for group in store.groups]
    assert GROUP_BYTES < max(sizes) < GROUP_BYTES + 501_000


async def test_a_tail_that_was_dropped_is_loaded_again(store: Store, nursery: trio.Nursery) -> None:
    view = CommittedView(store, TailBounds(idle_bytes=10_000))
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    for n in range(10):
        await begun(journal, f"t{n}")
    assert view.gauges()["tails"] < 5
    assert (await view.task("t0")).last_seq == 4  # It was dropped, and is loaded again.


async def test_a_long_log_is_loaded_without_stalling_the_event_loop(store: Store) -> None:
    writer = CommittedView(store, TailBounds())
    ticks = 0

    class Ticks(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            nonlocal ticks
            ticks += 1

    async with trio.open_nursery() as nursery:
        journal = spawn(nursery, "journal", lambda: Journal(writer), capacity=64)
        await begun(journal, parts=SNAPSHOT_EVERY - 10)
        nursery.cancel_scope.cancel()
    trio.lowlevel.add_instrument(Ticks())
    assert (await CommittedView(store, TailBounds()).task("t1")).last_seq == SNAPSHOT_EVERY - 6
    assert ticks >= (SNAPSHOT_EVERY - 10) // LINES_PER_TICK


async def test_nothing_is_visible_before_it_is_durable(nursery: trio.Nursery) -> None:
    gate = trio.Event()

    class Slow(MemoryStore):
        async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
            await gate.wait()
            return await super().append(group)

    view = CommittedView(Slow(), TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    async with trio.open_nursery() as writers:
        writers.start_soon(begun, journal)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(TaskNotFound):
            await view.task("t1")
        gate.set()
    assert (await view.task("t1")).last_seq == 4


async def test_a_run_is_ahead_of_the_log_by_a_bounded_window(nursery: trio.Nursery) -> None:
    gate = trio.Event()

    class Slow(MemoryStore):
        async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
            if group[0].expected >= 4:
                await gate.wait()
            return await super().append(group)

    view = CommittedView(Slow(), TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    ledger = ledger_of(journal, events=16)
    for event in (e.TaskCreated("frogs"), e.TaskQueued(0, 1), e.TaskStarted(1)):
        ledger.record(event)
    ledger.record(e.StepStarted(*WRITING, 1, 1, "writer", "write", 1))
    await ledger.flush()

    async def write() -> None:
        async with ledger.writing():
            for _ in range(100):
                await ledger.room()
                ledger.record(e.PartialOutput(*WRITING, 1, "more"))

    async with trio.open_nursery() as writers:
        writers.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        assert ledger.task.last_seq == 4 + 16
        assert ledger.committed == 4
        gate.set()
    assert ledger.committed == (await view.task("t1")).last_seq == 104


async def test_followers_wake_for_every_commit_and_end_with_the_ending(
    view: CommittedView, journal: ActorHandle
) -> None:
    ledger = await begun(journal)
    got: list[list[bytes]] = [[] for _ in range(10)]

    async def follow(mine: list[bytes]) -> None:
        async for piece in await Follower.open(view, "t1"):
            mine.append(piece.lines)

    async with trio.open_nursery() as readers:
        for mine in got:
            readers.start_soon(follow, mine)
        for n in range(20):
            ledger.record(e.PartialOutput(*WRITING, 1, f"{n} "))
            await ledger.flush()
        ledger.record(e.TaskFailed(Failure("agent_failed", "no"), "s1", "text"))
        await ledger.flush()
    everything = b"".join(await lines_of(view, "t1"))
    assert {b"".join(mine) for mine in got} == {everything}


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_reader_whose_task_is_deleted_while_it_reads_is_told(
    follow: bool, forgotten: bool, nursery: trio.Nursery
) -> None:
    class Slow(MemoryStore):
        deletes = False

        async def read(self, task_id: str, after: int) -> Piece | None:
            if self.deletes and forgotten:
                await of_slow.ask(Delete(task_id))
            elif self.deletes:  # It is committed, but the journal has not gone on yet.
                await self.delete(task_id)
            return await super().read(task_id, after)

    store = Slow()
    view = CommittedView(store, TailBounds(events=1))
    of_slow = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    await begun(of_slow)
    follower = await Follower.open(view, "t1", follow=follow)
    store.deletes = True
    assert [piece async for piece in follower] == []
    assert follower.closing is not None
    assert follower.closing.reason == "deleted"


@pytest.mark.parametrize("after", [-1, 5, 10**9])
async def test_a_place_that_is_not_in_the_log_is_refused(
    after: int, view: CommittedView, journal: ActorHandle
) -> None:
    await begun(journal)
    with pytest.raises(InvalidRequest, match="0 to 4"):
        await Follower.open(view, "t1", after)


async def test_a_full_disk_refuses_the_append_and_keeps_what_was_there(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery, open_database(SCHEMA, tmp_path / "log.db") as disk:
        store = SqliteStore(disk)
        view = CommittedView(store, TailBounds())
        journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
        ledger = await begun(journal)
        await disk.write(lambda db: db.execute("PRAGMA max_page_count = 1"))  # No larger than now.
        for _ in range(3):
            ledger.record(e.PartialOutput(*WRITING, 1, "x" * 30_000))
        with pytest.raises(StorageUnavailable):
            await ledger.flush()
        assert len(await lines_of(view, "t1")) == 4
        await disk.write(lambda db: db.execute("PRAGMA max_page_count = 1000000"))
        await begun(journal, "t2")
        nursery.cancel_scope.cancel()
