"""Which documents are parsed and stored at the same time, and how many may wait for that.

Rule: what was read from a document takes several times its bytes until it is stored. So a document
keeps its place until then, and a large one has no other beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.errors import Overloaded
from actors.library.parsing.process import MOST_CHILDREN

BYTES_AT_ONCE = 4 * 1024 * 1024
"""Of all documents that are parsed at once, unless a single one has more."""

MOST_DOCUMENTS = 256
"""Documents that are parsed, stored or wait for that."""


class ParsePlaces:
    """The places, given in the order in which they were asked for."""

    def __init__(self) -> None:
        self.waiting = 0
        self._sizes: list[int] = []
        self._turn = trio.Lock()
        self._freed = trio.lowlevel.ParkingLot()

    @property
    def taken(self) -> int:
        """How many documents are parsed or stored now."""
        return len(self._sizes)

    @asynccontextmanager
    async def place(self, size: int) -> AsyncIterator[None]:
        """A place for a document of `size` bytes; raises `Overloaded` if too many wait for one."""
        if self.waiting + self.taken >= MOST_DOCUMENTS:
            raise Overloaded("Too many documents wait to be read. Send this one again in a moment.")
        self.waiting += 1
        try:
            async with self._turn:
                while not self._fits(size):
                    await self._freed.park()
                self._sizes.append(size)
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._sizes.remove(size)
            self._freed.unpark()

    def _fits(self, size: int) -> bool:
        if not self._sizes:
            return True
        return len(self._sizes) < MOST_CHILDREN and sum(self._sizes) + size <= BYTES_AT_ONCE
