"""The sources and owners of documents: what holds a document, and what removes it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from actors.errors import DocumentNotFound
from actors.library import documents, statements
from actors.library.documents import Document
from actors.library.library import Library
from actors.library.parsing.inline import InlineParser
from actors.library.retrieval import Query
from actors.library.schema import FILE_NAME, SCHEMA
from actors.sqlite import Database, open_database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ZEBRA = b"# Zebra\n\nA zebra is striped.\n\n| animal | legs |\n| --- | --- |\n| okapi | four |\n"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(SCHEMA, tmp_path / FILE_NAME) as opened:
        yield opened


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database, InlineParser(), lambda: NOON)


async def add(library: Library, text: bytes, source: str | None = None) -> Document:
    return (await library.add(text, file_name="a.md", source=source)).document


async def listed(library: Library, source: str) -> list[tuple[str, tuple[str, ...], bool]]:
    page = await library.documents(limit=50, cursor=None, source=source)
    return [(one.title, one.sources, one.uploaded) for one in page.documents]


async def everything(database: Database) -> dict[str, int]:
    """How many rows each table has that belongs to documents."""
    names = ["documents", "sources", "texts", "passages", "excerpts", "encodings"]
    names += ["passage_terms", "excerpt_terms", "excerpt_vocabulary"]

    def counts(db: sqlite3.Connection) -> dict[str, int]:
        return {n: db.execute(f"SELECT count(*) FROM {n}").fetchone()[0] for n in names}

    return await database.read(counts)


async def test_documents_are_listed_by_source_and_by_folder(library: Library) -> None:
    await add(library, b"# One\n\nText.", "/notes/a.md")
    await add(library, b"# Two\n\nText.", "/notes/b/c.md")
    await add(library, b"# Three\n\nText.", "/notes-of-others/a.md")
    await add(library, b"# One\n\nText.", "/copies/a.md")
    await add(library, b"# Two\n\nText.")

    one = ("One", ("/copies/a.md", "/notes/a.md"), False)
    two = ("Two", ("/notes/b/c.md",), True)
    assert await listed(library, "/notes") == await listed(library, "/notes/") == [two, one]
    assert await listed(library, "/notes/a.md") == [one]
    assert await listed(library, "/notes/b/c.m") == []
    assert len(await listed(library, "/")) == 3


async def test_a_list_by_source_has_pages(library: Library) -> None:
    for number in range(5):
        await add(library, b"Text %d." % number, f"/notes/{number}.md")

    first = await library.documents(limit=3, cursor=None, source="/notes")
    rest = await library.documents(limit=3, cursor=first.next_cursor, source="/notes")

    sources = [one.sources for one in (*first.documents, *rest.documents)]
    assert sources == [(f"/notes/{number}.md",) for number in (4, 3, 2, 1, 0)]


async def test_the_documents_of_no_source_are_none_even_in_the_sample_library(
    library: Library,
) -> None:
    assert await listed(library, "/") == []


async def test_a_forgotten_source_removes_what_nothing_else_holds(library: Library) -> None:
    alone = await add(library, b"A zebra.", "/a.md")
    shared = await add(library, b"A giraffe.", "/b.md")
    await add(library, b"A giraffe.", "/c.md")
    uploaded = await add(library, b"An okapi.", "/d.md")
    await add(library, b"An okapi.")

    assert await library.forget_source("/a.md") == (alone,)
    assert await library.forget_source("/b.md") == ()
    assert await library.forget_source("/d.md") == ()

    left = (await library.documents(limit=50, cursor=None)).documents
    assert [one.document_id for one in left] == [uploaded.document_id, shared.document_id]
    with pytest.raises(DocumentNotFound):
        await library.forget_source("/a.md")
    assert await library.forget_source("/c.md") == (shared,)


async def test_a_renamed_file_keeps_its_document(library: Library) -> None:
    before = await add(library, b"A zebra.", "/old.md")
    await add(library, b"A zebra.", "/new.md")

    assert await library.forget_source("/old.md") == ()

    assert await listed(library, "/new.md") == [("a", ("/new.md",), False)]
    assert await library.document(before.document_id) == before


async def test_deleted_words_are_found_nowhere_and_nothing_is_left(
    library: Library, database: Database
) -> None:
    await add(library, b"Something else.")
    await database.write(_encode)
    before = await everything(database)
    document = await add(library, ZEBRA, "/a.md")
    await database.write(_encode)
    assert (await everything(database))["encodings"] > 1

    await library.delete(document.document_id)

    assert await everything(database) == before
    for word in ("zebra", "striped", "okapi", "legs"):
        assert (await library.search(word, limit=5)).passages == ()
        found = await library.find(Query(word), limit=5)
        assert (found.passages, found.excerpts) == ((), ())


def _encode(db: sqlite3.Connection) -> None:
    """Give every excerpt a vector."""
    db.execute(
        """INSERT OR IGNORE INTO encodings (content, model, vector)
        SELECT DISTINCT content, 'm', x'00' FROM excerpts"""
    )


async def test_vectors_stay_while_another_document_has_the_same_excerpt(
    library: Library, database: Database
) -> None:
    await add(library, b"The same paragraph.\n\nThe first one.")
    other = await add(library, b"The same paragraph.\n\nThe second one.")
    await database.write(_encode)
    assert (await everything(database))["encodings"] == 3

    await library.delete(other.document_id)

    assert (await everything(database))["encodings"] == 2


async def test_the_same_bytes_of_another_owner_are_another_document(library: Library) -> None:
    shared = (await library.add(ZEBRA, file_name="z.md", source="/z.md")).document
    ann = (await library.add(ZEBRA, file_name="z.md", source="/z.md", owner="ann")).document
    again = await library.add(ZEBRA, file_name="z.md", source="/other.md", owner="ann")

    assert ann.document_id != shared.document_id and ann.sha256 == shared.sha256
    assert (again.created, again.document) == (False, ann)

    await library.add(b"Other bytes.", source="/z.md", owner="ann")
    await library.add(b"Other bytes.", source="/other.md", owner="ann")

    with pytest.raises(DocumentNotFound):
        await library.document(ann.document_id)
    assert await library.document(shared.document_id) == shared


async def test_the_same_bytes_are_parsed_again_by_a_newer_parser(
    library: Library, database: Database
) -> None:
    before = await add(library, ZEBRA, "/a.md")
    await database.write(_age)
    assert (await library.counts())["to_rebuild"] == 1

    again = await library.add(ZEBRA, file_name="a.md", source="/b.md")

    assert (again.created, again.updated) == (False, True)
    assert again.document == before
    assert (await library.counts())["to_rebuild"] == 0
    assert await listed(library, "/a.md") == [("Zebra", ("/a.md", "/b.md"), False)]
    assert len((await library.search("okapi", limit=5)).passages) == 1
    assert not (await library.add(ZEBRA)).updated


def _age(db: sqlite3.Connection) -> None:
    """Let every document come from an older parser, which had understood less."""
    db.execute("UPDATE documents SET parser = ?", (documents.PARSER - 1,))
    db.execute("DELETE FROM excerpts")
    db.execute("DELETE FROM excerpt_terms")
    db.execute("UPDATE texts SET text = 'less', crc = NULL")


async def test_one_that_was_deleted_while_it_was_parsed_again_is_added(
    library: Library, database: Database
) -> None:
    document = await add(library, ZEBRA)
    parsed = await library.read(ZEBRA, file_name="a.md")
    await library.delete(document.document_id)

    insert = partial(statements.insert, parsed=parsed, source=None)

    assert await database.write(insert) == (parsed.document, True, False, False)


RUSSIAN = "Каждую ночь мы сохраняем базу данных, и отчёт отправляется администратору."


async def test_the_same_bytes_with_another_charset_are_parsed_again(library: Library) -> None:
    body = RUSSIAN.encode("koi8-r")
    wrong = await library.add(body, media_type="text/plain; charset=windows-1251")

    right = await library.add(body, media_type="text/plain; charset=koi8-r")

    assert (right.created, right.updated) == (False, True)
    assert right.document.document_id == wrong.document.document_id
    assert await library.text(right.document.document_id) == RUSSIAN
    assert len((await library.search("отчёт", limit=5)).passages) == 1
    for said in ("text/plain; charset=KOI8-R", "text/plain", None):
        assert not (await library.add(body, media_type=said)).updated
    assert await library.text(right.document.document_id) == RUSSIAN


async def test_the_same_bytes_of_another_type_are_parsed_again(library: Library) -> None:
    page = b"<p>A zebra &amp; an okapi</p>"
    first = await library.add(page, media_type="text/plain")

    second = await library.add(page, media_type="text/html")

    assert second.updated and second.document.media_type == "text/html"
    assert await library.text(first.document.document_id) == "A zebra & an okapi"
    assert not (await library.add(page, media_type="application/octet-stream")).updated


async def test_two_files_of_the_same_bytes_are_not_read_in_turn(library: Library) -> None:
    await library.add(ZEBRA, media_type="text/markdown", source="/a.md")

    for _ in range(2):
        assert not (await library.add(ZEBRA, media_type="text/plain", source="/a.txt")).updated
        assert not (await library.add(ZEBRA, media_type="text/markdown", source="/a.md")).updated


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"source": "/home/ann/notes/frogs.md"}, "notes/frogs.md"),
        ({"source": "C:\\Users\\ann\\notes\\frogs.md", "file_name": "x.md"}, "notes/frogs.md"),
        ({"source": "https://ex.org/frogs?p=1", "file_name": "frogs"}, "https://ex.org/frogs?p=1"),
        ({"file_name": "notes/frogs\ud800\n.md"}, "notes/frogs .md"),
        ({}, ""),
    ],
)
async def test_a_document_is_named_by_its_url_or_the_end_of_its_path(
    library: Library, given: dict[str, str], name: str
) -> None:
    added = await library.add(b"Frogs sing.", media_type="text/plain", **given)

    assert added.document.name == name
    assert (await library.document(added.document.document_id)).name == name


async def test_a_name_follows_its_file_and_is_changed_by_whoever_added_it(library: Library) -> None:
    async def name(file_name: str, by: str) -> str:
        added = await library.add(ZEBRA, file_name=file_name, by=by)
        return added.document.name

    assert [await name("a.md", "ann"), await name("b.md", "bob")] == ["a.md", "a.md"]
    assert await name("c.md", "ann") == "c.md"


async def test_a_source_whose_bytes_change_is_replaced(library: Library) -> None:
    add = partial(library.add, media_type="text/plain", source="/a.txt")
    other = await library.add(b"Three.", media_type="text/plain", source="/b.txt")

    replaced = [(await add(text)).replaced for text in (b"One.", b"Two.", b"Two.", b"Three.")]

    assert replaced == [False, True, False, True]
    assert (await library.documents(limit=9, cursor=None)).documents == (other.document,)
