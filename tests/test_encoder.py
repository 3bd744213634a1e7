"""Search and choice by meaning: vectors in the background, the time of a question, and failures.

The encoder here knows a few words by what they mean. `test_encoder_weights.py` has a real one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import trio
from conftest import Served
from numpy.typing import NDArray

from actors.agents.extractive.choose import Choice, choose
from actors.library.encoders.encoder import Encoder, EncoderUnavailable
from actors.library.encoders.vectors import VectorIndex, cosines, packed
from actors.library.encoders.worker import EncoderWorker
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.library.readers import Reader
from actors.library.retrieval import EXCERPTS_FOUND, Query
from actors.library.schema import FILE_NAME, SCHEMA
from actors.runtime.cooperative import at_once
from actors.settings import Settings
from actors.sqlite import MemoryDatabase
from actors.system import open_system
from actors.tasks.evidence import Evidence, Excerpt
from actors.tasks.plan import Question

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PARIS = b"Paris is the capital of France."
BREAD = b"Sourdough needs flour, water and a long night."
TOWN = "a large Gallic town"

MEANINGS = (
    {"paris", "capital", "france", "town", "gallic"},
    {"bread", "sourdough", "flour", "loaf"},
)


class WordEncoder:
    """A dimension for each of `MEANINGS`, and a few for all other words; counts what it encodes."""

    dimensions = 32

    def __init__(self, name: str = "words") -> None:
        self.name = name
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", " ").replace(",", " ").split():
                known = [n for n, meaning in enumerate(MEANINGS) if word in meaning]
                row[known[0] if known else 2 + sum(word.encode()) % 30] += 3.0 if known else 0.5
            row /= max(float(np.linalg.norm(row)), 1e-9)
        return rows


class Broken:
    """Fails until it is repaired."""

    def __init__(self) -> None:
        self.is_broken = True
        self._encoder = WordEncoder()

    name, dimensions = "words", WordEncoder.dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.is_broken:
            raise EncoderUnavailable("The endpoint does not answer.")
        return self._encoder.encode(texts)


@asynccontextmanager
async def opened(folder: Path | None, encoder: Encoder | None = None) -> AsyncIterator[Library]:
    load = (lambda: encoder) if encoder else None
    async with open_library(
        folder, now=lambda: NOON, parser=InlineParser(), encoder=load
    ) as library:
        yield library


@pytest.fixture(params=["memory", "file"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    folder = tmp_path / "data" if request.param == "file" else None
    async with opened(folder, WordEncoder()) as library:
        yield library


@pytest.fixture
def memory() -> Iterator[MemoryDatabase]:
    with closing(MemoryDatabase(SCHEMA)) as database:
        yield database


async def first(library: Library, question: str) -> tuple[str, float | None]:
    """The most similar excerpt for a question, and its similarity."""
    await library.encode_all()
    found = await library.find(Query(question), limit=5)
    best = max(found.excerpts, key=lambda one: one.similarity or 0.0, default=None)
    return (best.text, best.similarity) if best else ("", None)


def stored(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return int(db.execute("SELECT count(*) FROM encodings").fetchone()[0])


# --- Finding ----------------------------------------------------------------------------------


async def test_an_excerpt_is_found_by_what_it_means(library: Library) -> None:
    await library.add(BREAD)
    await library.add(PARIS)

    text, similarity = await first(library, TOWN)

    assert text == PARIS.decode()
    assert similarity is not None and similarity > 0.8


async def test_a_search_ranks_by_words_and_by_meaning_and_names_both(library: Library) -> None:
    await library.add(BREAD)
    await library.add(PARIS)
    await library.encode_all()

    both = await library.search(TOWN, limit=1)
    words = await library.search(TOWN, limit=1, rankers=["bm25"])
    meaning = await library.search(TOWN, limit=1, rankers=["encoder"])

    assert (both.rankers, words.rankers, meaning.rankers) == (
        ("bm25", "encoder"),
        ("bm25",),
        ("encoder",),
    )
    assert [one.text for one in both.passages] == [PARIS.decode()]
    assert words.passages == ()
    assert [one.text for one in meaning.passages] == [PARIS.decode()]


async def test_vectors_of_hidden_documents_take_no_place_of_those_that_are_there() -> None:
    async with opened(None, WordEncoder()) as library:
        for number in range(3 * EXCERPTS_FOUND):
            await library.add(f"Paris {number}: the capital of France.".encode(), owner="b")
        await library.add(b"Paris, or another large town in the north.", owner="a")
        await library.encode_all()
        found = await library.find(Query(TOWN, reader=Reader("a")), limit=5)
        meaning = await library.search(TOWN, limit=5, rankers=["encoder"], reader=Reader("a"))
        counts = await library.counts(reader=Reader("a"))

    assert [one.text[:9] for one in found.excerpts] == ["Paris, or"]
    assert [one.text[:9] for one in meaning.passages] == ["Paris, or"]
    assert (counts["documents"], counts["encoded"]) == (1, 1)


async def test_of_documents_with_the_same_text_only_those_that_are_there_are_found() -> None:
    async with opened(None, WordEncoder()) as library:
        for name in "abcde":
            await library.add(PARIS, owner=name)
        mine = (await library.add(PARIS, owner="a")).document.document_id
        await library.encode_all()
        found = await library.find(Query(TOWN, reader=Reader("a")), limit=5)
        hits = await library.search(TOWN, limit=5, rankers=["encoder"], reader=Reader("a"))

    assert {one.document_id for one in (*found.passages, *hits.passages)} == {mine}
    assert [one.document_id for one in found.excerpts] == [mine]


async def test_without_an_encoder_words_decide() -> None:
    async with opened(None) as library:
        await library.add(PARIS)
        found = await library.find(Query("capital"), limit=3)
        hits = await library.search(TOWN, limit=3)

    assert [one.similarity for one in found.excerpts] == [None]
    assert (hits.rankers, hits.passages) == (("bm25",), ())


async def test_the_sample_library_is_searched_by_meaning_too() -> None:
    async with opened(None, WordEncoder()) as library:
        found = await library.find(Query("What is a mailbox?"), limit=3)

    assert found.sample
    assert all(one.similarity is not None for one in found.excerpts)


async def test_an_excerpt_from_elsewhere_is_compared_too(library: Library) -> None:
    await library.add(PARIS)
    found = await library.find(Query("capital"), limit=3)

    (compared,) = await library.with_similarity("flour", found.excerpts)

    assert compared.similarity is not None and compared.similarity < 0.3


# --- Vectors ----------------------------------------------------------------------------------


async def test_excerpts_are_encoded_in_the_background_and_counted(library: Library) -> None:
    await library.add(PARIS)
    await library.add(BREAD)

    with trio.fail_after(30):
        while (counts := await library.counts())["encoded"] < counts["excerpts"]:
            await trio.sleep(0.01)

    assert counts == {"documents": 2, "excerpts": 2, "encoded": 2, "to_rebuild": 0}


async def test_vectors_go_with_the_last_document_that_has_the_text(tmp_path: Path) -> None:
    async with opened(tmp_path, WordEncoder()) as library:
        one = (await library.add(PARIS)).document
        await library.add(PARIS + b"\n\n" + BREAD)
        await library.encode_all()
        assert stored(tmp_path) == 2

        await library.delete(one.document_id)
        assert stored(tmp_path) == 2
        assert (await first(library, TOWN))[0] == PARIS.decode()

        for document in (await library.documents(limit=9, cursor=None)).documents:
            await library.delete(document.document_id)
        assert stored(tmp_path) == 0


async def test_a_deleted_document_is_not_found_by_meaning(library: Library) -> None:
    paris = (await library.add(PARIS)).document
    await library.add(BREAD)
    assert (await first(library, TOWN))[0] == PARIS.decode()

    await library.delete(paris.document_id)

    assert (await first(library, TOWN))[0] != PARIS.decode()
    await library.add(PARIS, title="Again")
    assert (await first(library, TOWN))[0] == PARIS.decode()


async def test_stored_vectors_are_not_computed_again(tmp_path: Path) -> None:
    async with opened(tmp_path, WordEncoder()) as library:
        await library.add(PARIS)
        await library.encode_all()

    again = WordEncoder()
    async with opened(tmp_path, again) as library:
        assert (await first(library, TOWN))[0] == PARIS.decode()

    assert not any(PARIS.decode() in text for text in again.encoded)


async def test_another_encoder_makes_vectors_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path, WordEncoder()) as library:
        await library.add(PARIS)
        await library.encode_all()

    another = WordEncoder("more words")
    async with opened(tmp_path, another) as library:
        await library.encode_all()

    assert any(PARIS.decode() in text for text in another.encoded)
    assert stored(tmp_path) == 1


async def test_a_library_without_vectors_gets_them_when_an_encoder_is_set(tmp_path: Path) -> None:
    async with opened(tmp_path) as library:
        for number in range(40):
            await library.add(b"%b Note number %d." % (PARIS, number))

    async with opened(tmp_path, WordEncoder()) as library:
        await library.encode_all()
        assert stored(tmp_path) == 40


async def test_a_cancelled_question_leaves_the_next_one_as_good(tmp_path: Path) -> None:
    async with opened(tmp_path, WordEncoder()) as library:
        await library.add(PARIS)
        await library.encode_all()
        for checkpoints in range(25):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_after, checkpoints, scope)
                    await library.find(Query(TOWN), limit=3)
                    nursery.cancel_scope.cancel()

        assert (await first(library, TOWN))[0] == PARIS.decode()


async def _cancel_after(checkpoints: int, scope: trio.CancelScope) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    scope.cancel()


def test_a_stored_vector_is_nearly_the_vector() -> None:
    rows = np.random.default_rng(42).standard_normal((20, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    exact = rows @ rows[0]

    assert cosines(rows[0], [packed(row) for row in rows]) == pytest.approx(exact, abs=0.01)
    assert cosines(rows[0], [packed(0 * rows[0])]) == [0]


def test_an_index_finds_what_comparing_every_vector_finds() -> None:
    rng = np.random.default_rng(42)
    rows = rng.standard_normal((5_000, 16)).astype(np.float32)
    query = rng.standard_normal(16).astype(np.float32)
    index = VectorIndex(16)
    for start in range(0, 5_000, 700):
        part = range(start, min(start + 700, 5_000))
        index.append([(n + 1, packed(rows[n])) for n in part])
    index.keep([n for n in range(1, 5_001) if n % 10])

    ranking = index.ranking(query)
    while ranking.step():
        pass

    near = dict(enumerate(cosines(query, [packed(row) for row in rows]), start=1))
    kept = sorted((n for n in near if n % 10), key=lambda n: -near[n])
    assert list(ranking.best(5)) == kept[:5]
    assert (len(index), index.last) == (4_500, 4_999)
    index.keep([])
    assert (len(index), index.last) == (0, 0)


def test_an_index_holds_no_more_than_it_may() -> None:
    index = VectorIndex(4, most=3)
    index.append([(n, bytes([1] * 4)) for n in (1, 2, 3)])

    assert index.room == 0


# --- Choosing ---------------------------------------------------------------------------------


def excerpt(text: str, similarity: float | None, start: int = 0) -> Excerpt:
    place = ("d1", "Notes", (), 1, start, start + len(text))
    return Excerpt(*place, "paragraph", text, score=1.0, similarity=similarity)


def chosen(*excerpts: Excerpt, question: str = "towns") -> Choice:
    asked = Question("s1", question, question)
    return at_once(choose(Evidence(asked, excerpts=excerpts, weights={"town": 1.0}, units=10)))


def test_of_excerpts_with_the_same_words_the_more_similar_comes_first() -> None:
    far, near = excerpt("A town of frogs.", 0.2), excerpt("A town of toads.", 0.5, 20)

    assert chosen(far, near).excerpts[0] == near
    assert chosen(replace(far, similarity=0.8), near).excerpts[0].text == far.text


def test_an_excerpt_without_similarity_counts_as_the_average() -> None:
    excerpts = [excerpt(f"A town of {n}.", s, n) for n, s in enumerate((0.55, None, 0.7))]

    assert [one.similarity for one in chosen(*excerpts).excerpts] == [0.7, None, 0.55]


@pytest.mark.parametrize(("best", "shown"), [(0.60, 1), (0.49, 2)])
def test_beside_an_answer_nothing_far_less_similar_is_shown(best: float, shown: int) -> None:
    near, far = excerpt("A town of frogs.", best), excerpt("The toads live on land.", 0.4, 20)

    assert len(chosen(near, replace(far, score=5.0)).excerpts) == shown


@pytest.mark.parametrize(
    ("similarity", "shown", "answers"),
    [(None, 0, False), (0.37, 0, False), (0.42, 1, False), (0.51, 1, True)],
)
def test_similarity_decides_where_words_say_nothing(
    similarity: float | None, shown: int, answers: bool
) -> None:
    choice = chosen(excerpt("Paris lies on the Seine.", similarity))

    assert (len(choice.excerpts), choice.answers) == (shown, answers)


# --- Failures ---------------------------------------------------------------------------------


async def test_an_encoder_that_cannot_be_loaded_costs_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load() -> Encoder:
        raise EncoderUnavailable("The folder /srv/encoder has no file model.onnx.")

    async with open_library(None, now=lambda: NOON, parser=InlineParser(), encoder=load) as library:
        await library.add(PARIS)
        for _ in range(3):
            found = await library.find(Query("capital"), limit=3)
        hits = await library.search("capital", limit=3)
        counts = await library.counts()

    assert [one.similarity for one in found.excerpts] == [None]
    assert hits.rankers == ("bm25",)
    assert counts["encoded"] == 0
    assert "no file model.onnx" in library.problem
    assert caplog.text.count("no file model.onnx") == 1


async def test_a_package_that_cannot_be_imported_is_an_encoder_that_is_missing() -> None:
    def load() -> Encoder:
        raise ImportError("libonnxruntime.so: cannot open shared object file")

    worker = EncoderWorker(load)

    assert await worker.encode(["text"]) is None
    assert "cannot open shared object file" in worker.problem


async def test_an_encoder_that_answers_again_is_used_again(
    memory: MemoryDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    broken.is_broken = False
    worker = EncoderWorker(lambda: broken, retry_s=0)
    library = Library(memory, InlineParser(), lambda: NOON, worker)
    await library.add(PARIS)
    await library.encode_all()

    broken.is_broken = True
    words = await library.find(Query("capital"), limit=3)
    assert "does not answer" in library.problem
    broken.is_broken = False
    meaning = await library.find(Query("capital"), limit=3)

    assert [one.similarity is None for one in words.excerpts] == [True]
    assert [one.similarity is None for one in meaning.excerpts] == [False]
    assert library.problem == ""


async def test_an_encoder_that_failed_is_left_alone_for_a_while(memory: MemoryDatabase) -> None:
    tried: list[int] = []

    def load() -> Encoder:
        tried.append(1)
        raise EncoderUnavailable("It is missing.")

    worker = EncoderWorker(load, retry_s=3_600)
    for _ in range(3):
        assert await worker.encode(["text"]) is None

    assert len(tried) == 1


async def test_a_question_does_not_wait_longer_than_its_time(memory: MemoryDatabase) -> None:
    go_on = threading.Event()

    class Slow(WordEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            go_on.wait(30)
            return super().encode(texts)

    worker = EncoderWorker(Slow, query_s=0.05)
    library = Library(memory, InlineParser(), lambda: NOON, worker)
    await library.add(PARIS)

    found = await library.find(Query("capital"), limit=3)
    go_on.set()

    assert [one.similarity for one in found.excerpts] == [None]


async def test_candidates_without_a_vector_are_encoded_while_a_question_waits(
    memory: MemoryDatabase,
) -> None:
    library = Library(memory, InlineParser(), lambda: NOON, EncoderWorker(WordEncoder))
    await library.add(PARIS)

    assert (await library.counts())["encoded"] == 0

    found = await library.find(Query("capital"), limit=3)

    assert [one.similarity is None for one in found.excerpts] == [False]
    assert (await library.counts())["encoded"] == 1


async def test_health_counts_what_is_encoded_and_names_a_broken_encoder(
    served: Served, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, encoder=str(tmp_path / "nowhere"))
    async with open_system(settings) as system, served(system) as client:
        await system.library.add(PARIS, media_type="text/plain")
        with trio.fail_after(30):
            while "problem" not in (shown := (await client.get("/health")).json()["library"]):
                await trio.sleep(0.01)

    problem = shown.pop("problem")
    assert shown == {"documents": 1, "excerpts": 1, "encoded": 0, "to_rebuild": 0}
    assert "nowhere is no folder" in problem
