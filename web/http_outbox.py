"""What is on its way to one client: a bounded buffer, and the one task that writes it.

Rule: nobody who answers a request touches the socket. Head, pieces and end of a response meet here
and leave in one system call. Whoever sends looks for `room` first, so a client that reads slowly
holds at most `HIGH_WATER_BYTES` and one piece; one that reads nothing at all is dropped in the end.
"""

from __future__ import annotations

import trio

from web.http_traffic import Traffic

HIGH_WATER_BYTES = 1024
"""From here on there is no room. A thousand stalled readers hold so much each: keep it small."""


class ClientStalled(Exception):
    """The client took nothing for as long as a client may."""


class Outbox:
    """The bytes that the kernel has not taken yet."""

    __slots__ = (
        "_bytes",
        "_closed",
        "_parts",
        "_patience_s",
        "_socket",
        "_traffic",
        "moved",
        "moved_at",
    )

    def __init__(self, socket: trio.socket.SocketType, patience_s: float, traffic: Traffic) -> None:
        self.moved = trio.lowlevel.ParkingLot()
        """Unparked at each change of this connection; whoever waits looks again."""
        self.moved_at = trio.current_time()
        """When the kernel took something last, or had nothing to take."""
        self._socket = socket
        self._patience_s = patience_s
        self._traffic = traffic
        self._parts: list[bytes] = []
        self._bytes = 0
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether the kernel has taken everything."""
        return self._bytes == 0

    @property
    def has_room(self) -> bool:
        """Whether it is time to send more. There is room in a closed one, and nobody to read."""
        return self._bytes < HIGH_WATER_BYTES

    def put(self, data: bytes) -> None:
        """Send `data` after all that was put before it. Never waits."""
        if self._closed or not data:
            return
        self._parts.append(data)
        self._count(len(data))
        self.moved.unpark_all()

    async def room(self) -> None:
        """Wait until there is room."""
        while not self.has_room:
            await self.moved.park()

    async def emptied(self) -> None:
        """Wait until the kernel has taken everything."""
        while not self.empty:
            await self.moved.park()

    def close(self) -> None:
        """Forget what was not written: nobody is there to read it."""
        self._closed = True
        self._parts.clear()
        self._count(-self._bytes)
        self.moved.unpark_all()

    async def write(self) -> None:
        """Write whatever is put, for ever. Raises `ClientStalled`, and `OSError` for a lost client."""
        with trio.CancelScope() as patience:
            while True:
                while not self._parts:
                    patience.deadline = float("inf")
                    await self.moved.park()
                batch = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                while batch:
                    self.moved_at = trio.current_time()
                    patience.deadline = self.moved_at + self._patience_s
                    sent = await self._socket.send(batch)
                    self._count(-sent)
                    batch = batch[sent:]  # A copy, so that what is written is not held.
                    if batch:
                        await trio.lowlevel.wait_writable(self._socket)
                self.moved.unpark_all()
        raise ClientStalled("the client reads nothing")

    def _count(self, change: int) -> None:
        self._bytes += change
        self._traffic.buffered_bytes += change
