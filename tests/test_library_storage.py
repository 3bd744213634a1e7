"""The library on disk: what survives, what is refused, and who is interrupted."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from actors.errors import StorageUnavailable
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.schema import FILE_NAME, SCHEMA
from actors.sqlite import open_database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Library]:
    async with open_library(folder, now=lambda: NOON, parser=InlineParser()) as library:
        yield library


async def test_documents_survive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        added = await library.add(b"A zebra.", source="/a.txt")

    async with opened(tmp_path) as library:
        assert await library.document(added.document.document_id) == added.document
        assert len((await library.search("zebra", limit=3)).passages) == 1
        assert await library.knows(added.document.sha256, source="/a.txt")


async def test_what_was_added_is_in_the_file_before_the_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        await library.add(b"A zebra.")

        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
            (count,) = other.execute("SELECT count(*) FROM passages").fetchone()
            (mode,) = other.execute("PRAGMA journal_mode").fetchone()

    assert (count, mode) == (1, "wal")


async def test_the_index_agrees_with_the_documents_after_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        for number in range(5):
            await library.add(f"# Note {number % 2}\n\nText {number}.".encode(), source="/a.md")
        await library.delete((await library.add(b"Another.")).document.document_id)

    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for unit in ("passage", "excerpt"):
            table = f"{unit}_terms"
            db.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
            indexed = db.execute(f"SELECT rowid FROM {table} ORDER BY 1").fetchall()
            assert indexed == db.execute(f"SELECT {unit} FROM {unit}s ORDER BY 1").fetchall() != []
        assert db.execute("SELECT count(*) FROM documents").fetchone() == (1,)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 50, b"short"])
async def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(StorageUnavailable, match=r"library\.db"):
        async with opened(tmp_path):
            pass

    assert (tmp_path / FILE_NAME).read_bytes() == content


@pytest.mark.parametrize("pragma", ["user_version = 7", "application_id = 5", "foreign_keys = 1"])
async def test_a_foreign_database_is_refused_and_kept(tmp_path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute(f"PRAGMA {pragma}")
        db.execute("CREATE TABLE recipes (name TEXT)")
    before = (tmp_path / FILE_NAME).read_bytes()

    with pytest.raises(StorageUnavailable, match="not a Terzetto library"):
        async with opened(tmp_path):
            pass

    assert (tmp_path / FILE_NAME).read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageUnavailable):
        async with opened(tmp_path / "file" / "data"):
            pass


async def test_a_full_disk_refuses_writing_and_goes_on_reading(tmp_path: Path) -> None:
    async with open_database(SCHEMA, tmp_path / FILE_NAME) as database:
        library = Library(database, InlineParser(), lambda: NOON)
        await library.add(b"A zebra.")
        await database.write(lambda db: db.execute("PRAGMA max_page_count = 40").fetchall())

        with pytest.raises(StorageUnavailable):
            await library.add(b"giraffe text " * 100_000, media_type="text/plain")

        assert len((await library.search("zebra", limit=3)).passages) == 1
        assert (await library.search("giraffe", limit=3)).passages == ()
        await database.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchall())
        await library.add(b"giraffe text " * 1_000, media_type="text/plain")
        assert (await library.search("giraffe", limit=3)).passages


async def test_a_reader_whose_asker_left_is_interrupted(tmp_path: Path) -> None:
    async with open_database(SCHEMA, tmp_path / FILE_NAME) as database:
        for _ in range(5):
            with trio.move_on_after(0.02) as scope:
                await database.read(lambda db: db.execute(ENDLESS).fetchone())
            assert scope.cancelled_caught

        assert await database.read(lambda db: db.execute("SELECT 1").fetchone()) == (1,)


async def test_readers_cannot_write(tmp_path: Path) -> None:
    async with open_database(SCHEMA, tmp_path / FILE_NAME) as database:
        with pytest.raises(StorageUnavailable):
            await database.read(lambda db: db.execute("DELETE FROM documents"))


async def test_a_cancelled_add_is_whole_or_not_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        for tick in range(30):
            body = f"Zebra number {tick}.".encode()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_after, tick, scope)
                    await library.add(body)
            found = (await library.search(f"{tick}", limit=50)).passages
            listed = await library.documents(limit=100, cursor=None)
            texts = [await library.text(d.document_id) for d in listed.documents if not d.sample]
            assert (body.decode() in texts) == (body.decode() in {p.text for p in found})


async def _cancel_after(checkpoints: int, scope: trio.CancelScope) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    scope.cancel()
