"""How search grows with the library: synthetic libraries of growing size, and the ratios between them.

    python tests/bench/library.py [--passages 10000 50000 200000] [--searches 40] [--folder DIR]

Words are drawn as texts have them (the n-th most frequent with a probability of about 1 / n), and
queries are of four words that are no stop words. Vectors are random, as all are compared in any
case. Each library is built in a temporary folder, measured, and deleted. Searches by words and by
both rankers take turns, so that a noisy machine hits both.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np
import trio
from numpy.typing import NDArray
from processes import rss_mib

from actors.library import statements
from actors.library.documents import ParsedDocument, Ranker, parsed_document
from actors.library.encoders.vectors import unit_rows
from actors.library.library import Library, open_library
from actors.library.parsing.blocks import Block
from actors.library.parsing.inline import indexed_text
from actors.library.schema import FILE_NAME, SCHEMA
from actors.sqlite import open_database

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OF_DOCUMENT = 500
"""Passages of one document."""

WORDS = 120
"""Words of one passage."""

STOP = 150
LIMIT = 24
RANKERS: dict[str, list[Ranker]] = {"words": ["bm25"], "both": ["bm25", "encoder"]}


class Language:
    """Made-up words by how frequent they are."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = ["".join(rng.choices(letters, k=rng.randint(3, 10))) for _ in range(50_000)]
        self._weights = list(accumulate(1 / (n + 2.7) for n in range(len(self.words))))

    def text(self, words: int) -> str:
        return " ".join(self._rng.choices(self.words, cum_weights=self._weights, k=words))

    def sentences(self, words: int) -> str:
        """A text of sentences of about a dozen words."""
        lengths = [12] * (words // 12)
        return " ".join(f"{self.text(length).capitalize()}." for length in lengths)

    def query(self) -> str:
        words = (self.text(1) for _ in range(10_000))
        telling = (word for word in words if word not in self.words[:STOP])
        return " ".join(next(telling) for _ in range(4))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a library of one size costs."""

    passages: int
    disk_mib: float
    memory_mib: float
    open_s: float
    first_s: float
    searches_s: dict[str, list[float]]


class RandomEncoder:
    """Vectors that mean nothing, as all are compared in any case."""

    name, dimensions = "random", 384

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return unit_rows(self._rng.standard_normal((len(texts), 384)).astype(np.float32))


def documents(language: Language, passages: int) -> Iterator[ParsedDocument]:
    for number in range(0, passages, OF_DOCUMENT):
        blocks = [
            Block(language.sentences(WORDS), headings=(language.text(3),))
            for _ in range(min(OF_DOCUMENT, passages - number))
        ]
        name = sha256(str(number).encode()).hexdigest()
        yield parsed_document(indexed_text(language.text(4), blocks), "text/plain", 1, name, NOW)


async def fill(folder: Path, passages: int, language: Language) -> None:
    """A library without vectors."""
    async with open_database(SCHEMA, folder / FILE_NAME) as database:
        for parsed in documents(language, passages):
            await database.write(partial(statements.insert, parsed=parsed, source=None))


async def build(folder: Path, passages: int, rng: Random) -> Language:
    """A library in which every excerpt has a vector, and the language it is in."""
    language = Language(rng)
    await fill(folder, passages, language)
    async with opened(folder) as library:
        await library.encode_all()
    return language


def opened(folder: Path) -> AbstractAsyncContextManager[Library]:
    return open_library(folder, now=lambda: NOW, encoder=RandomEncoder)


async def measure(folder: Path, passages: int, language: Language, searches: int) -> Measured:
    before, started = rss_mib(), time.perf_counter()
    async with opened(folder) as library:
        open_s = time.perf_counter() - started
        first_s = await timed(library, language.query(), RANKERS["both"])
        found: dict[str, list[float]] = {name: [] for name in RANKERS}
        for _ in range(searches):
            query = language.query()
            for name, rankers in RANKERS.items():
                found[name].append(await timed(library, query, rankers))
        disk_mib = sum(f.stat().st_size for f in folder.glob(f"{FILE_NAME}*")) / 2**20
        return Measured(passages, disk_mib, rss_mib() - before, open_s, first_s, found)


async def timed(library: Library, query: str, rankers: list[Ranker]) -> float:
    started = time.perf_counter()
    await library.search(query, limit=LIMIT, rankers=rankers)
    return time.perf_counter() - started


def tell(one: Measured, first: Measured) -> None:
    print(
        f"\n{one.passages:,} passages: {one.disk_mib:,.0f} MiB on disk, {one.memory_mib:,.0f} MiB "
        f"more memory; opened in {one.open_s:.2f} s, first search {one.first_s:.2f} s"
    )
    for name, took in one.searches_s.items():
        p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
        grown = p50 / statistics.median(first.searches_s[name])
        print(
            f"  {name:6} p50 {p50 * 1e3:7.1f} ms   p95 {p95 * 1e3:7.1f} ms   {grown:5.1f} times the "
            f"smallest, which has 1/{one.passages / first.passages:.0f} of the passages",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--searches", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="where the libraries are built")
    given = parser.parse_args()
    all_measured: list[Measured] = []
    for passages in given.passages:
        folder = Path(tempfile.mkdtemp(dir=given.folder))
        try:
            language = trio.run(build, folder, passages, Random(passages))
            one = trio.run(measure, folder, passages, language, given.searches)
        finally:
            shutil.rmtree(folder)
        all_measured.append(one)
        tell(one, all_measured[0])


if __name__ == "__main__":
    main()
