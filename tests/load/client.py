"""A lean HTTP client, so that the server is what is measured.

Rule: a stream is not parsed while it runs. Its bytes are counted, and the last of them are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Self

import trio

KEPT_BYTES = 600
"""So much of a stream's end is kept: an ending event without much text fits in."""

ENDINGS = tuple(
    f'"event_type":"task_{how}"'.encode() for how in ("completed", "failed", "cancelled")
)
LONGEST_NAME = max(map(len, ENDINGS)) - 1

FINAL_CHUNK = b"\r\n0\r\n\r\n"


class Connection:
    """One request after another on one connection; answers must have a Content-Length."""

    def __init__(self, socket: trio.socket.SocketType) -> None:
        self.socket = socket

    @classmethod
    async def to(cls, address: tuple[str, int]) -> Self:
        socket = trio.socket.socket()
        socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        await socket.connect(address)
        return cls(socket)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status, and the JSON of the body."""
        await send(self.socket, method, path, body)
        status, head, rest = await read_head(self.socket)
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(rest) < length:
            rest += await received(self.socket)
        return status, json.loads(rest) if rest else None

    def close(self) -> None:
        self.socket.close()


class Stream:
    """One open stream of a task's events."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.bytes = 0
        self.endings = 0
        self.end = b""
        self.ended_at: float | None = None
        self.whole = False
        self.socket: trio.socket.SocketType | None = None
        self.taken: Callable[[bytes], None] = lambda _: None

    async def open(self, address: tuple[str, int], query: str = "") -> None:
        """Execute the task; returns once the stream has begun."""
        connection = await Connection.to(address)
        self.socket = connection.socket
        await send(self.socket, "POST", f"/tasks/{self.task_id}/execute{query}")
        status, _, rest = await read_head(self.socket)
        assert status == 200, (status, rest)
        self._count(rest)

    async def drain(self) -> None:
        """Read until the server ends the stream, or the connection."""
        assert self.socket is not None
        try:
            while not self.whole and (data := await self.socket.recv(65_536)):
                self._count(data)
        except (OSError, trio.ClosedResourceError):  # Closed by `hang_up`, or cut.
            pass
        self.ended_at = time.perf_counter()
        self.socket.close()

    def hang_up(self) -> None:
        """Go away without a word."""
        assert self.socket is not None
        self.socket.close()

    def _count(self, data: bytes) -> None:
        seam = self.end[-LONGEST_NAME:]
        both = seam + data
        for name in ENDINGS:
            self.endings += both.count(name) - seam.count(name)
        self.bytes += len(data)
        self.taken(data)
        self.end = (self.end + data)[-KEPT_BYTES:]
        self.whole = self.end.endswith(FINAL_CHUNK)


async def send(socket: trio.socket.SocketType, method: str, path: str, body: Any = None) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    data = head.encode() + b"\r\n" + data
    while data:
        data = data[await socket.send(data) :]


async def read_head(socket: trio.socket.SocketType) -> tuple[int, bytes, bytes]:
    """The status, the head in lower case, and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await received(socket)
    head, _, rest = data.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head.lower(), rest


async def received(socket: trio.socket.SocketType) -> bytes:
    """The next bytes, of which there must be some."""
    data = await socket.recv(65_536)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of an answer")
    return data
