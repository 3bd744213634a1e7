"""A snapshot of a task never changes what anyone sees of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from api_client import Api, check_problem, parse, parse_note

from actors.errors import AgentFailed, TaskUnreadable
from actors.journal.ledger import Window
from actors.settings import Settings
from actors.system import System, Tuning
from actors.tasks.budget import Budget
from actors.tasks.failure import Failure
from actors.tasks.life import Step, Task
from actors.tasks.snapshot import SNAPSHOT_VERSION, dump_snapshot, load_snapshot
from actors.testing import Cast, scripted_system
from actors.usage import Usage

# --- A snapshot changes nothing -----------------------------------------------------------------

EVERY = Tuning(window=Window(events=1), snapshot_every=4)


async def failed_task(folder: Path) -> str:
    """A task whose writer has failed, with a snapshot after every few events."""
    cast = Cast(writes=[AgentFailed("no")] * 5, parts=["Frogs ", "sing. "] * 3, act_after=4)
    settings = Settings(data_dir=folder, retry_delays_s=(0.0, 0.0, 0.0, 0.0))
    async with scripted_system(cast, settings=settings, tuning=EVERY) as system:
        task_id = (await system.create("frogs")).task_id
        async for _ in system.execute(task_id):
            pass
        return task_id


def change(folder: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as db, db:
        assert db.execute(sql, values).rowcount > 0


def forge(folder: Path, *, version: int = SNAPSHOT_VERSION, **changes: Any) -> None:
    """Replace the snapshot by one with other values and the checksum to match."""
    with closing(sqlite3.connect(folder / "log.db")) as db:
        ((body,),) = db.execute("SELECT body FROM snapshots").fetchall()
    _, task = json.loads(body)
    forged = json.dumps([version, task | changes]).encode()
    seq = changes.get("last_seq", task["last_seq"])
    change(folder, "UPDATE snapshots SET body = ?, crc = ?, seq = ?", forged, crc32(forged), seq)


def break_page(file: Path, table: str) -> None:
    """Overwrite the head of the table's first page, which SQLite then finds to be malformed."""
    with closing(sqlite3.connect(file)) as db:
        ((number,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
        ((size,),) = db.execute("PRAGMA page_size")
    with file.open("r+b") as opened:
        opened.seek((number - 1) * size)
        opened.write(bytes(8))


def spoil(folder: Path, how: str) -> None:
    match how:
        case "missing":
            change(folder, "DELETE FROM snapshots")
        case "a wrong word":
            change(
                folder, "UPDATE snapshots SET body = CAST(replace(body, 'frogs', 'toads') AS BLOB)"
            )
        case "no JSON":
            change(folder, "UPDATE snapshots SET body = ?, crc = ?", b"[", crc32(b"["))
        case "no bytes":
            change(folder, "UPDATE snapshots SET body = 7")
        case "another version":
            forge(folder, version=SNAPSHOT_VERSION + 1, status="completed")
        case "another task's":
            forge(folder, task_id="t2", status="completed")
        case "on a damaged page":
            break_page(folder / "log.db", "snapshots")
        case "past the end of the log":
            forge(folder, last_seq=1_000)


async def seen(folder: Path, task_id: str) -> tuple[Any, ...]:
    """What a person sees of the task after a restart, and of a retry of it."""
    settings = Settings(data_dir=folder)
    async with scripted_system(settings=settings, tuning=EVERY) as system:
        before = await system.status(task_id)
        lines = [piece.lines async for piece in await system.follow(task_id)]
        await system.retry(task_id)
        types = [event.event_type async for event in system.execute(task_id, after=before.last_seq)]
        after = await system.status(task_id)
        return before, b"".join(lines), types, after.status, after.final_output, after.last_seq


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "a wrong word",
        "no JSON",
        "no bytes",
        "another version",
        "another task's",
        "past the end of the log",
        "on a damaged page",
    ],
)
async def test_a_snapshot_that_cannot_be_believed_changes_nothing(how: str, tmp_path: Path) -> None:
    task_id = await failed_task(tmp_path / "spoiled")
    shutil.copytree(tmp_path / "spoiled", tmp_path / "whole")
    spoil(tmp_path / "spoiled", how)
    whole = await seen(tmp_path / "whole", task_id)
    assert await seen(tmp_path / "spoiled", task_id) == whole
    assert (whole[0].status, whole[3]) == ("failed", "completed")


async def test_a_task_is_opened_from_its_snapshot(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    task_id = await failed_task(tmp_path)
    forge(tmp_path, task_description="toads")
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        assert (await system.status(task_id)).task_description == "toads"


def test_a_snapshot_holds_all_that_a_task_is() -> None:
    failure, usage = Failure("agent_failed", "no"), Usage(1, 2, 0.5, True)
    step = Step("s1", "writing", "writer", "write", ("s0",), "failed", 3, 2, "then", "now", failure)
    task = Task("t1", "frogs \U0001f438", "then", "now", "failed", 7, 2, {"s1": step})
    task = replace(task, final_output="output", text="text", kept_text="kept", error=failure)
    task = replace(task, degraded=True, deadline_s=60.0, metadata={"a": "b"}, usage=usage)
    task = replace(task, run_started_at="then", context_task_id="t0", budget=Budget(1, 4, 1_024))
    task = replace(task, owner="alice")
    for whole in (task, step):
        bare = type(whole)("", "", "", "")  # type: ignore[arg-type]
        same = [f.name for f in fields(whole) if getattr(whole, f.name) == getattr(bare, f.name)]
        assert not same, "give it another value than the default"
    assert load_snapshot(dump_snapshot(task)) == task


def test_another_form_of_a_task_is_another_version_of_its_snapshot() -> None:
    """If this fails, raise `SNAPSHOT_VERSION`: older snapshots would lack what is new."""
    form = [field.name for kind in (Task, Step, Failure, Usage, Budget) for field in fields(kind)]
    assert (SNAPSHOT_VERSION, crc32(" ".join(form).encode())) == (2, 452090123)


# --- Damage that a snapshot hides ---------------------------------------------------------------


async def replayed(system: System, task_id: str, after: int = 0) -> tuple[int, str]:
    """The last event that a replay gives, and the error that ends it."""
    try:
        async for piece in await system.follow(task_id, after=after):
            after = piece.last_seq
    except TaskUnreadable as error:
        return after, error.message
    return after, ""


async def test_an_event_before_the_snapshot_that_is_damaged_is_named_by_a_replay(
    tmp_path: Path, served: Any
) -> None:
    task_id = await failed_task(tmp_path)
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        sql = "SELECT first_seq, last_seq FROM log WHERE first_seq <= 8 AND last_seq >= 8"
        ((first, end),) = db.execute(sql).fetchall()
    change(tmp_path, "UPDATE log SET lines = CAST(lines || ' ' AS BLOB) WHERE last_seq = ?", end)
    async with scripted_system(settings=Settings(data_dir=tmp_path), tuning=EVERY) as system:
        whole = await system.status(task_id)
        assert whole.status == "failed"
        last, error = await replayed(system, task_id)
        assert last == first - 1 and f"event {first}, is damaged" in error
        assert await replayed(system, task_id, after=end) == (whole.last_seq, "")
        async with served(system) as http:
            problem = await http.get(f"/tasks/{task_id}/events?after={last}")
            assert check_problem(problem, 500, "task_unreadable")
            async with Api(http).events(task_id) as stream:
                lines = await stream.rest()
            assert parse(lines[-2])["seq"] == last
            assert parse_note(lines[-1])["data"] == {"reason": "storage", "resume_after": last}
        await system.delete(task_id)


async def test_an_event_before_the_snapshot_that_is_missing_leaves_no_gap(tmp_path: Path) -> None:
    task_id = await failed_task(tmp_path)
    change(tmp_path, "DELETE FROM log WHERE first_seq = 1")
    async with scripted_system(settings=Settings(data_dir=tmp_path), tuning=EVERY) as system:
        assert (await system.status(task_id)).status == "failed"
        last, error = await replayed(system, task_id)
        assert last == 0 and "is missing" in error
