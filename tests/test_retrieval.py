"""Search by words and by meaning together: fusion, selection, and the vectors behind it."""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path
from random import Random

import numpy as np
import pytest
import trio
from actors.library.encoders import vector_index, vectors
from actors.library.encoders.embedding import DIMENSIONS, Embedder, packed, unpacked
from actors.library.encoders.vector_index import VectorIndex
from actors.library.encoders.vectors import packaged_embedder
from actors.library.search import fused

from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.selection import selected
from actors.library.statements import FILE_NAME
from actors.tasks.evidence import Passage

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PARIS = b"The capital of France is Paris, a city on the Seine."
BREAD = b"Sourdough needs flour, water, salt and a long night."


@asynccontextmanager
async def opened(folder: Path | None, *, vectors: bool = True) -> AsyncIterator[Library]:
    async with open_library(
        folder, now=lambda: NOON, parser=InlineParser(), vectors=vectors
    ) as library:
        yield library


@pytest.fixture(params=["memory", "file"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    async with opened(tmp_path / "data" if request.param == "file" else None) as library:
        yield library


async def texts(library: Library, query: str) -> list[str]:
    return [passage.text for passage in (await library.search(query, limit=10)).passages]


# --- Fusion -----------------------------------------------------------------------------------


def test_what_several_rankings_hold_comes_before_what_one_does() -> None:
    scores = fused([[1, 2, 3], [4, 3]])

    assert list(scores) == [3, 1, 4, 2]
    assert scores[3] == pytest.approx(1 / 63 + 1 / 62)
    assert scores[1] == pytest.approx(1 / 61)


def test_one_ranking_stays_as_it_is() -> None:
    assert list(fused([[3, 1, 2], []])) == [3, 1, 2]


# --- Selection --------------------------------------------------------------------------------

LONG = "Every actor has one mailbox, and every mailbox holds only so many letters at a time"


def passage(document: str, position: int, text: str = "", score: float = 1.0) -> Passage:
    return Passage(document, document, "", position, text or f"{document} {position}", score)


def test_of_near_duplicates_only_the_best_is_shown() -> None:
    found = [passage("a", 1, LONG), passage("b", 1, f"{LONG}!"), passage("c", 1, "Another text.")]

    assert selected(found, 10) == (found[0], found[2])


def test_passages_that_share_some_words_are_both_shown() -> None:
    found = [passage("a", 1, LONG), passage("b", 1, f"{LONG}, unlike a stack of unread mail.")]

    assert selected(found, 10) == tuple(found)


@pytest.mark.parametrize("seed", range(20))
def test_folding_leaves_what_comparing_all_pairs_would(seed: int) -> None:
    rng = Random(seed)
    first = [rng.choice("abcdefgh") * rng.randint(1, 3) for _ in range(120)]
    found: list[Passage] = []
    for number in range(16):
        words = list(rng.choice(found).text.split() if found and rng.random() < 0.7 else first)
        for _ in range(rng.choice((0, 1, 2, 4, 8))):
            words[rng.randrange(len(words))] = f"word{rng.randrange(10**9)}"
        found.append(passage(f"d{number}", 1, " ".join(words[: rng.choice((3, 40, 120))])))

    kept: list[Passage] = []
    for one in found:
        if all(resemblance(one.text, other.text) < 0.8 for other in kept):
            kept.append(one)

    assert selected(found, 16) == tuple(kept)


def resemblance(one: str, other: str) -> float:
    """The Jaccard similarity of the runs of five words, straight from its definition."""
    runs = []
    for words in (one.split(), other.split()):
        starts = range(max(len(words) - 4, 1))
        runs.append({tuple(words[start : start + 5]) for start in starts})
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def test_no_document_takes_all_places_while_others_wait() -> None:
    found = [passage("a", 2 * n) for n in range(9)] + [passage("b", 1), passage("c", 1)]

    assert [one.document_id for one in selected(found, 5)] == ["a", "a", "a", "b", "c"]
    assert [one.document_id for one in selected(found, 7)].count("a") == 5
    assert len(selected(found, 20)) == 11


def test_what_continues_a_passage_follows_it_in_the_order_of_the_text() -> None:
    found = [passage("a", 4, score=9), passage("b", 1, score=8), passage("a", 5, score=7)]
    found += [passage("a", 3, score=6), passage("a", 9, score=5)]

    shown = selected(found, 10)

    assert [(one.document_id, one.position) for one in shown] == [
        *(("a", 4), ("a", 3), ("a", 5)),
        *(("b", 1), ("a", 9)),
    ]
    assert [one.score for one in shown] == [9, 9, 9, 8, 5]
    assert {replace(one, score=0.0) for one in shown} == {replace(one, score=0.0) for one in found}


# --- Vectors ----------------------------------------------------------------------------------


async def test_a_passage_is_found_by_what_it_means(library: Library) -> None:
    await library.add(BREAD)
    await library.add(PARIS)

    assert await texts(library, "a large French town") == [PARIS.decode()]
    assert await texts(library, "quantum chromodynamics") == []


async def test_a_search_says_what_it_went_by(library: Library) -> None:
    await library.add(PARIS)

    assert library.rankers == ("bm25", "vectors")
    assert (await library.search("Paris", limit=1)).rankers == ("bm25", "vectors")
    words = await library.search("a large French town", limit=1, rankers=["bm25"])
    assert (words.rankers, words.passages) == (("bm25",), ())
    meaning = await library.search("a large French town", limit=1, rankers=["vectors"])
    assert (meaning.rankers, len(meaning.passages)) == (("vectors",), 1)


async def test_without_vectors_words_decide_alone_and_the_answer_says_so() -> None:
    async with opened(None, vectors=False) as library:
        await library.add(PARIS)
        hits = await library.search("a large French town", limit=3)

    assert (hits.rankers, hits.passages) == (("bm25",), ())


async def test_the_sample_library_is_found_by_meaning_too(library: Library) -> None:
    hits = await library.search("surviving crashes", limit=3, rankers=["vectors"])

    assert hits.sample
    assert "Supervision and restart strategies" in {one.title for one in hits.passages}


async def test_vectors_come_and_go_with_their_documents(library: Library) -> None:
    question = "a large French town"
    paris = (await library.add(PARIS, source="/paris.txt")).document
    await library.add(BREAD)
    assert await texts(library, question) == [PARIS.decode()]

    await library.delete(paris.document_id)
    assert await texts(library, question) == []

    await library.add(PARIS + b" Or two.", source="/paris.txt")
    assert await texts(library, question) == [PARIS.decode() + " Or two."]
    await library.add(b"Nothing about towns any more.", source="/paris.txt")
    assert PARIS.decode() + " Or two." not in await texts(library, question)


def stored(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return int(db.execute("SELECT count(*) FROM vectors").fetchone()[0])


async def test_vectors_are_stored_with_the_document_and_survive(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        await library.add(PARIS)
        assert stored(tmp_path) == 1

    async with opened(tmp_path) as library:
        assert await texts(library, "a large French town") == [PARIS.decode()]


async def test_passages_that_came_without_vectors_get_them_later(tmp_path: Path) -> None:
    async with opened(tmp_path, vectors=False) as library:
        for number in range(40):
            await library.add(b"%b Note number %d." % (PARIS, number))
    assert stored(tmp_path) == 0

    async with opened(tmp_path) as library:
        await library.fill_vectors()
        assert stored(tmp_path) == 40
        assert await texts(library, "a large French town")


async def test_they_get_them_in_the_background_while_the_library_is_open(tmp_path: Path) -> None:
    async with opened(tmp_path, vectors=False) as library:
        await library.add(PARIS)

    async with opened(tmp_path) as library:
        with trio.fail_after(30):
            while not await texts(library, "a large French town"):
                await trio.sleep(0.01)


async def test_vectors_of_another_model_are_made_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        await library.add(PARIS)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE vector_model SET model = 'another'")
        db.execute("UPDATE vectors SET embedding = zeroblob(256)")

    async with opened(tmp_path) as library:
        await library.fill_vectors()
        assert await texts(library, "a large French town") == [PARIS.decode()]


async def test_a_library_from_before_there_were_vectors_is_brought_up_to_date(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, vectors=False) as library:
        await library.add(PARIS)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.executescript(
            "DROP TABLE vectors; DROP TABLE vector_model; DROP TABLE dropped_vectors;"
            "DROP INDEX links; ALTER TABLE texts DROP COLUMN crc;"
            "ALTER TABLE passages DROP COLUMN crc; PRAGMA user_version = 1"
        )

    async with opened(tmp_path) as library:
        await library.fill_vectors()
        assert await texts(library, "a large French town") == [PARIS.decode()]


async def test_vectors_from_before_they_were_counted_when_dropped_stay_and_go(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as library:
        old = await library.add(PARIS)
        await library.add(BREAD)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.executescript(
            "DROP TRIGGER vector_dropped; DROP TABLE dropped_vectors; DROP INDEX links;"
            "ALTER TABLE texts DROP COLUMN crc; ALTER TABLE passages DROP COLUMN crc;"
            "PRAGMA user_version = 2"
        )

    async with opened(tmp_path) as library:
        assert await texts(library, "a large French town") == [PARIS.decode()]
        await library.delete(old.document.document_id)
        assert await texts(library, "a large French town") == []
        assert await texts(library, "flour") == [BREAD.decode()]


async def test_a_cancelled_search_leaves_the_next_one_as_good(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        await library.add(PARIS)
        for checkpoints in range(25):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_after, checkpoints, scope)
                    await library.search("a large French town", limit=3)
                    nursery.cancel_scope.cancel()

        assert await texts(library, "a large French town") == [PARIS.decode()]


async def _cancel_after(checkpoints: int, scope: trio.CancelScope) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    scope.cancel()


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    found = packaged_embedder()
    assert found is not None
    return found


def test_a_stored_vector_is_nearly_the_vector(embedder: Embedder) -> None:
    vector = embedder.vector("Exponential backoff doubles the delay after each failed attempt.")
    row = unpacked([packed(vector)])[0].astype(np.float32)

    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert row @ vector / np.linalg.norm(row) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_text_without_tokens_is_near_to_nothing(embedder: Embedder, text: str) -> None:
    index = VectorIndex()
    index.append([(1, packed(embedder.vector(text)), 1.0)])
    ranking = index.ranking(embedder.vector("anything"))
    ranking.step()

    assert embedder.vector("").any() == np.False_
    assert index.last == 1
    assert all(np.isfinite(score) for score in ranking.best(5).values())


def test_an_index_finds_what_a_look_at_every_vector_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "SLICE", 7)
    monkeypatch.setattr(vector_index, "_SLICES_OF_STEP", 2)
    rng = np.random.default_rng(42)
    rows = rng.standard_normal((100, DIMENSIONS)).astype(np.float32)
    query = rng.standard_normal(DIMENSIONS).astype(np.float32)
    index = VectorIndex()
    for start in range(0, 100, 30):
        part = range(start, min(start + 30, 100))
        index.append([(n + 1, packed(rows[n]), 0.2 if n % 3 else 1.0) for n in part])
    index.keep(array("q", [n for n in range(1, 101) if n % 10]))

    ranking = index.ranking(query)
    while ranking.step():
        pass

    cosines = rows @ query / np.linalg.norm(rows, axis=1)
    worth = {n + 1: float(c) * (0.2 if n % 3 else 1.0) for n, c in enumerate(cosines)}
    kept = sorted((n for n in worth if n % 10), key=lambda n: -worth[n])
    assert list(ranking.best(5)) == kept[:5]
    assert len(index) == 90 and index.last == 99

    index.keep(array("q", [1_000, 55, 3, 5]))
    assert (len(index), index.last) == (3, 55)
    index.keep(array("q"))
    assert (len(index), index.last) == (0, 0)


def test_an_index_lets_in_no_more_than_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "MOST_VECTORS", 3)
    index = VectorIndex()
    index.append([(n, bytes([1] * DIMENSIONS), 1.0) for n in (1, 2, 3)])

    assert index.room == 0


async def test_passages_past_the_limit_are_found_by_their_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vector_index, "MOST_VECTORS", 1)
    async with opened(None) as library:
        await library.add(BREAD)
        await library.add(PARIS)

        assert await texts(library, "a large French town") == []
        assert await texts(library, "capital") == [PARIS.decode()]


async def test_what_was_deleted_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "MOST_VECTORS", 1)
    async with opened(None) as library:
        paris = (await library.add(PARIS)).document
        assert await texts(library, "a large French town") == [PARIS.decode()]
        await library.delete(paris.document_id)
        await library.add(BREAD)

        assert await texts(library, "dough") == [BREAD.decode()]


# --- The extra --------------------------------------------------------------------------------


def test_without_the_extra_there_is_no_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)

    assert packaged_embedder.__wrapped__() is None


def test_a_package_without_weights_is_told_and_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = ModuleSpec("wordllama", None, is_package=True)
    broken.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(vectors, "find_spec", lambda name: broken)

    with caplog.at_level(logging.WARNING):
        assert packaged_embedder.__wrapped__() is None

    assert "terzetto[vectors]" in caplog.text
