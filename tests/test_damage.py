"""Damaged databases: one flipped byte in each page, what a command says, and `terzetto doctor`."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import damage
import pytest
from damage import MAKE, PAGE, flip, sweep
from scripted import scripted_system
from test_server_process import running
from test_unreadable import three_tasks

from actors.doctor.doctor import examine
from actors.errors import DocumentUnreadable
from actors.library.library import open_library
from actors.library.parsing.inline import InlineParser
from actors.settings import Settings
from web.api.problems import KINDS

# --- A byte of each page ----------------------------------------------------------------------


@pytest.mark.parametrize("file", MAKE)
async def test_a_flipped_byte_of_any_page_is_the_fault_of_its_records(
    file: str, tmp_path: Path
) -> None:
    logging.getLogger("actors").setLevel(logging.CRITICAL)
    try:
        whole = tmp_path / "whole"
        ids = await MAKE[file](whole, 2 * 2**20)  # With SQLite's log: half of it when it is closed.
        size = (whole / file).stat().st_size
        assert size > 2**19
        told = await sweep(whole, file, ids, range(0, size, PAGE))
        unreadable = told["TaskUnreadable"] + told["DocumentUnreadable"]
        assert unreadable > 0 and told["start refused"] <= 10
    finally:
        logging.getLogger("actors").setLevel(logging.NOTSET)


async def test_deleting_an_unreadable_pending_task_frees_its_place(tmp_path: Path) -> None:
    _, pending, _ = await three_tasks(tmp_path)
    with closing(sqlite3.connect(tmp_path / "log.db")) as db, db:
        db.execute(
            "UPDATE log SET crc = 0 WHERE mark = (SELECT mark FROM tasks WHERE task_id = ?)",
            (pending,),
        )
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        assert system.gauges()["pending_tasks"] == 1
        await system.delete(pending)
        assert system.gauges()["pending_tasks"] == 0


async def test_a_damaged_document_has_a_code_of_its_own_and_can_be_deleted(tmp_path: Path) -> None:
    ids = await library_of(tmp_path)
    change(tmp_path / "library.db", "UPDATE documents SET notes = '[' WHERE number = 1")
    change(tmp_path / "library.db", "UPDATE texts SET text = 'x' WHERE number = 2")
    async with opened(tmp_path) as library:
        assert [d.document_id for d in (await documents(library))] == [ids[2], ids[1]]
        for ask in (library.document(ids[0]), library.text(ids[1])):
            with pytest.raises(DocumentUnreadable):
                await ask
        for document_id in ids[:2]:
            await library.delete(document_id)
        assert [d.document_id for d in (await documents(library))] == [ids[2]]
    assert KINDS[DocumentUnreadable.code].status == 500


# --- Erasing ----------------------------------------------------------------------------------


async def test_deleted_words_are_in_no_file_after_the_next_start(tmp_path: Path) -> None:
    """Text, terms, pages of SQLite's own log: nothing of it is left, and the room is given back."""
    text = "okapi " + "quagga zebra " * 20_000
    for number in range(2):
        async with opened(tmp_path) as library:
            added = await library.add(f"{number} {text}".encode(), source=f"/{number}")
            await library.add(f"# Frogs {number}\n\nFrogs sing {number}.".encode())
        before = (tmp_path / "library.db").stat().st_size
        async with opened(tmp_path) as library:
            await library.delete(added.document.document_id)
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        task_id = (await system.create("okapi " * 3_000)).task_id
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        await system.delete(task_id)

    async with opened(tmp_path), scripted_system(settings=Settings(data_dir=tmp_path)):
        for file in tmp_path.iterdir():
            content = file.read_bytes()
            for word in (b"okap", b"quagga", b"zebra"):
                assert word not in content, (file.name, word)
    assert (tmp_path / "library.db").stat().st_size < before / 2
    assert (tmp_path / "log.db").stat().st_size < 100_000
    async with opened(tmp_path) as library:
        assert len((await library.search("frogs", limit=5)).passages) == 2


async def test_a_file_from_before_room_could_be_given_back_is_rewritten_once(
    tmp_path: Path,
) -> None:
    file = tmp_path / "log.db"
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        for _ in range(30):
            await system.create("okapi " * 3_000)
    change(file, "PRAGMA secure_delete = OFF; PRAGMA journal_mode = DELETE")
    change(file, "PRAGMA auto_vacuum = NONE; VACUUM")
    change(file, "PRAGMA secure_delete = OFF; PRAGMA foreign_keys = ON; DELETE FROM tasks")
    assert b"okapi" in file.read_bytes()

    async with scripted_system(settings=Settings(data_dir=tmp_path)):
        pass

    assert b"okapi" not in file.read_bytes()
    assert file.stat().st_size < 100_000


# --- The doctor -------------------------------------------------------------------------------


def opened(folder: Path) -> Any:
    return open_library(folder, now=lambda: damage.NOON, parser=InlineParser())


async def documents(library: Any) -> Any:
    return (await library.documents(limit=100, cursor=None)).documents


async def library_of(folder: Path) -> list[str]:
    async with opened(folder) as library:
        bodies = [b"A zebra has stripes.", b"A frog sings.", b"An okapi hides."]
        return [(await library.add(one)).document.document_id for one in bodies]


def change(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.executescript(sql)


async def found(folder: Path) -> set[tuple[str, str | None]]:
    return {(one.what, one.id) for one in (await examine(folder)).findings}


LOG_DAMAGE = {
    "an event": ("UPDATE log SET lines = CAST(lines || ' ' AS BLOB) WHERE mark = 1", "task"),
    "an old event": ("UPDATE log SET lines = x'7b', crc = NULL WHERE mark = 1", "task"),
    "a missing event": ("DELETE FROM log WHERE mark = 1 AND first_seq = 2", "task"),
    "an output": ("UPDATE outputs SET body = x'5b' WHERE mark = 1", "task"),
    "a missing output": ("DELETE FROM outputs WHERE mark = 1 AND step_id = 's1'", "task"),
    "the index": ("UPDATE tasks SET status = 'pending' WHERE mark = 1", "index"),
}


@pytest.mark.parametrize("kind", LOG_DAMAGE)
async def test_the_doctor_names_a_damaged_task_and_sets_it_aside(kind: str, tmp_path: Path) -> None:
    running_task, pending, done = await three_tasks(tmp_path)
    assert await found(tmp_path) == set()
    sql, what = LOG_DAMAGE[kind]
    change(tmp_path / "log.db", sql)
    before = (tmp_path / "log.db").read_bytes()

    assert await found(tmp_path) == {(what, done)}
    assert (tmp_path / "log.db").read_bytes() == before
    repaired = await examine(tmp_path, repair=True)

    assert repaired.set_aside == ["log.db.damaged-1"]
    assert (tmp_path / "log.db.damaged-1").read_bytes() == before
    assert await found(tmp_path) == set()
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        kept = {running_task, pending} | ({done} if what == "index" else set())
        assert {task.task_id for task in (await system.tasks()).tasks} == kept
        log = [event async for event in system.execute(running_task)]
        assert log[-1].event_type == "task_completed"


LIBRARY_DAMAGE = {
    "a text": ("UPDATE texts SET text = 'x' WHERE number = 1", "document", 1),
    "a passage": ("UPDATE passages SET text = 'x' WHERE number = 1", "document", 1),
    "an excerpt": ("UPDATE excerpts SET headings = 'x' WHERE number = 1", "document", 1),
    "a missing passage": ("DELETE FROM passages WHERE number = 1", "document", 1),
    "notes": ("UPDATE documents SET notes = '[' WHERE number = 1", "document", 1),
    "a term": ("UPDATE passage_terms_content SET c2 = 'x' WHERE id = 1", "passage_terms", 0),
    "the index": ("UPDATE excerpt_terms_data SET block = x'00' WHERE id > 10", "excerpt_terms", 0),
    "a row of the index": ("DELETE FROM passage_terms WHERE rowid = 2", "passage_terms", 0),
}


@pytest.mark.parametrize("kind", LIBRARY_DAMAGE)
async def test_the_doctor_names_a_damaged_document_and_rebuilds_the_index(
    kind: str, tmp_path: Path
) -> None:
    ids = await library_of(tmp_path)
    assert await found(tmp_path) == set()
    sql, where, damaged = LIBRARY_DAMAGE[kind]
    change(tmp_path / "library.db", sql)

    name = ("document", ids[0]) if where == "document" else ("index", where)
    assert name in await found(tmp_path)
    await examine(tmp_path, repair=True)

    assert await found(tmp_path) == set()
    async with opened(tmp_path) as library:
        assert [d.document_id for d in await documents(library)] == ids[damaged:][::-1]
        for word, document_id in zip(("zebra", "frog", "okapi"), ids, strict=True):
            hits = (await library.search(word, limit=3)).passages
            kept = document_id in ids[damaged:]
            assert [one.document_id for one in hits] == [document_id] * kept


@pytest.mark.parametrize("file", MAKE)
async def test_the_doctor_finds_and_mends_a_damaged_page(file: str, tmp_path: Path) -> None:
    await MAKE[file](tmp_path, 2**18)
    pages = (tmp_path / file).stat().st_size // PAGE
    for page in range(1, pages, 7):
        flip(tmp_path / file, page * PAGE)
        assert (await examine(tmp_path)).findings, page
        await examine(tmp_path, repair=True)
        assert await found(tmp_path) == set(), page
        (tmp_path / f"{file}.damaged-1").replace(tmp_path / file)
        flip(tmp_path / file, page * PAGE)


async def test_the_doctor_does_not_disturb_a_server(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        ran = terzetto("doctor", "--json", "--data", str(tmp_path))
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == {
            "folder": str(tmp_path),
            "findings": [],
            "set_aside": [],
        }
        refused = terzetto("doctor", "--repair", "--data", str(tmp_path))
        assert refused.returncode == 75 and "end the server" in refused.stderr
        assert server.process.returncode is None


async def test_a_repair_keeps_whose_a_task_and_a_document_are(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with scripted_system(settings=settings) as system:
        broken = (await system.create("toads", owner="alice")).task_id
        whole = (await system.create("frogs", owner="alice")).task_id
    async with opened(tmp_path) as library:
        await library.add(b"A zebra has stripes.", by="bob")
        kept = (await library.add(b"A frog sings.", by="bob")).document.document_id
    change(tmp_path / "log.db", "UPDATE log SET lines = x'7b' WHERE mark = 1")
    change(tmp_path / "library.db", "UPDATE texts SET text = 'x' WHERE number = 1")

    assert len((await examine(tmp_path, repair=True)).set_aside) == 2

    async with scripted_system(settings=settings) as system:
        assert (await system.tasks(owner="alice")).tasks[0].task_id == whole != broken
    async with opened(tmp_path) as library:
        assert await library.added_by(kept) == "bob"


# --- What commands say ------------------------------------------------------------------------


def terzetto(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "web.command", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def truncated(file: Path) -> None:
    with file.open("r+b") as opened_file:
        opened_file.truncate(100)


UNUSABLE = {
    "damaged": (truncated, "damaged"),
    "a letter": (lambda file: file.write_bytes(b"Dear Ann, " * 900), "damaged"),
    "foreign": (lambda file: change(file, "PRAGMA application_id = 5"), "another program"),
    "newer": (lambda file: change(file, "PRAGMA user_version = 99"), "newer Terzetto"),
    "older than it is": (lambda file: change(file, "PRAGMA user_version = 1"), "damaged"),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "cannot be"),
}
COMMANDS = [
    ["serve", "--bind", "127.0.0.1:0"],
    ["run", "frogs"],
    ["ingest", __file__],
    ["search", "frogs"],
    ["doctor"],
    ["doctor", "--repair"],
]


@pytest.mark.parametrize("file", MAKE)
@pytest.mark.parametrize("kind", UNUSABLE)
async def test_an_unusable_database_is_one_plain_sentence_of_every_command(
    kind: str, file: str, tmp_path: Path
) -> None:
    await three_tasks(tmp_path)
    await library_of(tmp_path)
    spoil, why = UNUSABLE[kind]
    spoil(tmp_path / file)
    for command in COMMANDS:
        ran = terzetto(*command, "--data", str(tmp_path))
        assert ran.returncode not in (0, -6), command
        said = ran.stderr.strip().splitlines()
        assert len(said) == 1 and why in said[0] and file in said[0], (command, ran.stderr)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write every file")
async def test_a_read_only_database_is_one_plain_sentence(tmp_path: Path) -> None:
    await three_tasks(tmp_path)
    (tmp_path / "log.db").chmod(0o400)
    ran = terzetto("run", "frogs", "--data", str(tmp_path))
    assert ran.returncode == 75 and "log.db cannot be used now" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


async def test_the_script_for_larger_files_runs(capsys: pytest.CaptureFixture[str]) -> None:
    await damage.main(positions=2, mib=0.3, seed=3)
    assert capsys.readouterr().out.count("2 positions") == 2
