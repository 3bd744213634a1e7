"""SQLite under the log and the library: error codes, durability, migrations, checksums and locks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from errno import EDQUOT
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.errors import DocumentUnreadable, StorageUnavailable
from actors.journal import sqlite as log
from actors.journal.sqlite import open_sqlite_store
from actors.library import schema as library
from actors.library.library import open_library
from actors.library.parsing.inline import InlineParser
from actors.settings import Settings
from actors.sqlite import BUSY_TIMEOUT_S, BusyWait, Schema, open_database
from actors.sqlite_errors import (
    DamagedRecord,
    DatabaseFailed,
    Meaning,
    UnusableDatabase,
    explained,
    meaning_of,
)
from actors.testing import Cast, scripted_system

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SCHEMAS = [log.SCHEMA, library.SCHEMA]
both = pytest.mark.parametrize("schema", SCHEMAS, ids=["log", "library"])

# --- Error codes ------------------------------------------------------------------------------

RESULTS = {
    **dict.fromkeys(("BUSY", "LOCKED", "PROTOCOL"), Meaning.BUSY),
    "FULL": Meaning.NO_ROOM,
    **dict.fromkeys(("READONLY", "CANTOPEN", "PERM"), Meaning.UNAVAILABLE),
    **dict.fromkeys(("NOTADB", "CORRUPT"), Meaning.DAMAGED),
    "IOERR": Meaning.BROKEN,
}
PASSING = [
    "OK",
    "ERROR",
    "INTERNAL",
    "ABORT",
    "NOMEM",
    "INTERRUPT",
    "NOTFOUND",
    "EMPTY",
    "SCHEMA",
    "TOOBIG",
    "CONSTRAINT",
    "MISMATCH",
    "MISUSE",
    "NOLFS",
    "AUTH",
    "FORMAT",
    "RANGE",
    "NOTICE",
    "WARNING",
    "ROW",
    "DONE",
]
EXTENDED = {"IOERR_WRITE": Meaning.WRITE_FAILED, "IOERR_SHMSIZE": Meaning.WRITE_FAILED}


def codes() -> dict[str, int]:
    """All constants of `sqlite3` that are result codes, plain or extended; no limits or actions."""
    results = (*RESULTS, *PASSING)
    not_codes = ("SQLITE_DBCONFIG", "SQLITE_LIMIT")
    return {
        name.removeprefix("SQLITE_"): value
        for name, value in vars(sqlite3).items()
        if name.startswith(tuple(f"SQLITE_{one}" for one in results))
        and not name.startswith(not_codes)
        and (value & 0xFF) in {getattr(sqlite3, f"SQLITE_{one}", None) for one in results}
        and any(name == f"SQLITE_{one}" or name.startswith(f"SQLITE_{one}_") for one in results)
    }


def expected(name: str) -> Meaning:
    return EXTENDED.get(name) or RESULTS.get(name.split("_")[0], Meaning.BUG)


def test_every_error_code_has_its_meaning() -> None:
    found = {name: meaning_of(code) for name, code in codes().items()}
    assert len(found) > 90
    assert found == {name: expected(name) for name in found}


def test_a_code_that_is_not_known_means_what_its_result_code_means() -> None:
    named = set(codes().values())
    for code in set(range(1 << 13)) - named:
        assert meaning_of(code) is meaning_of(code & 0xFF)


RAISED = {
    Meaning.NO_ROOM: (StorageUnavailable, StorageUnavailable),
    Meaning.UNAVAILABLE: (StorageUnavailable, StorageUnavailable),
    Meaning.DAMAGED: (UnusableDatabase, UnusableDatabase),
    Meaning.WRITE_FAILED: (StorageUnavailable, DatabaseFailed),
    Meaning.BROKEN: (StorageUnavailable, DatabaseFailed),
    Meaning.BUG: (sqlite3.OperationalError, sqlite3.OperationalError),
}


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("from SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("fatal", [False, True])
@pytest.mark.parametrize("name", [name for name in codes() if expected(name) != Meaning.BUSY])
def test_every_error_is_raised_as_what_it_means(name: str, fatal: bool, tmp_path: Path) -> None:
    with pytest.raises(Exception) as raised:
        with explained(tmp_path / "log.db", log.SCHEMA.noun, fatal=fatal):
            raise failure(codes()[name])
    assert type(raised.value) is RAISED[expected(name)][fatal]


@pytest.mark.parametrize("name", EXTENDED)
def test_a_failed_write_for_lack_of_room_is_no_broken_disk(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def over_quota(file: int) -> None:
        raise OSError(EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", over_quota)
    with pytest.raises(StorageUnavailable, match="no room left for the log"):
        with explained(tmp_path / "log.db", log.SCHEMA.noun, fatal=True):
            raise failure(codes()[name])


# --- Opening ----------------------------------------------------------------------------------


def _first_row(db: sqlite3.Connection, sql: str) -> Any:
    return db.execute(sql).fetchone()


@both
async def test_a_commit_is_on_the_disk_when_it_returns(schema: Schema, tmp_path: Path) -> None:
    """`synchronous` 2 is FULL: the WAL is flushed at each commit."""
    async with open_database(schema, tmp_path / "some.db") as database:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            found = await database.write(partial(_first_row, sql=f"PRAGMA {pragma}"))
            assert found == (value,), pragma


@both
async def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    schema: Schema, tmp_path: Path
) -> None:
    damaged, foreign = tmp_path / "damaged.db", tmp_path / "foreign.db"
    damaged.write_bytes(b"not a database, but somebody's letter" * 100)
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE recipes (name)")
    for file, why in ((damaged, "damaged"), (foreign, "another program")):
        before = file.read_bytes()
        with pytest.raises(UnusableDatabase, match=f"{why}.*{schema.noun}.*left as it is"):
            async with open_database(schema, file):
                pass
        assert file.read_bytes() == before


@both
async def test_a_newer_database_is_refused(schema: Schema, tmp_path: Path) -> None:
    file = tmp_path / "some.db"
    async with open_database(schema, file):
        pass
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(UnusableDatabase, match="newer Terzetto"):
        async with open_database(schema, file):
            pass


async def test_a_step_that_fails_leaves_nothing_and_is_taken_later(tmp_path: Path) -> None:
    good = Schema(
        "log", 7, ("CREATE TABLE one (a);", "CREATE TABLE two (a);\nCREATE TABLE three (a);")
    )
    bad = replace(good, steps=(good.steps[0], "CREATE TABLE two (a);\nCREATE TABLE two (a);"))
    file = tmp_path / "some.db"
    with pytest.raises(UnusableDatabase, match="already exists"):
        async with open_database(bad, file):
            pass
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("one",)]
    async with open_database(good, file) as database:
        sql = "SELECT count(*) FROM sqlite_schema"
        assert await database.read(lambda db: db.execute(sql).fetchone()) == (3,)


@both
async def test_two_that_open_a_new_file_at_once_take_each_step_once(
    schema: Schema, tmp_path: Path
) -> None:
    opened = 0

    async def open_and_close() -> None:
        nonlocal opened
        async with open_database(schema, tmp_path / "some.db"):
            opened += 1

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(open_and_close)
    assert opened == 4


# --- Checksums --------------------------------------------------------------------------------


async def log_of_a_task(folder: Path) -> tuple[str, bytes]:
    """A completed task in the log of this folder: its id and its lines."""
    async with scripted_system(settings=Settings(data_dir=folder)) as system:
        task_id = (await system.create("frogs")).task_id
        lines = [event.line() async for event in system.execute(task_id)]
    return task_id, b"".join(lines)


def execute(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.executescript(sql)


async def test_a_damaged_event_or_output_is_one_clear_error_for_that_task(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    (damaged, _), (whole, lines) = await log_of_a_task(tmp_path), await log_of_a_task(tmp_path)
    execute(
        file,
        "UPDATE log SET lines = CAST(replace(lines, 'frogs', 'drogs') AS BLOB) WHERE mark = 1;"
        "UPDATE outputs SET body = CAST(body || ' ' AS BLOB) WHERE mark = 1",
    )
    async with open_sqlite_store(file) as store:
        with pytest.raises(DamagedRecord, match=f"Task {damaged}, event 1"):
            await store.read(damaged, 0)
        with pytest.raises(DamagedRecord, match="output of step"):
            await store.outputs(damaged)
        piece = await store.read(whole, 0)
        assert piece is not None and piece.lines == lines
        await store.delete(damaged)
        assert await store.read(damaged, 0) is None


async def test_a_log_from_before_there_were_checksums_is_read_and_goes_on(tmp_path: Path) -> None:
    task_id, lines = await log_of_a_task(tmp_path)
    file, old = tmp_path / "log.db", tmp_path / "old" / "log.db"
    old.parent.mkdir()
    columns = {
        "tasks": "mark, task_id, status, created_at, updated_at, last_seq, run, degraded, error,"
        " task_description, deadline_s, metadata",
        "log": "mark, first_seq, last_seq, lines",
        "outputs": "mark, step_id, version, body",
    }
    copies = (f"INSERT INTO {t} SELECT {c} FROM new.{t};" for t, c in columns.items())
    mark = f"PRAGMA application_id = {log.SCHEMA.application_id}; PRAGMA user_version = 1;"
    execute(old, f"{log.SCHEMA.steps[0]} {mark} ATTACH '{file}' AS new; {''.join(copies)}")

    async with scripted_system(settings=Settings(data_dir=old.parent)) as system:
        assert [event.line() async for event in system.execute(task_id)] == lines.splitlines(True)
        assert (await system.status(task_id)).status == "completed"
        await system.create("toads")
    with closing(sqlite3.connect(old)) as db:
        sql = "SELECT mark, count(crc) = count(*) FROM log GROUP BY mark"
        assert db.execute(sql).fetchall() == [(1, 0), (2, 1)]


async def test_a_damaged_text_or_passage_is_one_clear_error(tmp_path: Path) -> None:
    async with open_library(tmp_path, now=lambda: NOON, parser=InlineParser()) as lib:
        damaged = (await lib.add(b"A zebra has stripes.")).document.document_id
        whole = (await lib.add(b"A frog sings.")).document.document_id
    execute(
        tmp_path / library.FILE_NAME,
        "UPDATE texts SET text = replace(text, 'zebra', 'cobra');"
        "UPDATE passages SET text = CAST(x'ff' || text AS TEXT) WHERE number = 1",
    )
    async with open_library(tmp_path, now=lambda: NOON, parser=InlineParser()) as lib:
        with pytest.raises(DocumentUnreadable, match=f"Document {damaged} is damaged"):
            await lib.text(damaged)
        with pytest.raises(DocumentUnreadable, match=f"Document {damaged}, passage 1"):
            await lib.search("zebra", limit=3)
        assert await lib.text(whole) == "A frog sings."
        assert [one.document_id for one in (await lib.search("frog", limit=3)).passages] == [whole]
        await lib.delete(damaged)
        assert (await lib.search("zebra", limit=3)).passages == ()


# --- Locks ------------------------------------------------------------------------------------


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program holds the write lock, as a backup or a database shell does."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_lock_held_for_seconds_ends_nothing_and_stops_no_reader(tmp_path: Path) -> None:
    """Longer than the 5 s after which `sqlite3` gives up by default."""
    done: dict[str, Any] = {}
    settings = Settings(data_dir=tmp_path)
    async with scripted_system(Cast(plans=[60.0]), settings=settings) as system:
        task_id = (await system.create("frogs")).task_id
        await system.start(task_id)
        while (await system.status(task_id)).status != "executing":
            await trio.sleep(0.01)

        async def cancel() -> None:
            done["cancel"] = (await system.cancel(task_id)).status

        async def create() -> None:
            done["create"] = (await system.create("toads")).status

        async with trio.open_nursery() as nursery:
            with locked(tmp_path / "log.db"):
                nursery.start_soon(create)
                nursery.start_soon(cancel)
                for _ in range(12):
                    await trio.sleep(0.5)
                    with trio.fail_after(2):
                        assert (await system.status(task_id)).status == "executing"
                        assert (await system.tasks(limit=10)).tasks
                assert done == {}
    assert done == {"cancel": "cancelled", "create": "pending"}


SHORT = BusyWait(total_s=2 * BUSY_TIMEOUT_S, pause_s=0.01)


async def test_past_the_wait_a_write_is_refused_and_the_task_goes_on_later(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    cast = Cast(retrieves=[0.3])
    async with (
        open_sqlite_store(file, SHORT) as store,
        scripted_system(cast, store=store) as system,
    ):
        task_id = (await system.create("frogs")).task_id
        follower = await system.follow(task_id)
        await system.start(task_id)
        with locked(file):
            with pytest.raises(StorageUnavailable, match=r"Another program .* log\.db locked"):
                await system.create("toads")
            assert [piece async for piece in follower]
            assert follower.closing is not None and follower.closing.reason == "storage"
        log = [event async for event in system.execute(task_id)]
        while log[-1].event_type != "task_completed":  # The stream ended with the stalled run.
            log = [event async for event in system.execute(task_id)]
    assert [event.seq for event in log] == list(range(1, len(log) + 1))


async def test_the_library_waits_for_a_lock_and_then_refuses(tmp_path: Path) -> None:
    opened = open_library(tmp_path, now=lambda: NOON, parser=InlineParser(), busy=SHORT)
    async with opened as lib:
        await lib.add(b"A frog sings.")
        file = tmp_path / library.FILE_NAME
        with locked(file), pytest.raises(StorageUnavailable, match="Another program"):
            await lib.add(b"A zebra has stripes.")
        async with trio.open_nursery() as nursery:
            with locked(file):
                nursery.start_soon(lib.add, b"A zebra has stripes.")
                await trio.sleep(BUSY_TIMEOUT_S)
                assert (await lib.search("frog", limit=1)).passages
        assert (await lib.search("zebra", limit=1)).passages


async def test_a_cancelled_writer_leaves_the_wait_at_once(tmp_path: Path) -> None:
    async with open_database(log.SCHEMA, tmp_path / "log.db") as database:
        with locked(tmp_path / "log.db"), trio.fail_after(5):
            with trio.move_on_after(0.3) as scope:
                await database.write(lambda db: db.execute("DELETE FROM tasks"))
        assert scope.cancelled_caught


async def test_opening_waits_for_a_lock(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = WAL")
    with locked(file), pytest.raises(StorageUnavailable, match="locked"):
        async with open_database(log.SCHEMA, file, SHORT):
            pass
    async with open_database(log.SCHEMA, file, SHORT):
        pass
