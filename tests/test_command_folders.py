"""Folders as sources: ingested again, in process and through a running server alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path

import pytest
from conftest import Served

from actors.errors import DocumentNotFound
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.settings import Settings
from actors.system import open_system
from web.client import HttpService
from web.command.document_files import find_documents
from web.command.ingest import ingest_found, ingest_sources
from web.command.ingest_result import IngestResult
from web.local import LocalService
from web.service import Service
from web.settings.model import ServerSettings

MIB = 1_048_576
Ingest = Callable[..., Awaitable[IngestResult]]


@pytest.fixture(params=["in process", "server"])
async def service(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[Service]:
    """The two ways to a library."""
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(open_system(Settings()))
        if request.param == "in process":
            yield LocalService(system)
        else:
            yield HttpService(await stack.enter_async_context(served(system)))


@pytest.fixture
def ingest(service: Service) -> Ingest:
    """What `terzetto ingest` does, without its output."""
    return ingesting(service)


def ingesting(service: Service) -> Ingest:
    """The same for this service."""

    async def run(*paths: Path, prune: bool = False) -> IngestResult:
        found = find_documents(paths, MIB)
        result = IngestResult(prune=prune)
        fetcher = Fetcher(FetchLimits())
        await ingest_found(lambda: nullcontext(service), fetcher, found, result, lambda *_: None)
        return result

    return run


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with four notes."""
    folder = tmp_path / "notes"
    write(folder, "a.md", "b.md", "below/c.md", "below/d.md")
    return folder


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# Note {name}\n\nZebra number {name}.")


async def library(service: Service) -> set[str]:
    """The titles of all documents that came from files."""
    return {one["title"].removeprefix("Note ") for one in await service.documents_from("/")}


async def ids(service: Service, path: Path) -> list[str]:
    return [one["document_id"] for one in await service.documents_from(str(path))]


async def test_documents_whose_files_are_gone_are_removed(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    assert (await ingest(notes)).added == 4
    (notes / "a.md").unlink()
    (notes / "below" / "c.md").unlink()
    write(notes, "e.md")

    result = await ingest(notes)

    assert (result.added, result.unchanged, result.renamed) == (1, 2, 0)
    assert result.removed == [str(notes / "a.md"), str(notes / "below" / "c.md")]
    assert await library(service) == {"b.md", "below/d.md", "e.md"}
    assert (await ingest(notes)).removed == []


async def test_a_renamed_file_keeps_its_document(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    before = await ids(service, notes / "a.md")
    (notes / "a.md").rename(notes / "z.md")
    (notes / "below").rename(notes / "beneath")

    result = await ingest(notes)

    assert (result.added, result.renamed, result.unchanged, result.removed) == (0, 3, 1, [])
    assert await ids(service, notes / "z.md") == before
    assert await ids(service, notes / "a.md") == []
    assert len(await library(service)) == 4


async def test_at_most_half_of_the_documents_are_removed_without_prune(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    gone = [notes / "a.md", notes / "b.md", notes / "below" / "c.md"]
    for path in gone:
        path.unlink()

    result = await ingest(notes)

    (unpruned,) = result.unpruned
    assert (unpruned.folder, unpruned.documents) == (notes, 4)
    assert unpruned.files == [str(path) for path in gone]
    assert result.removed == [] and len(await library(service)) == 4

    result = await ingest(notes, prune=True)

    assert result.removed == [str(path) for path in gone] and result.unpruned == []
    assert await library(service) == {"below/d.md"}


async def test_new_files_do_not_raise_the_share_that_may_go(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    for path in notes.rglob("*.md"):
        path.unlink()
    write(notes, *(f"other-{number}.md" for number in range(4)))

    result = await ingest(notes)

    assert (result.added, result.removed, len(result.unpruned)) == (4, [], 1)
    assert len(await library(service)) == 8


async def test_an_empty_folder_removes_nothing_without_prune(
    notes: Path, ingest: Ingest, service: Service, tmp_path: Path
) -> None:
    write(tmp_path / "copies", "a.md", "b.md", "below/c.md")
    await ingest(notes, tmp_path / "copies")
    for path in notes.rglob("*.md"):
        path.unlink()

    result = await ingest(notes)

    assert result.unpruned[0].files == [str(notes / "below" / "d.md")]
    assert result.exit_code(0) == 1
    assert len(await ids(service, notes)) == 4
    assert (await ingest(notes, prune=True)).removed == [str(notes / "below" / "d.md")]
    assert await library(service) == {"a.md", "b.md", "below/c.md"}


async def test_a_folder_that_is_gone_is_removed_with_prune_only(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    notes.rename(notes.with_name("elsewhere"))

    assert (await ingest(notes)).removed == []
    assert len((await ingest(notes, prune=True)).removed) == 4
    assert (await ingest(notes, prune=True)).unreadable == [(notes, "No such file or directory")]
    assert await library(service) == set()


@pytest.mark.parametrize("inside", [False, True])
async def test_what_cannot_be_read_is_not_gone(
    notes: Path, ingest: Ingest, service: Service, inside: bool
) -> None:
    await ingest(notes)
    away = notes.with_name("away")
    if inside:  # As a folder on a drive that is not mounted.
        (notes / "below").rename(away)
        (notes / "below").symlink_to(notes.with_name("drive"))
    else:
        notes.rename(away)
        notes.symlink_to(notes.with_name("drive"))

    result = await ingest(notes)

    assert [reason for _, reason in result.unreadable] == ["No such file or directory"]
    assert (result.removed, result.unpruned) == ([], [])
    assert len(await library(service)) == 4


async def test_files_that_are_now_ignored_are_named_and_stay(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    (notes / ".gitignore").write_text("below/\na.md\n")

    result = await ingest(notes, prune=True)

    ignored = [notes / "a.md", notes / "below" / "c.md", notes / "below" / "d.md"]
    assert result.ignored == [str(path) for path in ignored]
    assert (result.removed, result.unchanged) == ([], 1)
    assert len(await library(service)) == 4


async def test_a_document_stays_while_something_else_holds_it(
    notes: Path, ingest: Ingest, service: Service, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    write(copies, "a.md")
    await ingest(notes, copies)
    (notes / "a.md").unlink()

    assert (await ingest(notes)).removed == []
    assert "a.md" in await library(service)

    (copies / "a.md").unlink()
    write(copies, "x.md")
    result = await ingest(copies)

    assert result.unpruned[0].files == [str(copies / "a.md")]


async def test_documents_that_were_uploaded_too_do_not_count_as_going(
    notes: Path, tmp_path: Path
) -> None:
    async with open_system(Settings()) as system:
        ingest = ingesting(LocalService(system))
        await ingest(notes)
        for name in ("a.md", "b.md"):
            await system.library.add((notes / name).read_bytes())
        for name in ("a.md", "b.md", "below/c.md"):
            (notes / name).unlink()

        result = await ingest(notes)

        assert (result.removed, result.unpruned) == ([str(notes / "below" / "c.md")], [])
        assert await library(LocalService(system)) == {"below/d.md"}
        assert (await system.library.counts())["documents"] == 3


async def test_a_folder_within_is_its_own_source(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    (notes / "a.md").unlink()
    (notes / "below" / "c.md").unlink()

    assert (await ingest(notes / "below")).removed == [str(notes / "below" / "c.md")]
    assert (await ingest(notes / "below", notes)).removed == [str(notes / "a.md")]


async def test_a_changed_file_replaces_its_document(
    notes: Path, ingest: Ingest, service: Service
) -> None:
    await ingest(notes)
    for path in notes.rglob("*.md"):
        path.write_text(f"# Note new {path.name}\n\nOther.")

    write(notes, "e.md")

    result = await ingest(notes)

    assert (result.changed, result.added, result.removed, result.unpruned) == (4, 1, [], [])
    assert await library(service) == {"e.md", "new a.md", "new b.md", "new c.md", "new d.md"}


async def test_only_known_sources_can_be_forgotten(service: Service) -> None:
    with pytest.raises(DocumentNotFound):
        await service.forget_source("/nowhere.md")


async def test_more_documents_than_a_page_are_compared(
    tmp_path: Path, ingest: Ingest, service: Service
) -> None:
    write(tmp_path / "many", *(f"{number}.md" for number in range(210)))
    await ingest(tmp_path / "many")
    (tmp_path / "many" / "0.md").unlink()
    (tmp_path / "many" / "209.md").unlink()

    assert len((await ingest(tmp_path / "many")).removed) == 2
    assert len(await library(service)) == 208


async def test_the_summary_names_what_was_removed_and_what_was_not(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ServerSettings(data_dir=tmp_path / "data")
    await ingest_sources(settings, [notes], [])
    (notes / "a.md").unlink()
    await ingest_sources(settings, [notes], [])
    (notes / "b.md").unlink()
    (notes / "below" / "c.md").unlink()
    (notes / "below" / "d.md").rename(notes / "below" / "y.md")
    capsys.readouterr()

    assert await ingest_sources(settings, [notes], []) == 0

    out, err = capsys.readouterr()
    assert out == "added 0, unchanged 1, could not read 0\n"
    assert f"2 of the 3 documents of {notes} have lost their files" in err
    assert f"--prune removes them: {notes / 'b.md'}, {notes / 'below' / 'c.md'}\n" in err

    assert await ingest_sources(settings, [notes], [], prune=True) == 0

    out, err = capsys.readouterr()
    assert out == "added 0, removed 2, unchanged 1, could not read 0\n"
    assert f"Removed, as their files are gone: {notes / 'b.md'}, {notes / 'below' / 'c.md'}" in err
