"""A damaged record is the fault of its task alone: everything else goes on, and the task can be deleted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
from scripted import Cast, scripted_system

from actors.errors import TaskNotFound, TaskUnreadable
from actors.settings import Settings
from web.api.problems import KINDS

DAMAGE = {
    "an event": "UPDATE log SET lines = CAST(replace(lines, 'frogs', 'drogs') AS BLOB) WHERE {}",
    "an event from before there were checksums": (
        "UPDATE log SET crc = NULL, lines = CAST(replace(lines, '{{', '[') AS BLOB) WHERE {}"
    ),
    "an unknown event": (
        "UPDATE log SET crc = NULL,"
        " lines = CAST(replace(lines, 'task_created', 'task_createe') AS BLOB) WHERE {}"
    ),
    "the end of a line": (
        "UPDATE log SET crc = NULL, lines = CAST(substr(lines, 1, 40) AS BLOB) WHERE {}"
    ),
    "the number of an event": "UPDATE log SET first_seq = first_seq - 7 WHERE {}",
    "a missing event": "DELETE FROM log WHERE first_seq = 2 AND {}",
}


def damage(folder: Path, sql: str, mark: int) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as db, db:
        assert db.execute(sql.format(f"mark = {mark}")).rowcount > 0


async def three_tasks(folder: Path) -> list[str]:
    """A task that the end of the server interrupted, a pending one, and a completed one."""
    settings = Settings(data_dir=folder)
    async with scripted_system(Cast(weighs=[0.0, 9_999.0]), settings=settings) as system:
        done = (await system.create("frogs")).task_id
        async for _ in system.execute(done):
            pass
        running = (await system.create("frogs")).task_id
        async for event in system.execute(running):
            if event.event_type == "step_started" and event.data["step"] == "synthesis":
                break
        return [running, (await system.create("toads")).task_id, done]


async def finished(system: Any, task_id: str) -> str:
    with trio.fail_after(60):
        last = [event async for event in system.execute(task_id)][-1]
    return str(last.event_type)


@pytest.mark.parametrize("kind", DAMAGE)
async def test_a_damaged_event_makes_its_task_unreadable_and_nothing_else(
    kind: str, tmp_path: Path
) -> None:
    running, pending, done = await three_tasks(tmp_path)
    damage(tmp_path, DAMAGE[kind], mark=2)
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        assert await finished(system, pending) == "task_completed"
        assert (await system.status(done)).status == "completed"
        assert {task.task_id for task in (await system.tasks()).tasks} == {running, pending, done}
        for ask in (system.status, system.start, system.cancel, system.retry):
            with pytest.raises(TaskUnreadable, match=running):
                await ask(running)
        await system.delete(running)
        with pytest.raises(TaskNotFound):
            await system.status(running)
    assert KINDS[TaskUnreadable.code].status == 500


async def test_a_damaged_output_fails_its_task_when_it_is_needed(tmp_path: Path) -> None:
    running, pending, done = await three_tasks(tmp_path)
    damage(tmp_path, "UPDATE outputs SET body = CAST(body || ' ' AS BLOB) WHERE {}", mark=2)
    damage(tmp_path, "UPDATE outputs SET crc = NULL, body = CAST('[' AS BLOB) WHERE {}", mark=1)
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        assert await finished(system, running) == "task_failed"
        error = (await system.status(running)).error
        assert error is not None and error.code == "task_unreadable" and running in error.message
        with pytest.raises(TaskUnreadable, match=done):
            await system.create("more", context_task_id=done)
        assert await finished(system, pending) == "task_completed"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'executinh'",
        "metadata = '{{'",
        "metadata = '7'",
        "error = '[1]'",
        "created_at = 'then'",
        "updated_at = 7",
    ],
)
async def test_a_damaged_index_row_is_left_out_of_lists(change: str, tmp_path: Path) -> None:
    running, pending, done = await three_tasks(tmp_path)
    damage(tmp_path, f"UPDATE tasks SET {change} WHERE {{}}", mark=1)
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        listed = {task.task_id for task in (await system.tasks()).tasks}
        assert listed == {running, pending}
        assert (await system.status(done)).status == "completed"
        assert await finished(system, running) == "task_completed"


async def test_broken_utf_8_in_an_index_row_is_replaced_in_lists(tmp_path: Path) -> None:
    *_, done = await three_tasks(tmp_path)
    sql = "UPDATE tasks SET task_description = CAST(x'ff' || 'rogs' AS TEXT) WHERE {}"
    damage(tmp_path, sql, mark=1)
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        texts = {task.task_id: task.task_description for task in (await system.tasks()).tasks}
        assert texts[done] == "\ufffdrogs" and len(texts) == 3
