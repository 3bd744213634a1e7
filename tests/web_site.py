"""A web site on 127.0.0.1 with scripted responses, and a fake name server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import h11
import trio

Answering = Callable[[trio.abc.Stream], Awaitable[None]]

PARAGRAPH = "The zibbly frog croaks at midnight, and the quorple toad answers it before dawn."


def answer(
    body: bytes = b"", media_type: str | None = "text/html", status: int = 200, **headers: str
) -> Answering:
    """A complete response; `headers` with underscores for hyphens."""
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {media_type}"] if media_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def redirect(location: str, status: int = 302) -> Answering:
    return answer(status=status, Location=location)


def raw(*pieces: bytes) -> Answering:
    """Send these bytes and close the connection."""

    async def send(stream: trio.abc.Stream) -> None:
        for piece in pieces:
            await stream.send_all(piece)

    return send


def page(title: str, *paragraphs: str) -> bytes:
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<html><head><title>{title}</title></head><body>{text}</body></html>".encode()


class Site:
    """The response for each path, and the requests so far."""

    def __init__(self, pages: Mapping[str, Answering]) -> None:
        self.pages = dict(pages)
        self.asked: list[str] = []
        self.heads: list[dict[str, str]] = []
        self.port = 0
        self.now = self.most = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def asked_for(self, path: str) -> int:
        return self.asked.count(path)

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            request = await _request(stream)
            path = request.target.decode()
            self.asked.append(path)
            self.heads.append({k.decode(): v.decode() for k, v in request.headers})
            await self.pages.get(path, answer(status=404))(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, EOFError):
            pass  # The client has left.
        finally:
            self.now -= 1
            await trio.aclose_forcefully(stream)


async def _request(stream: trio.abc.Stream) -> h11.Request:
    http = h11.Connection(h11.SERVER)
    while True:
        event = http.next_event()
        if isinstance(event, h11.Request):
            return event
        received = await stream.receive_some()
        if not received:
            raise EOFError
        http.receive_data(bytes(received))


@asynccontextmanager
async def open_site(
    pages: Mapping[str, Answering], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    """Serve the site on a free port until the block ends."""
    site = Site(pages)

    async def handle(stream: trio.SocketStream) -> None:
        await site.serve(trio.SSLStream(stream, tls, server_side=True) if tls else stream)

    async with trio.open_nursery() as nursery:
        serving = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        listeners = await nursery.start(serving)
        site.port = listeners[0].socket.getsockname()[1]
        yield site
        nursery.cancel_scope.cancel()


class Names(trio.abc.HostnameResolver):
    """A fake name server: `hosts` maps a name to its addresses, one list for each query."""

    def __init__(self, **hosts: Iterable[list[str]]) -> None:
        self._hosts = {name.replace("_", "."): iter(lists) for name, lists in hosts.items()}
        self.asked: list[str] = []

    async def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        await trio.lowlevel.checkpoint()
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        addresses = next(self._hosts.get(name, iter(())), None)
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [_place(address, port) for address in addresses]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


def _place(address: str, port: Any) -> Any:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, int(port), 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port))
