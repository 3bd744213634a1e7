"""Bounds of the journal and the system, each reached, and durability settings read back.

Rule: `tests/plant_bugs.py` names for each of these tests the bug that it notices.
"""

from __future__ import annotations

import gc
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from api_client import check_problem, scripted_api
from conftest import Served
from scripted import HANG, Cast, scripted_system

from actors.clock import virtual_clock
from actors.errors import ActorError, Overloaded
from actors.journal.follower import Follower
from actors.journal.journal import GROUP_APPENDS, GROUP_BYTES, CommittedView, Journal
from actors.journal.ledger import Ledger, Window
from actors.journal.log import EMPTY, MAX_LINE_BYTES, Append, Piece, Position, Record
from actors.journal.memory import MemoryStore
from actors.journal.sqlite import open_sqlite_store
from actors.journal.tail import TASK_BYTES, TailBounds
from actors.runtime import spawn
from actors.settings import Settings
from actors.system import SUPERVISOR_MAILBOX, TUNING
from actors.tasks import events as e
from actors.tasks.events import Stamped
from actors.tasks.life import Task, evolve
from actors.tasks.plan import StepKind
from web.api.streams import EventStream, Readers

START = "2026-01-01T00:00:00.000Z"
WRITING: tuple[str, StepKind] = ("s1", "writing")
WRITES = (
    e.TaskCreated("frogs"),
    e.TaskQueued(0, 1),
    e.TaskStarted(1),
    e.StepStarted(*WRITING, 1, 1, "writer", "write", 1),
)


def appended(task_id: str, *events: e.Event, at: str = START) -> Append:
    """The first append of a task, with all of these events in it."""
    task: Task | None = None
    records = []
    for seq, event in enumerate(events, 1):
        stamped = Stamped(seq, task_id, at, event)
        task = evolve(task, stamped)
        records.append(Record(seq, stamped.line()))
    assert task is not None
    return Append(task, EMPTY, tuple(records))


class GatedStore(MemoryStore):
    """Appends wait until `holding` is left; `groups` are their sizes in appends and bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = trio.Event()
        self.groups: list[tuple[int, int]] = []

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        self.groups.append((len(group), sum(len(append.lines) for append in group)))
        await self._gate.wait()
        return await super().append(group)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Inside the block no append is committed. A commit is shielded, so it must be left."""
        try:
            yield
        finally:
            self._gate.set()


# --- The journal --------------------------------------------------------------------------------


async def test_a_run_is_ahead_of_the_log_by_a_bounded_number_of_bytes(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    store = GatedStore()
    view = CommittedView(store, TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=64)
    ledger = Ledger(journal, "t1", None, virtual_clock, Window(events=1_000, bytes=20_000))
    ledger.record(*WRITES)

    ahead = 0
    with store.holding(), trio.move_on_after(1) as full:
        while ahead < 100:
            await ledger.room()
            ledger.record(e.PartialOutput(*WRITING, 1, "x" * 1_000))
            ahead += 1

    assert full.cancelled_caught
    assert 15 <= ahead <= 20
    await ledger.flush()
    await ledger.room()


async def test_a_flush_sends_what_found_no_room_in_the_mailbox(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    store = GatedStore()
    view = CommittedView(store, TailBounds())
    journal = spawn(nursery, "journal", lambda: Journal(view), capacity=1)
    ledgers = [Ledger(journal, f"t{n}", None, virtual_clock, Window()) for n in range(6)]

    with trio.fail_after(5):
        async with trio.open_nursery() as flushing:
            with store.holding():
                for ledger in ledgers:
                    ledger.record(e.TaskCreated("frogs"))
                    await trio.testing.wait_all_tasks_blocked()
                    ledger.record(e.TaskQueued(0, 1))
                    flushing.start_soon(ledger.flush)
                await trio.testing.wait_all_tasks_blocked()

    assert [ledger.committed for ledger in ledgers] == [2] * 6


async def test_a_commit_takes_a_bounded_number_of_bytes(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    store = GatedStore()
    journal = spawn(
        nursery, "journal", lambda: Journal(CommittedView(store, TailBounds())), capacity=64
    )
    large = [appended(f"t{n}", e.TaskCreated("x" * 400_000)) for n in range(24)]

    with store.holding():
        calls = [await journal.send(append) for append in large]
    for call in calls:
        await call.reply()

    assert sum(appends for appends, _ in store.groups) == 24
    assert GROUP_BYTES <= max(size for _, size in store.groups) < GROUP_BYTES + MAX_LINE_BYTES


async def test_the_journal_takes_a_bounded_number_of_appends_while_a_commit_lasts(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    store = GatedStore()
    journal = spawn(
        nursery, "journal", lambda: Journal(CommittedView(store, TailBounds())), capacity=64
    )

    with store.holding():
        calls = [await journal.send(appended("first", e.TaskCreated("frogs")))]
        await trio.testing.wait_all_tasks_blocked()
        for n in range(GROUP_APPENDS + 11):
            calls.append(await journal.send(appended(f"t{n}", e.TaskCreated("frogs"))))
        await trio.testing.wait_all_tasks_blocked()

        assert journal.info().depth == 10  # The one before them waits for room in its handler.
    for call in calls:
        await call.reply()


async def test_a_tail_holds_a_bounded_number_of_bytes() -> None:
    view = CommittedView(MemoryStore(), TailBounds(events=1_000, bytes=5_000))
    parts = [e.PartialOutput(*WRITING, 1, "x" * 500) for _ in range(40)]

    view.show(appended("t1", *WRITES, *parts))

    assert 4_000 < view.gauges()["tail_bytes"] <= 5_000


async def test_the_tails_that_nobody_uses_are_bounded() -> None:
    view = CommittedView(MemoryStore(), TailBounds(idle_bytes=100_000))

    for number in range(60):
        view.show(appended(f"t{number}", e.TaskCreated("frogs")))
        await view.task(f"t{number - number % 7}")  # It is used again, and counted once.

    tails = view.gauges()["tails"]
    assert 100_000 - 3_000 < tails * (TASK_BYTES + 200) < 100_000 + 3_000


# --- The log on disk ----------------------------------------------------------------------------


async def test_a_commit_is_on_the_disk_before_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "log.db"

    def connections() -> list[sqlite3.Connection]:
        return [one for one in gc.get_objects() if isinstance(one, sqlite3.Connection)]

    others = connections()  # Left by other tests, perhaps closed.
    async with open_sqlite_store(file):
        settings = [
            [
                one.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous")
            ]
            for one in connections()
            if not any(one is other for other in others)
            if one.execute("PRAGMA database_list").fetchone()[2] == str(file)
            if not one.execute("PRAGMA query_only").fetchone()[0]
        ]
    assert settings == [["wal", 2]]  # 2 is FULL.


async def test_at_a_restart_what_was_executing_goes_on_before_what_was_queued(
    tmp_path: Path,
) -> None:
    created, queued, started = WRITES[:3]
    async with open_sqlite_store(tmp_path / "log.db") as store:
        for task_id, events, minute in (
            ("queued first", (created, queued), 1),
            ("executing later", (created, queued, started), 4),
            ("executing", (created, queued, started), 3),
            ("queued", (created, queued), 2),
        ):
            await store.append([appended(task_id, *events, at=f"2026-01-01T00:0{minute}:00.000Z")])

        waiting = await store.unfinished()

    assert waiting == ["executing", "executing later", "queued first", "queued"]


# --- The system ---------------------------------------------------------------------------------


async def test_a_system_that_drains_starts_no_queued_task(autojump_clock: object) -> None:
    settings = Settings(data_dir=None, max_running_tasks=1)
    async with scripted_system(Cast(plans=[HANG]), settings=settings) as system:
        running, waiting = [(await system.create(name)).task_id for name in ("frogs", "toads")]
        await system.start(running)
        await system.start(waiting)
        await trio.sleep(1)

        await system.drain(0)
        await trio.sleep(1)

        assert (await system.status(running)).status == "executing"
        assert (await system.status(waiting)).status == "queued"


async def test_so_many_requests_wait_for_the_supervisor_and_the_next_is_refused(
    autojump_clock: object,
) -> None:
    store = GatedStore()
    async with scripted_system(store=store) as system, trio.open_nursery() as nursery:
        with store.holding():
            for number in range(TUNING.supervisor_concurrency + SUPERVISOR_MAILBOX):
                nursery.start_soon(system.create, f"frogs {number}")
            await trio.testing.wait_all_tasks_blocked()

            with pytest.raises(Overloaded):
                await system.create("one more")

        nursery.cancel_scope.deadline = trio.current_time() + 60
    assert system.gauges()["pending_tasks"] == TUNING.supervisor_concurrency + SUPERVISOR_MAILBOX


# --- Over HTTP ----------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["budget", "context_task_id"])
async def test_a_key_that_was_used_with_other_values_is_refused(served: Served, other: str) -> None:
    async with scripted_api(served) as api:
        context = await api.create("pond")
        await api.run(context)
        others = {"budget": {"tokens": 1_000}, "context_task_id": context}
        new = {"task_description": "frogs"}
        headers = {"Idempotency-Key": "one"}

        first = await api.http.post("/tasks", json=new, headers=headers)
        again = await api.http.post("/tasks", json=new, headers=headers)
        changed = await api.http.post("/tasks", json={**new, other: others[other]}, headers=headers)

        assert first.json()["task_id"] == again.json()["task_id"]
        problem = check_problem(changed, 422, "invalid_request")
        assert "Idempotency-Key" in problem["detail"]


class SlowToRead(MemoryStore):
    """Every other read waits for so long that the reader gives up and asks again."""

    reads = 0

    async def read(self, task_id: str, after: int) -> Piece | None:
        self.reads += 1
        await trio.sleep(0 if self.reads % 2 else 10)
        return await super().read(task_id, after)


async def test_no_heartbeat_comes_within_a_line(autojump_clock: object) -> None:
    store = SlowToRead()
    append = appended("t1", e.TaskCreated("x" * 100_000), e.TaskCancelled(None, None, None))
    await store.append([append])
    view = CommittedView(store, TailBounds(events=1))
    async with scripted_system() as system:
        reader = Readers(system, 1).join("t1", "somebody", cancels=False)
    follower = await Follower.open(view, "t1")

    body = EventStream(follower, reader, "t1", "application/x-ndjson", heartbeat_s=1)
    got = b""
    async with body as parts:
        async for part in parts:
            got += part
            body.let_go()  # As for a client that stalls after each part.

    lines = got.splitlines(keepends=True)
    assert b"".join(line for line in lines if b'"heartbeat"' not in line) == append.lines
    assert any(b'"heartbeat"' in line for line in lines)


def test_every_bound_of_the_design_has_its_test() -> None:
    design = (Path(__file__).parents[1] / "actors" / "DESIGN.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| .* \| `(test_\w+\.py)::(\w+)` \|$", design, re.MULTILINE)

    missing = [
        name
        for file, name in named
        if f"def {name}(" not in (Path(__file__).parent / file).read_text(encoding="utf-8")
    ]

    assert len(named) >= 16
    assert missing == []
