"""The bytes of request bodies that the server holds, bounded in all.

Rule: room is taken before a body is read, as far as its length is known, and as it comes otherwise. A
request that finds none is refused; it would gain nothing by waiting with an open connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from web.api.problems import RequestProblem

TIMES_PARSED = 7
"""What is read from a document takes about so many times its bytes: its text, and the text and terms of
its passages and excerpts. The library reads and stores one large document at a time."""

OTHER_BYTES = 64 * 1024 * 1024
"""The bytes of all bodies that are no documents."""


class Room:
    """What one request takes of a `BodyMemory`."""

    __slots__ = ("_memory", "bytes")

    def __init__(self, memory: BodyMemory) -> None:
        self.bytes = 0
        self._memory = memory

    def take(self, size: int) -> None:
        """Have room for `size` bytes in all; raises `RequestProblem` if there is none."""
        if size > self.bytes:
            self._memory.make_room(self, size)
            self.bytes = size


class BodyMemory:
    """At most `most` bytes. The largest body counts `times_parsed` times more.

    One body alone always has room, since its own size is limited already.
    """

    def __init__(self, most: int, *, times_parsed: int = 0) -> None:
        self._most = most
        self._times_parsed = times_parsed
        self._rooms: set[Room] = set()

    @property
    def bytes(self) -> int:
        """The bytes of all bodies that are held."""
        return sum(room.bytes for room in self._rooms)

    @contextmanager
    def request(self) -> Iterator[Room]:
        """The room of one request; it is given back at the end of the block."""
        room = Room(self)
        try:
            yield room
        finally:
            self._rooms.discard(room)

    def make_room(self, room: Room, size: int) -> None:
        """Count `room`, if it can have `size` bytes; raises `RequestProblem` otherwise."""
        others = [other.bytes for other in self._rooms if other is not room]
        needed = sum(others) + size + self._times_parsed * max([size, *others])
        if others and needed > self._most:
            raise RequestProblem(
                "overloaded",
                "The server holds as many bytes of other requests as it can. Send it again later.",
            )
        self._rooms.add(room)


class BodyMemories(NamedTuple):
    """Where the bodies of documents and all other bodies are counted."""

    uploads: BodyMemory
    others: BodyMemory

    def gauges(self) -> dict[str, int]:
        """The bytes that are held."""
        return {"upload_bytes": self.uploads.bytes, "body_bytes": self.others.bytes}


def body_memories(upload_bytes: int) -> BodyMemories:
    """Those of one server."""
    return BodyMemories(
        BodyMemory(upload_bytes, times_parsed=TIMES_PARSED), BodyMemory(OTHER_BYTES)
    )
