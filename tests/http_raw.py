"""HTTP by hand, for tests of the server: a socket, the bytes, and what came back.

Rule: nothing here knows the code of the server beyond `serve` and its figures.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve

from actors.system import System
from web.api.app import create_app
from web.http.connection_table import ConnectionTable
from web.server import serve
from web.settings.model import ServerSettings

GUARD_S = 10.0
"""A hang guard, never a wait."""

HOST = b"Host: localhost\r\n"
GOOD = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """One response. `whole` is False if it was cut."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True


class Client:
    """One connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._got = bytearray()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            return False
        self._got += data
        return bool(data)

    async def _until(self, end: bytes) -> bytes | None:
        while (found := self._got.find(end)) < 0:
            if not await self._more():
                return None
        taken = bytes(self._got[: found + len(end)])
        del self._got[: found + len(end)]
        return taken

    async def _take(self, size: int) -> bytes | None:
        while len(self._got) < size:
            if not await self._more():
                return None
        taken = bytes(self._got[:size])
        del self._got[:size]
        return taken

    async def head(self) -> Any:
        """The head of the next response; None if the connection ends first."""
        with trio.fail_after(GUARD_S):
            head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin1").split("\r\n")[:-2]
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        return Answer(int(first.split()[1]), headers, b"")

    async def answer(self, method: str = "GET") -> Any:
        """The next response with its body; None if the connection ends first."""
        head = await self.head()
        if head is None or method == "HEAD" or head.status in (100, 204, 304):
            return head
        with trio.fail_after(GUARD_S):
            if "content-length" in head.headers:
                body = await self._take(int(head.headers["content-length"]))
            elif head.headers.get("transfer-encoding") == "chunked":
                body = b""
                while (part := await self.chunk()) not in (None, b""):
                    body += part or b""
                if part is None:
                    return Answer(head.status, head.headers, body, whole=False)
            else:
                while await self._more():
                    pass
                body = bytes(self._got)
        whole = body is not None
        return Answer(head.status, head.headers, body or b"", whole)

    async def chunk(self) -> bytes | None:
        """The next chunk; empty: the last one; None: the response was cut."""
        size = await self._until(b"\r\n")
        if size is None:
            return None
        part = await self._take(int(size, 16) + 2)
        return None if part is None else part[:-2]

    async def closed(self) -> bool:
        """Wait for the server to close, which it must; whether nothing more came."""
        with trio.fail_after(GUARD_S):
            while await self._more():
                pass
        return not self._got


class Listening:
    """A server that runs: how to reach it, and how to stop it."""

    def __init__(self, host: str, port: int, table: ConnectionTable, closing: trio.Event) -> None:
        self.host, self.port = host, port
        self.table = table
        self.closing = closing
        self.ended = trio.Event()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        stream = await trio.open_tcp_stream(self.host, self.port)
        async with stream:
            yield Client(stream)

    async def ask(self, request: bytes, method: str = "GET") -> Any:
        """The answer to one request on a connection of its own."""
        async with self.client() as client:
            with suppress(trio.BrokenResourceError):  # It may answer before it has read it all.
                await client.send(request)
            return await client.answer(method)

    async def connections(self, count: int) -> None:
        """Wait until so many are open."""
        with trio.fail_after(GUARD_S):
            while len(self.table.open) != count:
                await trio.sleep(0.002)


@asynccontextmanager
async def listening(
    what: App | System,
    *,
    guard_s: float = 3 * GUARD_S,
    disconnect_grace_s: float = 0.05,
    **settings: Any,
) -> AsyncIterator[Listening]:
    """A server for an ASGI app, or for ours over a system, on a free port of 127.0.0.1."""
    chosen = ServerSettings(bind="127.0.0.1:0", **settings)
    table, closing = ConnectionTable(), trio.Event()
    app = create_app(what, chosen) if isinstance(what, System) else what
    async with trio.open_nursery() as nursery:
        start = partial(
            SERVE,
            app,
            chosen,
            connections=table,
            disconnect_grace_s=disconnect_grace_s,
            shutdown_trigger=closing.wait,
        )
        (url, *_) = await nursery.start(start)
        host, port = url.removeprefix("http://").rsplit(":", 1)
        server = Listening(host, int(port), table, closing)
        with trio.fail_after(guard_s):
            yield server
        closing.set()


async def stock_serve(
    app: Any,
    settings: Any,
    *,
    table: Any = None,
    disconnect_grace_s: float = 0.0,
    **more: Any,
) -> None:
    """Hypercorn's own server, to compare with."""
    config = Config()
    config.bind = [settings.bind]
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = settings.keep_alive_s
    await hypercorn_serve(app, config, **more)


SERVE = stock_serve if os.environ.get("TERZETTO_STOCK") else serve


def plain(body: bytes = b"hello") -> App:
    """An app that reads the request's body and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        while (await receive())["more_body"]:
            pass
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return app


def echo() -> App:
    """An app that answers with what it was sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        said = b"%s %s " % (scope["method"].encode(), scope["raw_path"]) + body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})

    return app


class Endless:
    """An app that begins a response of chunks, sends one each time `more` is set, and never ends."""

    def __init__(self, chunk: bytes = b"tick\n", *, flood: bool = False) -> None:
        self.chunk = chunk
        self.flood = flood
        self.begun = trio.Event()
        self.cancelled = trio.Event()
        self.sent = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.begun.set()
        try:
            while True:
                await send({"type": "http.response.body", "body": self.chunk, "more_body": True})
                self.sent += 1
                if not self.flood:
                    await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.set()
            raise
