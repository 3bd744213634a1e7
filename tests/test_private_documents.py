"""Documents of one key: with `private_documents` they are there for it and for an admin only."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import trio
from web_site import PARAGRAPH, answer, open_site, page

from actors import System, open_system
from actors.clock import wall_clock
from actors.errors import DocumentNotFound
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.readers import EVERYTHING, Reader
from actors.library.retrieval import FURNITURE, Query
from actors.library.schema import FILE_NAME, SCHEMA
from actors.settings import Settings
from actors.sqlite import open_database
from web.access.keys import Keys, Principal
from web.api.app import create_app
from web.local import LocalService
from web.server import serve
from web.settings.model import ServerSettings

GUARD_S = 60
FROGS = b"# Pond\n\nZibbly frogs croak at midnight.\n"
ASKED = "When do zibbly frogs croak?"
NAMES = {"a": "write", "b": "write", "x": "admin"}


@dataclass
class Team:
    """A real server with the keys of `NAMES`, and a client for each of them."""

    system: System
    a: httpx.AsyncClient
    b: httpx.AsyncClient
    x: httpx.AsyncClient
    folder: httpx.AsyncClient
    """With the token of the data folder, as `terzetto ingest` has it."""


@asynccontextmanager
async def team(
    folder: Path | None = None, private: bool = True, keys: Keys | None = None
) -> AsyncIterator[Team]:
    keys = keys or Keys(None)
    secrets = {name: keys.add(name, scope, None)[1] for name, scope in NAMES.items()}  # type: ignore[arg-type]
    chosen = ServerSettings(bind="127.0.0.1:0", private_documents=private, fetch_private=True)
    system_settings = Settings(data_dir=folder, fetch_private=True)
    with trio.fail_after(GUARD_S):
        async with open_system(system_settings) as system, trio.open_nursery() as nursery:
            end = trio.Event()
            start = partial(serve, create_app(system, chosen, keys), chosen)
            (url, *_) = await nursery.start(partial(start, shutdown_trigger=end.wait))
            clients = {
                name: httpx.AsyncClient(
                    base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30
                )
                for name, secret in (secrets | {"folder": keys.token}).items()
            }
            yield Team(system, **clients)
            for client in clients.values():
                await client.aclose()
            end.set()


async def add(client: httpx.AsyncClient, body: bytes = FROGS, **query: str) -> dict[str, Any]:
    answer = await client.post(
        "/documents", content=body, headers={"Content-Type": "text/markdown"}, params=query
    )
    assert answer.status_code in (200, 201), answer.text
    return {**answer.json(), "status_code": answer.status_code}


async def listed(client: httpx.AsyncClient) -> list[str]:
    documents = (await client.get("/documents")).json()["documents"]
    return [one["document_id"] for one in documents if not one["sample"]]


async def found(client: httpx.AsyncClient, q: str = "zibbly") -> list[str]:
    answer = await client.get("/documents/search", params={"q": q})
    return [one["document_id"] for one in answer.json()["results"]]


async def report(client: httpx.AsyncClient, **more: str) -> str:
    """The report of a task that asks about frogs."""
    new = {"task_description": ASKED, **more}
    made = (await client.post("/tasks", json=new)).json()
    return await executed(client, made["task_id"])


async def executed(client: httpx.AsyncClient, task_id: str) -> str:
    (await client.post(f"/tasks/{task_id}/execute")).raise_for_status()
    task = (await client.get(f"/tasks/{task_id}")).json()
    assert task["status"] == "completed"
    return str(task["final_output"])


# --- Who sees it ------------------------------------------------------------------------------


async def test_a_document_is_there_for_its_key_and_the_admin_only():
    async with team() as they:
        shared = (await add(they.folder, b"# Well\n\nToads."))["document_id"]
        mine = (await add(they.a, source="/pond.md"))["document_id"]

        for method, below in (("GET", ""), ("GET", "/text"), ("DELETE", "")):
            refused = await they.b.request(method, f"/documents/{mine}{below}")
            never = await they.b.request(method, f"/documents/{mine[::-1]}{below}")
            assert (refused.status_code, refused.json()["code"]) == (404, "document_not_found")
            assert refused.json()["detail"] == never.json()["detail"]
        assert (await they.b.delete("/documents?source=/pond.md")).status_code == 404
        assert (await they.b.get("/documents?source=/pond.md")).json()["documents"] == []
        assert (await listed(they.b), await found(they.b)) == ([shared], [])
        for client in (they.a, they.x):
            assert (await listed(client), await found(client)) == ([mine, shared], [mine])
            assert "croak" in (await client.get(f"/documents/{mine}/text")).text
        counts = [(await client.get("/health")).json()["library"] for client in (they.a, they.b)]
        assert [(one["documents"], one["excerpts"]) for one in counts] == [(2, 2), (1, 1)]
        assert (await they.a.delete(f"/documents/{mine}")).status_code == 204


async def test_a_key_without_documents_has_the_sample_library():
    async with team() as they:
        await add(they.a)

        documents = (await they.b.get("/documents")).json()["documents"]

        assert documents and all(one["sample"] for one in documents)
        one = documents[0]["document_id"]
        assert (await they.b.get(f"/documents/{one}/text")).status_code == 200


async def test_the_same_bytes_of_another_key_are_another_document():
    async with team() as they:
        mine, again, theirs = [await add(client) for client in (they.a, they.a, they.b)]

        assert [one["status_code"] for one in (mine, again, theirs)] == [201, 200, 201]
        assert mine["document_id"] == again["document_id"] != theirs["document_id"]
        assert len(await listed(they.x)) == 2
        await they.a.delete(f"/documents/{mine['document_id']}")
        assert await found(they.b) == [theirs["document_id"]]


async def test_files_of_a_form_and_pages_are_private_too():
    async with open_site({"/frogs": answer(page("On frogs", PARAGRAPH))}) as site, team() as they:
        files = [("file", ("one.md", FROGS)), ("file", ("two.md", b"# Two\n\nMore frogs."))]
        (await they.a.post("/documents", files=files)).raise_for_status()
        (await they.a.post("/documents", json={"url": site.url("/frogs")})).raise_for_status()

        assert len(await listed(they.a)) == 3
        assert await listed(they.b) == []


async def test_what_comes_from_the_data_folder_is_there_for_all():
    async with team() as they:
        shared = await add(they.folder)

        assert await found(they.b) == [shared["document_id"]]
        assert (await they.b.delete(f"/documents/{shared['document_id']}")).status_code == 403


async def test_by_mcp_a_key_finds_what_it_finds_by_http():
    async with team() as they:
        await add(they.a)

        hits = [
            await LocalService(they.system, Principal(name, "write")).search("zibbly")
            for name in "ab"
        ]
        assert [len(one) for one in hits] == [1, 0]


# --- Tasks ------------------------------------------------------------------------------------


async def test_a_task_reads_what_is_shared_and_what_is_its_keys():
    async with team() as they:
        await add(they.a)
        await add(they.folder, b"# Well\n\nZibbly frogs croak in the well at noon.\n")

        reports = {name: await report(getattr(they, name)) for name in ("a", "b", "x", "folder")}

        assert all("at noon" in text for text in reports.values())
        assert [name for name, text in reports.items() if "midnight" in text] == ["a"]


async def test_a_task_reads_as_its_key_after_a_restart_and_so_does_its_follow_up(tmp_path: Path):
    new = {"task_description": ASKED}
    async with team(tmp_path) as they:
        await add(they.a)
        await add(they.folder, b"# Well\n\nZibbly frogs croak in the well at noon.\n")
        ids = [(await one.post("/tasks", json=new)).json()["task_id"] for one in (they.a, they.b)]

    async with team(tmp_path) as they:
        mine, theirs = await executed(they.a, ids[0]), await executed(they.b, ids[1])
        follow_up = await report(they.b, context_task_id=ids[1])
        own_follow_up = await report(they.a, context_task_id=ids[0])

    assert ["midnight" in text for text in (mine, theirs)] == [True, False]
    assert ["midnight" in text for text in (own_follow_up, follow_up)] == [True, False]


async def test_words_of_hidden_documents_are_unknown_words():
    async with team() as they:
        await add(they.a)
        await add(they.b, b"# Well\n\nToads sleep in the well at noon.\n")

        found = await they.system.library.find(Query("zibbly toads", reader=Reader("b")), limit=5)

        assert found.unknown == ("zibbly",)


# --- Turning it on and off --------------------------------------------------------------------


async def test_documents_keep_whose_they_are_when_the_setting_changes(tmp_path: Path):
    async with team(tmp_path, private=False) as they:
        early = await add(they.a, b"# Early\n\nZibbly newts.\n")
    async with team(tmp_path, private=True) as they:
        mine = await add(they.a, source="/pond.md")
        assert await found(they.b) == [early["document_id"]]
    async with team(tmp_path, private=False) as they:
        assert await found(they.b) == [early["document_id"]]
        assert len(await found(they.a)) == 2
        late = await add(they.a, b"# Late\n\nZibbly toads.\n")
        assert set(await found(they.b)) == {early["document_id"], late["document_id"]}
        sent_again = await add(they.a, source="/pond.md")
        assert sent_again["document_id"] in await found(they.b)
        assert mine["document_id"] not in await found(they.a)


async def test_a_new_ingest_of_the_same_file_makes_a_shared_document_private(tmp_path: Path):
    async with team(tmp_path, private=False) as they:
        await add(they.a, source="/pond.md")
        assert len(await found(they.b)) == 1
    async with team(tmp_path, private=True) as they:
        mine = await add(they.a, source="/pond.md")
        assert (await found(they.a), await found(they.b)) == ([mine["document_id"]], [])


async def test_documents_of_a_folder_from_before_there_were_owners_are_shared(tmp_path: Path):
    schema = replace(SCHEMA, steps=SCHEMA.steps[:4])
    async with open_database(schema, tmp_path / FILE_NAME) as database:
        await database.write(_old_document)

    async with team(tmp_path) as they:
        assert await listed(they.b) == await listed(they.x) == ["old"]
        assert await found(they.b) == ["old"]
        assert "midnight" in await report(they.b)


def _old_document(db: sqlite3.Connection) -> None:
    text = "Pond\n\nZibbly frogs croak at midnight."
    row = (1, "old", "Pond", "text/markdown", 40, "0" * 64, 1, "2025", 1)
    db.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO texts (number, text) VALUES (1, ?)", (text,))
    db.execute(
        "INSERT INTO passages (passage, number, position, worth, section, text) "
        "VALUES (1, 1, 1, 1.0, 'Pond', ?)",
        (text,),
    )


# --- The library ------------------------------------------------------------------------------


@asynccontextmanager
async def opened(folder: Path | None = None) -> AsyncIterator[Library]:
    async with open_library(folder, now=wall_clock, parser=InlineParser()) as library:
        yield library


@pytest.mark.parametrize("seed", range(6))
async def test_a_reader_finds_the_same_as_if_hidden_documents_had_never_been_added(seed: int):
    """But for the order of what matches about as well: BM25 counts the words of all documents."""
    rng = Random(seed)
    words = [
        "frog",
        "toad",
        "newt",
        "pond",
        "well",
        "moss",
        "reed",
        "rain",
        "moon",
        "lily",
        "heron",
        "zibbly",
    ]
    texts = [
        f"# {rng.choice(words)} {n}\n\n" + " ".join(rng.choices(words, k=12)) + ".\n"
        for n in range(30)
    ]
    owners = [rng.choice((None, "a", "b", "c")) for _ in texts]
    reader = Reader("a")
    async with opened() as mixed, opened() as alone:
        for text, owner in zip(texts, owners, strict=True):
            await mixed.add(text.encode(), owner=owner)
            if owner in (None, "a"):
                await alone.add(text.encode(), owner=owner)

        for asked in (*words, "frog in a pond with reeds and fish", "moon or rain"):
            query = Query(asked, sides=("moon", "rain"), reader=reader)
            there = await mixed.find(query, limit=100)
            want = await alone.find(replace(query, reader=EVERYTHING), limit=100)
            assert (there.weights, there.units, there.unknown) == (
                *(want.weights, want.units, want.unknown),
            )
            assert {one.key for one in there.passages} == {one.key for one in want.passages}
            assert [one.text for one in there.excerpts] == [one.text for one in want.excerpts]
            hits = await mixed.search(asked, limit=100, reader=reader)
            wanted = await alone.search(asked, limit=100)
            assert {one.key for one in hits.passages} == {one.key for one in wanted.passages}
        assert await mixed.counts(reader=reader) == await alone.counts()


async def test_scores_do_not_say_which_words_stand_in_hidden_documents():
    """A key searches for a word, and again after another key has added a document with it."""
    scores = []
    for hidden in (b"Zibbly zibbly zibbly.", b"Something else."):
        async with opened() as library:
            await library.add(hidden, owner="b")
            await library.add(b"Zibbly frogs.", owner="a")
            await library.add(b"Toads.", owner="a")
            hits = await library.search("zibbly", limit=5, reader=Reader("a"))
            scores.append([one.score for one in hits.passages])

    assert scores[0] == scores[1] and len(scores[0]) == 1


async def test_text_that_others_have_too_is_no_boilerplate():
    async with opened() as library:
        for number in range(FURNITURE + 2):
            await library.add(FROGS, owner=f"owner{number}")

        found = await library.find(Query(ASKED, reader=Reader("owner0")), limit=5)

        assert [one.text for one in found.excerpts] == ["Zibbly frogs croak at midnight."]


@pytest.mark.parametrize("name", ["a'b", 'a" OR 1', "ü", "%", ""])
async def test_any_name_is_an_owner(name: str):
    async with opened() as library:
        await library.add(FROGS, owner="someone")
        mine = (await library.add(b"Zibbly toads.", owner=name)).document.document_id

        hits = await library.search("zibbly", limit=5, reader=Reader(name))

        assert [one.document_id for one in hits.passages] == [mine]
        with pytest.raises(DocumentNotFound):
            await library.added_by(
                (await library.add(FROGS, owner="someone")).document.document_id,
                reader=Reader(name),
            )


async def test_a_repaired_library_keeps_whose_documents_are(tmp_path: Path):
    from web.command import main

    async with opened(tmp_path) as library:
        await library.add(FROGS, owner="a")
        await library.add(b"# Rest\n\nFrogs sleep.", owner="b")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE passages SET crc = 1 WHERE number = 2")

    await trio.to_thread.run_sync(main, ["doctor", "--repair", "--data", str(tmp_path)])

    async with opened(tmp_path) as library:
        assert (await library.counts(reader=Reader("a")))["documents"] == 1
        assert (await library.counts(reader=Reader("c")))["documents"] == 0
