"""The rows of a long log are joined, and nobody sees it."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from zlib import crc32

import pytest
import trio

from actors.clock import virtual_clock
from actors.journal.journal import CommittedView, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.sqlite import SCHEMA, SqliteStore
from actors.journal.sqlite_snapshots import MOST_BYTES, ROW_BYTES, join_rows
from actors.journal.tail import TailBounds
from actors.runtime import spawn
from actors.sqlite import MemoryDatabase
from actors.tasks import events as e
from actors.tasks.plan import StepKind

WRITING: tuple[str, StepKind] = ("s1", "writing")
Rows = list[tuple[int, int, bytes, int | None]]


async def write(store: SqliteStore, parts: int, *, every: int, size: int = 20) -> None:
    """Add so many parts to the task, each in a commit of its own, with a snapshot now and then."""
    async with trio.open_nursery() as nursery:
        view = CommittedView(store, TailBounds())
        journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
        task = await view.task("t1") if await store.read("t1", 0) else None
        ledger = Ledger(journal, "t1", task, virtual_clock, Window(), every)
        if task is None:
            ledger.record(e.TaskCreated("frogs"), e.TaskQueued(0, 1), e.TaskStarted(1))
            ledger.record(e.StepStarted(*WRITING, 1, 1, "writer", "write", 1))
        for _ in range(parts):
            ledger.record(e.PartialOutput(*WRITING, 1, "x" * size))
            await ledger.flush()
        nursery.cancel_scope.cancel()


def rows_of(database: MemoryDatabase) -> Rows:
    sql = "SELECT first_seq, last_seq, lines, crc FROM log ORDER BY last_seq"
    return database.read_now(lambda db: db.execute(sql).fetchall())


async def all_lines(store: SqliteStore, after: int = 0) -> bytes:
    found = b""
    while piece := await store.read("t1", after):
        found, after = found + piece.lines, piece.last_seq
    return found


async def test_the_rows_of_a_long_log_are_joined_and_its_bytes_stay(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with closing(MemoryDatabase(SCHEMA)) as one, closing(MemoryDatabase(SCHEMA)) as other:
        joined, single = SqliteStore(one), SqliteStore(other)
        await write(joined, 996, every=100)
        await write(single, 996, every=10_000)
        rows = rows_of(one)
        assert len(rows) < 30
        assert len(rows_of(other)) == 997
        assert max(len(lines) for _, _, lines, _ in rows) <= ROW_BYTES
        assert all(crc == crc32(lines) for _, _, lines, crc in rows)
        lines = (await all_lines(single)).splitlines(keepends=True)
        for after in range(0, 1_000, 37):
            assert await all_lines(joined, after) == b"".join(lines[after:])


async def test_large_rows_stay_as_they_are() -> None:
    with closing(MemoryDatabase(SCHEMA)) as database:
        await write(SqliteStore(database), 50, every=10, size=ROW_BYTES)
        assert len(rows_of(database)) == 51


async def test_a_log_from_an_older_release_is_not_joined_all_at_once() -> None:
    with closing(MemoryDatabase(SCHEMA)) as database:
        store = SqliteStore(database)
        await write(store, 300, every=10**9, size=4_000)
        before = rows_of(database)
        await write(store, 1, every=1)
        rows = rows_of(database)
        kept = [row for row in rows if row in before]
        assert kept == before[: len(kept)] and 20 < len(kept) < 60
        assert len(rows) - len(kept) < 100
        assert sum(len(lines) for _, _, lines, _ in rows[len(kept) :]) < MOST_BYTES + 5_000


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log SET lines = CAST(lines || ' ' AS BLOB) WHERE last_seq = 50",
        "UPDATE log SET lines = 7 WHERE last_seq = 50",
        "UPDATE log SET crc = NULL WHERE last_seq = 50",
        "DELETE FROM log WHERE last_seq = 50",
    ],
    ids=["damaged", "no bytes", "without a checksum", "missing"],
)
async def test_rows_are_left_alone_where_not_all_are_known_to_be_whole(sql: str) -> None:
    with closing(MemoryDatabase(SCHEMA)) as database:
        await write(SqliteStore(database), 90, every=10**9)
        database.write_now(lambda db: db.execute(sql))
        before = rows_of(database)
        database.write_now(partial(join_rows, mark=1, since=0))
        assert rows_of(database) == before
