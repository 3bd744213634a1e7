"""The journal: group commit, compare-and-set, followers, and the bounded window of a ledger.

What a store must do is tested on both, the one in memory and the one on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.clock import virtual_clock
from actors.errors import ActorError, InvalidRequest, StorageUnavailable, TaskNotFound
from actors.journal.follower import Follower
from actors.journal.journal import CommittedView, Delete, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.log import PIECE_BYTES, Append, Piece, Position, StaleWriter, Store
from actors.journal.memory import MemoryStore
from actors.journal.schema import UnusableDatabase
from actors.journal.sqlite import open_sqlite_store
from actors.journal.tail import TailBounds
from actors.runtime import ActorHandle, spawn
from actors.tasks import events as e
from actors.tasks.failure import Failure
from actors.tasks.plan import StepKind

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


async def test_appends_that_meet_are_committed_together(nursery: trio.Nursery) -> None:
    groups: list[int] = []

    class Counting(MemoryStore):
        async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
            groups.append(len(group))
            await trio.testing.wait_all_tasks_blocked()
            return await super().append(group)

    view = CommittedView(Counting(), TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)

    async def create(task_id: str) -> None:
        ledger = ledger_of(journal, task_id)
        ledger.record(e.TaskCreated("frogs"))
        await ledger.flush()

    async with trio.open_nursery() as writers:
        for n in range(30):
            writers.start_soon(create, f"t{n}")
    assert sum(groups) == 30
    assert len(groups) <= 3


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
async def test_a_reader_whose_task_is_deleted_while_it_reads_is_told(
    follow: bool, nursery: trio.Nursery
) -> None:
    class Slow(MemoryStore):
        deletes = False

        async def read(self, task_id: str, after: int) -> Piece | None:
            if self.deletes:
                await of_slow.ask(Delete(task_id))
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


async def test_the_index_lists_the_newest_first_in_pages(
    store: Store, journal: ActorHandle
) -> None:
    for n in range(5):
        await begun(journal, f"t{n}")
    seen, before = [], None
    while True:
        page = await store.page(None, 2, before)
        seen += [task.task_id for task in page.tasks]
        before = page.next_before
        if before is None:
            break
    assert seen == ["t4", "t3", "t2", "t1", "t0"]
    task = (await store.page("executing", 1, None)).tasks[0]
    assert (task.status, task.last_seq, task.metadata) == ("executing", 4, {"a": "b"})
    assert (await store.page("failed", 10, None)).tasks == ()
    assert await store.counts() == {"executing": 5}
    assert await store.unfinished() == ["t0", "t1", "t2", "t3", "t4"]


async def test_outputs_are_kept_beside_the_log_and_go_with_the_task(
    store: Store, view: CommittedView, journal: ActorHandle
) -> None:
    ledger = await begun(journal)
    ledger.record(e.StepCompleted(*WRITING, 1, 0.1), step_id="s1", output=b"secret")
    await ledger.flush()
    assert await store.outputs("t1") == {"s1": b"secret"}
    assert b"secret" not in b"".join(await lines_of(view, "t1"))
    await store.delete("t1")
    assert await store.outputs("t1") == {}
    assert await store.read("t1", 0) is None


async def test_a_store_knows_whether_it_was_closed_in_order(store: Store) -> None:
    assert await store.claim()
    assert not await store.claim()
    await store.release()
    assert await store.claim()


async def test_a_full_disk_refuses_the_append_and_keeps_what_was_there(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery, open_sqlite_store(tmp_path / "log.db") as store:
        view = CommittedView(store, TailBounds())
        journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
        ledger = await begun(journal)
        store._writer.execute("PRAGMA max_page_count = 1")  # As small as it is now.
        for _ in range(3):
            ledger.record(e.PartialOutput(*WRITING, 1, "x" * 30_000))
        with pytest.raises(StorageUnavailable):
            await ledger.flush()
        assert len(await lines_of(view, "t1")) == 4
        store._writer.execute("PRAGMA max_page_count = 1000000")
        await begun(journal, "t2")
        nursery.cancel_scope.cancel()


async def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    file.write_bytes(b"not a database, but somebody's letter" * 100)
    before = file.read_bytes()
    with pytest.raises(UnusableDatabase, match="left as it is"):
        async with open_sqlite_store(file):
            pass
    assert file.read_bytes() == before

    foreign = tmp_path / "other.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(UnusableDatabase, match="another program"):
        async with open_sqlite_store(foreign):
            pass


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    async with open_sqlite_store(file):
        pass
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnusableDatabase, match="newer"):
        async with open_sqlite_store(file):
            pass
