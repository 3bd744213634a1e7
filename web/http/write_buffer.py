"""What is on its way to one client: a bounded buffer, and the writing of it.

Rule: only `flush` writes to the socket. What is put before a flush leaves in one system call. A sender
flushes each piece before it puts the next, so a client that reads slowly holds one piece. How long a
client may read nothing is decided by the connection's deadlines, see `blocked_since`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

from web.http.connection_table import ConnectionTable


class ClientLost(trio.BrokenResourceError):
    """The client is gone."""


class WriteBuffer:
    """The bytes that the kernel has not taken yet."""

    __slots__ = (
        "_bytes",
        "_closed",
        "_on_block",
        "_parts",
        "_socket",
        "_table",
        "_writing",
        "blocked_since",
        "moved",
    )

    def __init__(
        self, socket: trio.socket.SocketType, table: ConnectionTable, on_block: Callable[[], None]
    ) -> None:
        self.moved = trio.lowlevel.ParkingLot()
        """Unparked at each change of this connection; tasks that wait then check their condition."""
        self.blocked_since: float | None = None
        """Since when the kernel takes nothing more. `on_block` is called each time this begins."""
        self._socket = socket
        self._table = table
        self._on_block = on_block
        self._parts: list[bytes] = []
        self._bytes = 0
        self._writing = False
        self._closed = False

    @property
    def size(self) -> int:
        """How many bytes the kernel has not taken yet."""
        return self._bytes

    @property
    def empty(self) -> bool:
        """Whether the kernel has taken everything."""
        return self._bytes == 0

    def put(self, data: bytes) -> None:
        """Send `data` after all that was put before it, with the next flush."""
        if data and not self._closed:
            self._parts.append(data)
            self._count(len(data))

    async def flush(self) -> None:
        """Return once the kernel has taken everything. Raises `ClientLost`."""
        while self._writing:
            await self.moved.park()
        if self._closed:
            raise ClientLost("the connection is closed")
        self._writing = True
        try:
            while self._parts:
                self._write()
                if self._parts:
                    self.blocked_since = trio.current_time()
                    self._on_block()
                    await trio.lowlevel.wait_writable(self._socket)
                    self.blocked_since = None
        except trio.ClosedResourceError:
            raise ClientLost("the connection is closed") from None
        finally:
            self._writing = False
            self.moved.unpark_all()

    def _write(self) -> None:
        """Give the kernel as much as it takes."""
        batch = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        try:
            sent = os.write(self._socket.fileno(), batch)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientLost(str(error)) from None
        self._count(-sent)
        batch = batch[sent:]  # A copy, so that what is written is not held.
        self._parts = [batch] if batch else []

    def close(self) -> None:
        """Drop what was not written. Later flushes raise `ClientLost`."""
        self._closed = True
        self._on_block = _nothing
        self._parts.clear()
        self._count(-self._bytes)
        self.moved.unpark_all()

    def _count(self, change: int) -> None:
        self._bytes += change
        self._table.buffered_bytes += change


def _nothing() -> None:
    """In place of a callback that would refer to the connection, which must leave no cycle."""
