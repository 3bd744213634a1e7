"""Long computations in short slices, so that no agent keeps the others from running.

Rule: pure work that may take long is a generator that yields about every millisecond; who runs it
decides what happens in between. Results never depend on it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import trio

T = TypeVar("T")

Cooperative = Generator[None, None, T]
"""Work that yields between slices of at most about 20 ms and returns a `T`."""


def at_once(work: Cooperative[T]) -> T:
    """The result of sliced work, without pauses."""
    while True:
        try:
            next(work)
        except StopIteration as finished:
            result: T = finished.value
            return result


async def with_pauses(work: Cooperative[T]) -> T:
    """The result of sliced work; others run, and a cancel is seen, after every slice."""
    while True:
        try:
            next(work)
        except StopIteration as finished:
            result: T = finished.value
            return result
        await trio.lowlevel.checkpoint()
