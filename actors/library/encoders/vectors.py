"""Vectors as they are stored, and in memory to find those nearest to a query.

A vector is stored as signed bytes, scaled so that its largest number is 127 or -127: a quarter of
what 32-bit numbers take, with cosines that differ by less than 0.01. A search compares every vector.
Time and memory grow with the library (`tests/bench/library.py` prints both), so a million are held at
most; excerpts beyond that are found by their words only.

Rule: the rows of a search never change while it runs: added rows go behind them, and dropping rows
makes a new matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_VECTORS = 1_000_000
SLICE = 1_024
"""Rows that are multiplied at once. With twice as many, the library under numpy (OpenBLAS) starts
threads that wait by spinning, which takes the processors from the event loop and ten times as long.
"""

_SLICES_OF_STEP = 32

Vector = NDArray[np.float32]


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows with length 1; those of length 0 stay so."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(rows / lengths, np.float32)


def packed(vector: Vector) -> bytes:
    """A vector as signed bytes."""
    largest = max(float(np.abs(vector).max()), 1e-9)
    return bytes(np.rint(vector * (127 / largest)).astype(np.int8).tobytes())


def unpacked(rows: Sequence[bytes], dimensions: int) -> NDArray[np.int8]:
    """Stored vectors as the rows of a matrix."""
    return np.frombuffer(b"".join(rows), np.int8).reshape(-1, dimensions)


def cosines(query: Vector, rows: Sequence[bytes]) -> list[float]:
    """The cosines between a query of length 1 and stored vectors."""
    matrix = unpacked(rows, len(query)).astype(np.float32)
    lengths = np.maximum(np.linalg.norm(matrix, axis=1), 1e-9)
    return [float(each) for each in (matrix @ query) / lengths]


class VectorIndex:
    """Vectors by number, in increasing order."""

    def __init__(self, dimensions: int, most: int = MOST_VECTORS) -> None:
        self._dimensions = dimensions
        self._most = most
        self._numbers = np.empty(0, np.int64)
        self._rows = np.empty((0, dimensions), np.int8)
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
        return self._most - self._count

    def append(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Add vectors, all with higher numbers than `last`."""
        added = unpacked([vector for _, vector in rows], self._dimensions)
        lengths = np.linalg.norm(added.astype(np.float32), axis=1)
        begin, end = self._count, self._count + len(rows)
        self._reserve(end)
        self._numbers[begin:end] = [number for number, _ in rows]
        self._rows[begin:end] = added
        self._scales[begin:end] = 1 / np.maximum(lengths, 1e-9)
        self._count = end

    def keep(self, numbers: Sequence[int]) -> None:
        """Drop all vectors but these."""
        stays = np.isin(self._numbers[: self._count], np.array(numbers, np.int64))
        held = slice(0, self._count)
        self._numbers = self._numbers[held][stays]
        self._rows = self._rows[held][stays]
        self._scales = self._scales[held][stays]
        self._count = len(self._numbers)

    def ranking(self, query: Vector) -> Ranking:
        """A search over what is held now."""
        held = slice(0, self._count)
        return Ranking(query, self._numbers[held], self._rows[held], self._scales[held])

    def _reserve(self, count: int) -> None:
        """Room for `count` vectors, doubled when it ends."""
        if count > len(self._numbers):
            more = max(count, min(2 * len(self._numbers), self._most)) - self._count
            held = slice(0, self._count)
            empty = np.zeros((more, self._dimensions), np.int8)
            self._numbers = np.concatenate((self._numbers[held], np.zeros(more, np.int64)))
            self._rows = np.concatenate((self._rows[held], empty))
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
            part = slice(start, min(start + SLICE, until))
            scores = self._rows[part].astype(np.float32) @ self._query
            self._scores[part] = scores * self._scales[part]
        self._seen = until
        return until < len(self._rows)

    def best(self, most: int) -> dict[int, float]:
        """The vectors with a positive cosine, best first; of equals the older first."""
        near = np.flatnonzero(self._scores > 0)
        if len(near) > most:
            cut = np.partition(self._scores[near], len(near) - most)[len(near) - most]
            near = near[self._scores[near] >= cut]
        order = near[np.argsort(-self._scores[near], kind="stable")[:most]]
        numbers, scores = self._numbers[order].tolist(), self._scores[order].tolist()
        return dict(zip(numbers, scores, strict=True))
