"""The vectors of a database in memory, and which of them are nearest to a query.

A search compares every vector, 256 multiplications each, in slices of a few milliseconds. Time and
memory grow with the library (`tests/bench/library.py` prints both), so a million vectors are held at
most. Passages beyond that are found by their words only.

Rule: the rows of a search never change while it runs: added rows go behind them, and dropping rows
makes a new matrix.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.library.encoders.embedding import DIMENSIONS, Vector, unpacked

MOST_VECTORS = 1_000_000
SLICE = 1_024
"""Rows that are multiplied at once. With twice as many, the library under numpy (OpenBLAS) starts
threads that wait by spinning, which takes the processors from the event loop and ten times as long.
"""

_SLICES_OF_STEP = 32


class VectorIndex:
    """Vectors by number, in increasing order, and the factor of each one's score."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.int64)
        self._rows = np.empty((0, DIMENSIONS), np.int8)
        self._scales = np.empty(0, np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> int:
        """The highest number that is held; 0 if there is none."""
        return int(self._numbers[self._count - 1]) if self._count else 0

    @property
    def room(self) -> int:
        """How many more vectors fit."""
        return MOST_VECTORS - self._count

    def append(self, rows: Sequence[tuple[int, bytes, float]]) -> None:
        """Add vectors, all with higher numbers than `last`: number, bytes, worth."""
        added = unpacked([embedding for _, embedding, _ in rows])
        lengths = np.linalg.norm(added.astype(np.float32), axis=1)
        worth = np.array([worth for _, _, worth in rows], np.float32)
        begin, end = self._count, self._count + len(rows)
        self._reserve(end)
        self._numbers[begin:end] = [number for number, _, _ in rows]
        self._rows[begin:end] = added
        self._scales[begin:end] = worth / np.maximum(lengths, 1e-9)
        self._count = end

    def keep(self, numbers: array[int]) -> None:
        """Drop all vectors but these; a part at a time, as numpy lets no other thread run meanwhile."""
        wanted = np.sort(np.frombuffer(numbers, np.int64))
        held, count = VectorIndex(), self._count if len(wanted) else 0
        held._reserve(min(len(wanted), count))
        for start in range(0, count, _SLICES_OF_STEP * SLICE):
            part = slice(start, min(start + _SLICES_OF_STEP * SLICE, count))
            places = np.searchsorted(wanted, self._numbers[part])
            stays = np.take(wanted, places, mode="clip") == self._numbers[part]
            begin, end = held._count, held._count + int(stays.sum())
            held._numbers[begin:end] = self._numbers[part][stays]
            held._rows[begin:end] = self._rows[part][stays]
            held._scales[begin:end] = self._scales[part][stays]
            held._count = end
        self._numbers, self._rows, self._scales = held._numbers, held._rows, held._scales
        self._count = held._count

    def ranking(self, query: Vector) -> Ranking:
        """A search over what is held now."""
        held = slice(0, self._count)
        return Ranking(query, self._numbers[held], self._rows[held], self._scales[held])

    def _reserve(self, count: int) -> None:
        """Room for `count` vectors, doubled when it ends."""
        if count > len(self._numbers):
            more = max(count, min(2 * len(self._numbers), MOST_VECTORS)) - self._count
            held = slice(0, self._count)
            self._numbers = np.concatenate((self._numbers[held], np.zeros(more, np.int64)))
            self._rows = np.concatenate((self._rows[held], np.zeros((more, DIMENSIONS), np.int8)))
            self._scales = np.concatenate((self._scales[held], np.zeros(more, np.float32)))


class Ranking:
    """One search: call `step` until it returns False, then `best`."""

    def __init__(
        self,
        query: Vector,
        numbers: NDArray[np.int64],
        rows: NDArray[np.int8],
        scales: NDArray[np.float32],
    ) -> None:
        self._query = query
        self._numbers, self._rows, self._scales = numbers, rows, scales
        self._scores = np.empty(len(rows), np.float32)
        self._seen = 0

    def step(self) -> bool:
        """Compare a few slices; whether there are more."""
        until = min(self._seen + _SLICES_OF_STEP * SLICE, len(self._rows))
        for start in range(self._seen, until, SLICE):
            part = slice(start, start + SLICE)
            scores = self._rows[part].astype(np.float32) @ self._query
            self._scores[part] = scores * self._scales[part]
        self._seen = until
        return until < len(self._rows)

    def best(self, most: int) -> dict[int, float]:
        """The vectors with a positive score, best first; of equals the older first."""
        near = np.flatnonzero(self._scores > 0)
        if len(near) > most:
            cut = np.partition(self._scores[near], len(near) - most)[len(near) - most]
            near = near[self._scores[near] >= cut]
        order = near[np.argsort(-self._scores[near], kind="stable")[:most]]
        numbers, scores = self._numbers[order].tolist(), self._scores[order].tolist()
        return dict(zip(numbers, scores, strict=True))
