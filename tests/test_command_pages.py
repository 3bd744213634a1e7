"""`terzetto ingest` with URLs: the command fetches by itself, and the library gets the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from command_fakes import FakeService, answer_with
from conftest import Served
from web_site import PARAGRAPH, Site, answer, open_site, page

from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.settings import Settings
from actors.system import open_system
from web.client import HttpService
from web.command import main
from web.command.ingest import ingest_sources
from web.local import open_local
from web.settings.model import ServerSettings

Text = pytest.CaptureFixture[str]
GUARD_S = 20.0


@asynccontextmanager
async def guarded_site(**pages: bytes) -> AsyncIterator[Site]:
    with trio.fail_after(GUARD_S):
        ways = {f"/{name}": answer(body) for name, body in pages.items()}
        async with open_site(ways) as site:
            yield site


def settings_in(folder: Path) -> ServerSettings:
    return ServerSettings(data_dir=folder / "data", fetch_private=True)


async def titles(settings: ServerSettings, query: str) -> list[str]:
    async with open_local(settings) as service:
        return [found["title"] for found in await service.search(query)]


async def test_files_and_pages_are_added_side_by_side(tmp_path: Path, capsys: Text) -> None:
    note = tmp_path / "note.md"
    note.write_text("# A note\n\nThe zibbly newt is silent.")
    settings = settings_in(tmp_path)
    async with guarded_site(frogs=page("On frogs", PARAGRAPH)) as site:
        assert await ingest_sources(settings, [note], [site.url("/frogs")]) == 0

        out, err = capsys.readouterr()
        assert out == "added 2, unchanged 0, could not read 0\n"
        assert f"of 2: {site.url('/frogs')}\n" in err
        assert sorted(await titles(settings, "zibbly")) == ["A note", "On frogs"]


async def test_a_changed_page_replaces_its_older_version(tmp_path: Path, capsys: Text) -> None:
    settings = settings_in(tmp_path)
    async with guarded_site(frogs=page("On frogs", PARAGRAPH)) as site:
        url = site.url("/frogs")
        await ingest_sources(settings, [], [url, url])
        await ingest_sources(settings, [], [f"{url}#croaking"])
        assert capsys.readouterr().out.splitlines() == [
            "added 1, unchanged 0, could not read 0",
            "added 0, unchanged 1, could not read 0",
        ]

        site.pages["/frogs"] = answer(page("On frogs, again", PARAGRAPH))
        await ingest_sources(settings, [], [url])

        assert await titles(settings, "zibbly") == ["On frogs, again"]


async def test_an_unreadable_page_is_listed_with_the_reason(tmp_path: Path, capsys: Text) -> None:
    async with guarded_site(frogs=page("On frogs", PARAGRAPH)) as site:
        urls = [site.url("/frogs"), site.url("/toads")]
        assert await ingest_sources(settings_in(tmp_path), [], urls) == 0

        out, err = capsys.readouterr()
        assert out == "added 1, unchanged 0, could not read 1\n"
        assert "/toads" in err and "answered 404" in err

        assert await ingest_sources(settings_in(tmp_path), [], urls[1:]) == 1


def test_a_private_page_is_refused_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    service = answer_with(monkeypatch, FakeService())

    code = main(["ingest", "http://127.0.0.1:2/", "--data", str(tmp_path / "data")])

    out, err = capsys.readouterr()
    assert code == 1 and not service.calls
    assert out == "added 0, unchanged 0, could not read 1\n" and "private network" in err


async def test_a_running_server_gets_the_bytes_and_fetches_nothing(served: Served) -> None:
    fetcher = Fetcher(FetchLimits(private=True))
    latin = "<title>Frösche</title><p>Der zibbly Frosch quakt überall.".encode("latin-1")
    async with guarded_site(bytes=b"The zibbly frog.") as site:
        site.pages["/frogs"] = answer(latin, "text/html; charset=iso-8859-1")
        site.pages["/bytes"] = answer(b"The zibbly frog.", None)
        async with open_system(Settings()) as system, served(system) as http:
            service = HttpService(http)
            frogs = await fetcher.fetch(site.url("/frogs"))
            document, outcome = await service.add_page(frogs)

            assert outcome == "added" and document["title"] == "Frösche"
            assert await service.add_page(frogs) == (document, "unchanged")
            plain, _ = await service.add_page(await fetcher.fetch(site.url("/bytes")))
            assert (plain["title"], plain["media_type"]) == ("bytes", "text/plain")

        assert site.asked_for("/frogs") == 1
