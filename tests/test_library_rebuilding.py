"""Libraries from before: each old form is brought to the newest when it is opened."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest

from actors.errors import DocumentUnreadable
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.rebuilding import next_rebuilds, rebuild
from actors.library.retrieval import Query
from actors.library.schema import FILE_NAME, SCHEMA
from actors.sqlite import open_database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLD_STEPS = (1, 2, 3, 4)
"""How many steps the schema had in each release before there were excerpts."""

ZEBRA = "Stripes\n\nA zebra has stripes, to be counted:\n\n- black\n- white\n\n| okapi | four legs\n\n    zebra()"
"""A text as it was stored: the section "Stripes" with a list, a row and code."""


def body(number: int) -> bytes:
    return f"# Zebra {number}\n\nA zebra.\n".encode()


async def make_old(folder: Path, steps: int, texts: list[str]) -> None:
    """A library as a release with so many steps left it, with these texts of documents."""
    schema = replace(SCHEMA, steps=SCHEMA.steps[:steps])
    async with open_database(schema, folder / FILE_NAME) as database:
        await database.write(partial(_fill, texts=texts, steps=steps))


def _fill(db: sqlite3.Connection, texts: list[str], steps: int) -> None:
    for number, text in enumerate(texts, start=1):
        digest = sha256(body(number)).hexdigest()
        row = (number, f"id-{number}", f"Zebra {number}", "text/markdown", 9, digest, 1, "2025", 0)
        db.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("INSERT INTO sources VALUES (?, ?)", (f"/{number}.md", number))
        db.execute("INSERT INTO texts (number, text) VALUES (?, ?)", (number, text))
        db.execute(
            "INSERT INTO passages (passage, number, position, worth, section, text) "
            "VALUES (?, ?, 1, 1.0, 'Stripes', ?)",
            (number, number, text.partition("\n\n")[2]),
        )
        db.execute(
            "INSERT INTO search (rowid, title, section, text) VALUES (?, '', '', '')", (number,)
        )
        if steps >= 2:
            db.execute("INSERT INTO vectors (passage, embedding) VALUES (?, x'00')", (number,))
        if steps >= 4:
            crc = crc32(text.encode())
            db.execute("UPDATE texts SET crc = ? WHERE number = ?", (crc, number))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Library]:
    async with open_library(folder, now=lambda: NOON, parser=InlineParser()) as library:
        yield library


async def found(library: Library, word: str) -> list[str]:
    hits = await library.search(word, limit=50)
    return sorted(passage.document_id for passage in hits.passages)


@pytest.mark.parametrize("steps", OLD_STEPS)
async def test_an_old_library_is_rebuilt_from_its_texts(tmp_path: Path, steps: int) -> None:
    await make_old(tmp_path, steps, [ZEBRA, ZEBRA.replace("okapi", "giraffe")])

    async with opened(tmp_path) as library:
        assert await found(library, "stripes") == ["id-1", "id-2"]
        assert await found(library, "giraffe") == ["id-2"]
        document = await library.document("id-1")
        assert (document.title, document.created_at, document.notes) == ("Zebra 1", "2025", ())
        assert (await library.counts())["to_rebuild"] == 2
        excerpts = (await library.find(Query("okapi legs"), limit=5)).excerpts
        assert [e.text for e in excerpts if e.kind == "row"] == [
            "| okapi | four legs |",
            "| giraffe | four legs |",
        ]
        assert {e.headings for e in excerpts} == {("Stripes",)}
        kinds = [e.kind for e in excerpts if e.document_id == "id-1"]
        assert kinds == ["list", "row", "code"]
        text = await library.text("id-1")
        passages = (await library.search("okapi", limit=5)).passages
        assert [text[p.start : p.end] for p in passages] == [p.text for p in passages]


@pytest.mark.parametrize("steps", OLD_STEPS)
async def test_the_same_bytes_are_parsed_again_after_a_rebuild(tmp_path: Path, steps: int) -> None:
    await make_old(tmp_path, steps, [ZEBRA])

    async with opened(tmp_path) as library:
        added = await library.add(body(1), file_name="1.md", source="/renamed.md")

        assert (added.created, added.updated, added.document.document_id) == (False, True, "id-1")
        page = await library.documents(limit=5, cursor=None, source="/1.md")
        assert page.documents[0].sources == ("/1.md", "/renamed.md")
        assert (await library.counts())["to_rebuild"] == 0


class _Stopped(Exception):
    """Stands for the end of the process."""


async def test_an_interrupted_rebuild_goes_on_where_it_stopped(tmp_path: Path) -> None:
    await make_old(tmp_path, 4, [f"Text number {n}, of a zebra." for n in range(1, 81)])
    async with open_database(SCHEMA, tmp_path / FILE_NAME) as database:
        writes = 0

        class Stopping:
            read, compute = staticmethod(database.read), staticmethod(database.compute)
            check, give_back = staticmethod(database.check), staticmethod(database.give_back)

            async def write(self, work, *, references=True):
                nonlocal writes
                if (writes := writes + 1) > 2:
                    raise _Stopped
                return await database.write(work)

        with pytest.raises(_Stopped):
            await rebuild(Stopping())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("SELECT count(*), min(number) FROM rebuilds").fetchone() == (16, 65)

    async with opened(tmp_path) as library:
        assert len((await library.find(Query("zebra"), limit=100)).passages) == 80
        assert (await library.counts())["excerpts"] == 80


async def test_a_damaged_text_is_the_fault_of_its_document_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await make_old(tmp_path, 4, [ZEBRA] * 4)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("UPDATE texts SET text = CAST(x'ff00fe' AS TEXT), crc = NULL WHERE number = 1")
        db.execute("UPDATE texts SET text = text || '!' WHERE number = 2")
        db.execute("DELETE FROM texts WHERE number = 3")

    async with opened(tmp_path) as library:
        assert await found(library, "zebra") == ["id-4"]
        lines = [r.getMessage() for r in caplog.records if "cannot be rebuilt" in r.msg]
        assert [line.split()[1] for line in lines] == ["id-1", "id-2", "id-3"]
        assert (await library.document("id-1")).passages == 0
        with pytest.raises(DocumentUnreadable):
            await library.text("id-1")
        await library.delete("id-1")
        again = await library.add(body(2), media_type="text/markdown")
        assert (again.updated, again.document.document_id) == (True, "id-2")
        assert await library.text("id-2") == "A zebra."

    caplog.clear()
    async with opened(tmp_path) as library:
        assert await found(library, "zebra") == ["id-2", "id-4"]
        assert not [r for r in caplog.records if r.levelno == logging.WARNING]


async def test_a_rebuild_says_what_it_does_and_what_to_send_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await make_old(tmp_path, 4, [ZEBRA] * 3)

    async with opened(tmp_path):
        pass

    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "rebuilding the library: 3 documents to go"
    assert told[1] == "the library is rebuilt: 3 documents"
    assert "3 documents" in told[2] and "terzetto ingest" in told[2]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}

    caplog.clear()
    caplog.set_level(logging.INFO, "actors")
    async with opened(tmp_path):
        pass

    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.INFO, told[2])]


async def test_names_of_sections_that_are_damaged_stop_no_rebuild(tmp_path: Path) -> None:
    await make_old(tmp_path, 4, [ZEBRA])
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("UPDATE passages SET section = CAST(x'ff' AS TEXT)")

    async with opened(tmp_path) as library:
        assert await found(library, "zebra") == ["id-1"]


def test_the_steps_of_the_schema_are_those_of_the_releases_and_five_more() -> None:
    assert len(SCHEMA.steps) == max(OLD_STEPS) + 5


async def test_one_transaction_holds_no_more_text_than_its_bound(tmp_path: Path) -> None:
    await make_old(tmp_path, 4, ["x" * 10, "y" * 10, "z" * 10])

    async with open_database(SCHEMA, tmp_path / FILE_NAME) as database:
        for documents, text_bytes, expected in [(2, 99, 2), (9, 10, 1), (9, 11, 2), (9, 0, 1)]:
            few = partial(next_rebuilds, documents=documents, text_bytes=text_bytes)
            assert len(await database.read(few)) == expected
