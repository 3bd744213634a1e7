"""The library: adding, finding, reading, listing and deleting documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import (
    DocumentNotFound,
    IllegalState,
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
from actors.library import library as module
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.retrieval import match_expression

NOON = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)


@pytest.fixture(params=["memory", "file"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    folder = tmp_path / "data" if request.param == "file" else None
    async with open_library(folder, now=lambda: NOON, parser=InlineParser()) as opened:
        yield opened


async def add(library: Library, text: str, name: str = "a.md", source: str | None = None) -> str:
    added = await library.add(text.encode(), file_name=name, source=source)
    return added.document.document_id


async def found(library: Library, query: str) -> list[str]:
    return [passage.document_id for passage in (await library.search(query, limit=10)).passages]


async def test_an_added_document_is_found_and_read_at_once(library: Library) -> None:
    added = await library.add(b"# Locks\n\n## Use\n\nA lock excludes others.", title="On locks")

    hits = await library.search("who excludes others?", limit=3)

    assert added.created
    assert not hits.sample
    (passage,) = hits.passages
    assert (passage.document_id, passage.title) == (added.document.document_id, "On locks")
    assert (passage.section, passage.position) == ("Use", 1)
    assert passage.text == "A lock excludes others."
    assert passage.score > 0
    assert await library.document(added.document.document_id) == added.document
    text = "Locks\n\nUse\n\nA lock excludes others."
    assert await library.text(added.document.document_id) == text


async def test_a_document_says_what_it_is(library: Library) -> None:
    document = (await library.add(b"Some text.", media_type="text/plain; charset=utf-8")).document

    assert document.media_type == "text/plain"
    assert (document.bytes, document.passages, document.sample) == (10, 1, False)
    assert document.created_at == "2026-01-31T12:00:00.123Z"
    assert len(document.sha256) == 64


async def test_the_same_bytes_are_the_same_document(library: Library) -> None:
    first = await library.add(b"Some text.", file_name="a.txt")
    second = await library.add(b"Some text.", file_name="b.txt", title="Other")

    assert not second.created
    assert second.document == first.document


async def test_a_deleted_document_is_gone_at_once(library: Library) -> None:
    kept = await add(library, "Queues are bounded.")
    gone = await add(library, "Queues are unbounded, bounded or zebra.")

    await library.delete(gone)

    assert await found(library, "queues zebra") == [kept]
    for missing in (library.document, library.text, library.delete):
        with pytest.raises(DocumentNotFound):
            await missing(gone)


async def test_other_bytes_from_one_source_take_the_place_of_the_old_ones(library: Library) -> None:
    old = await add(library, "The old zebra text.", source="/notes/a.md")
    new = await add(library, "The new giraffe text.", source="/notes/a.md")

    assert await found(library, "zebra") == []
    assert await found(library, "giraffe") == [new]
    with pytest.raises(DocumentNotFound):
        await library.document(old)


async def test_bytes_that_another_source_still_has_stay(library: Library) -> None:
    both = await add(library, "The shared zebra text.", source="/a.md")
    await add(library, "The shared zebra text.", source="/b.md")
    await add(library, "Something else.", source="/a.md")

    assert await found(library, "zebra") == [both]

    await add(library, "Something else again.", source="/b.md")

    assert await found(library, "zebra") == []


async def test_a_document_that_was_added_by_itself_is_never_replaced(library: Library) -> None:
    own = await add(library, "The zebra text.")
    await add(library, "The zebra text.", source="/a.md")
    await add(library, "Something else.", source="/a.md")

    assert await found(library, "zebra") == [own]


async def test_it_knows_what_it_has_from_where(library: Library) -> None:
    sha256 = (await library.add(b"Text.", source="/a.txt")).document.sha256

    assert await library.knows(sha256)
    assert await library.knows(sha256, source="/a.txt")
    assert not await library.knows(sha256, source="/b.txt")
    assert not await library.knows("0" * 64)


async def test_documents_are_listed_newest_first_in_pages(library: Library) -> None:
    ids = [await add(library, f"Text number {n}.") for n in range(5)]

    first = await library.documents(limit=2, cursor=None)
    await add(library, "A newer one does not shift the pages.")
    second = await library.documents(limit=2, cursor=first.next_cursor)
    third = await library.documents(limit=2, cursor=second.next_cursor)

    pages = [*first.documents, *second.documents, *third.documents]
    assert [document.document_id for document in pages] == ids[::-1]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "YQ==", "ü", "YmVmb3JlOi0x", "YmVmb3JlOjFl"])
async def test_a_foreign_cursor_is_refused(library: Library, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await library.documents(limit=2, cursor=cursor)


async def test_a_match_in_title_or_section_ranks_higher(library: Library) -> None:
    await add(library, "# Other\n\nIt mentions the zebra once and goes on about much more.")
    titled = await add(library, "# Zebra\n\nIt has stripes, and it goes on about much more.")

    assert (await found(library, "zebra"))[0] == titled


async def test_a_list_of_links_does_not_drown_the_page_it_leads_to(library: Library) -> None:
    links = "".join(f"<li><a href=x>zebra {n}</a></li>" for n in range(30))
    await add(library, f"<ul>{links}</ul>", name="index.html")
    page = await add(library, "<p>A zebra is an animal with stripes.</p>", name="page.html")

    assert (await found(library, "zebra"))[0] == page


async def test_words_are_alternatives_and_word_forms_match(library: Library) -> None:
    both = await add(library, "Starting tasks takes time.")
    one = await add(library, "A task is a task and nothing else here.")

    assert await found(library, "how do I start a task?") == [both, one]


async def test_dotted_names_are_found_whole_and_in_parts(library: Library) -> None:
    whole = await add(library, "Use asyncio.TaskGroup for that, always and everywhere, my friend.")
    part = await add(library, "A TaskGroup cancels the rest, always and everywhere, my friend.")

    assert await found(library, "asyncio.TaskGroup") == [whole, part]


NASTY = [
    '"',
    "a OR",
    "NEAR(",
    "title:x",
    "*",
    "x*",
    "- -",
    "(",
    "a AND NOT",
    "\0",
    "\ud800",
    "^x",
    "",
]


@pytest.mark.parametrize("query", [*NASTY, " ".join(NASTY), "zebra " * 5_000, "€$%&/()=?"])
async def test_no_query_is_a_syntax_error(library: Library, query: str) -> None:
    await add(library, "A zebra.")

    await library.search(query, limit=3)


async def test_a_query_without_words_finds_nothing(library: Library) -> None:
    await add(library, "A zebra.")

    assert (await library.search("?! \0", limit=3)).passages == ()


def test_stop_words_count_only_when_there_is_nothing_else() -> None:
    assert match_expression("What is the zebra?") == '"zebra"'
    assert match_expression("to be or not") == '"to" OR "be" OR "or" OR "not"'


@given(st.text(max_size=60))
async def test_any_text_is_a_query(query: str) -> None:
    async with open_library(None, now=lambda: NOON, parser=InlineParser()) as library:
        await library.add(b"A zebra.")
        await library.search(query, limit=3)


async def test_the_sample_library_stands_in_until_there_are_documents(library: Library) -> None:
    hits = await library.search("threads and async I/O", limit=5)
    sample = (await library.documents(limit=100, cursor=None)).documents
    assert hits.sample
    assert hits.passages
    assert len(sample) >= 1
    assert all(document.sample for document in sample)
    assert await library.text(sample[0].document_id)

    own = await add(library, "A zebra.")

    assert not (await library.search("threads", limit=5)).sample
    assert (await library.documents(limit=100, cursor=None)).documents[0].document_id == own
    with pytest.raises(DocumentNotFound):
        await library.document(sample[0].document_id)

    await library.delete(own)

    assert (await library.document(sample[0].document_id)).sample


async def test_a_sample_cannot_be_deleted(library: Library) -> None:
    sample = (await library.documents(limit=1, cursor=None)).documents[0]

    with pytest.raises(IllegalState, match="goes away by itself"):
        await library.delete(sample.document_id)
    with pytest.raises(DocumentNotFound):
        await library.delete("no such document")


async def test_too_large_documents_are_refused(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)

    with pytest.raises(TooLarge):
        await library.add(b"x" * 11)


async def test_what_cannot_be_read_is_refused_and_leaves_nothing(library: Library) -> None:
    with pytest.raises(UnreadableDocument):
        await library.add(b"\0\1\2\3", media_type="text/plain")
    with pytest.raises(UnsupportedMediaType):
        await library.add(b"PK\x03\x04")

    assert (await library.documents(limit=1, cursor=None)).documents[0].sample
