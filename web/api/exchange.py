"""A request to the API and its response, close to ASGI.

Quart's own objects parse, copy and check more than the API needs, which takes longer than all else in a
short request. Here each part of a request is read when a route asks for it.

Any ASGI server will do. Ours sends a stream itself, so that what made the response is free by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import trio
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from web.http.request_cycle import STREAM, StreamBody

NO_CONTENT = 204

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def inner_path(scope: Any) -> str:
    """The path that routes are found by: without the `root_path` of the ASGI server."""
    path: str = scope["path"]
    if not path.startswith("/"):  # Some servers pass on the whole target of a proxy's request.
        path = urlsplit(path).path
    root: str = scope.get("root_path", "")
    if not root:
        return path
    inside = path != root and path.startswith(root)
    return path.removeprefix(root) if inside else " "  # No route has this path.


class ClientLeft(Exception):
    """The client has left before it sent the whole body."""


FIELDS = "terzetto.fields"
"""Where the gate leaves the header fields of a request in its scope, since they are read once."""


class Fields(NamedTuple):
    """Header fields: the first line of each, by its name in lower case; `more` has the other lines."""

    first: dict[str, str]
    more: Sequence[tuple[str, str]] = ()


def fields_of(scope: Any) -> Fields:
    """The header fields of a request."""
    first: dict[str, str] = {}
    more: list[tuple[str, str]] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        if name in first:
            more.append((name, value))
        else:
            first[name] = value
    return Fields(first, more)


class ApiRequest:
    """A request.

    `headers` are by their names in lower case. One on several lines is a list (RFC 9110, 5.3);
    `doubled` has the names of these.
    """

    def __init__(self, scope: Any, receive: Receive) -> None:
        first, more = scope.get(FIELDS) or fields_of(scope)
        self.scope = scope
        self.method: str = scope["method"].upper()  # As Quart reads it.
        self.path = inner_path(scope)
        self.root_path: str = scope.get("root_path", "")
        self.headers = dict(first) if more else first
        self.doubled = {name for name, _ in more}
        for name, value in more:
            self.headers[name] += f", {value}"
        self._receive = receive
        self._complete = False

    @property
    def address(self) -> str:
        """The address of the client."""
        return str((self.scope.get("client") or ["<local>"])[0])

    @property
    def mimetype(self) -> str:
        """The media type of the body, without parameters; "" if none is named."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def mimetype_params(self) -> Mapping[str, str]:
        """The parameters of the media type."""
        return parse_options_header(self.headers.get("content-type"))[1]

    @property
    def content_length(self) -> int:
        """The length of the body as far as the head tells it, else 0."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() and length.isascii() else 0

    @cached_property
    def accepted(self) -> MIMEAccept:
        """The media types that the client takes, with their weights."""
        return parse_accept_header(self.headers.get("accept"), MIMEAccept)

    async def more_body(self) -> bytes | None:
        """The next part of the body, None after the last; raises `ClientLeft`."""
        if self._complete:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self._complete = not message.get("more_body", False)
        data: bytes = message.get("body", b"")
        return data


class ApiResponse:
    """A response: its status, its body, and its headers by name."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes | StreamBody = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers = {**headers} if headers else {}


async def respond(response: ApiResponse, scope: Any, receive: Receive, send: Send) -> None:
    """Send a response to the request of this scope."""
    status, body = response.status, response.body
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    if isinstance(body, bytes) and status != NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    send_stream = (scope.get("extensions") or {}).get(STREAM)
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body, "more_body": False})
    elif send_stream is not None:
        send_stream(body)
    else:
        await _stream(body, scope, receive, send)


async def _stream(body: StreamBody, scope: Any, receive: Receive, send: Send) -> None:
    """Send a stream until it ends or the client leaves."""
    async with trio.open_nursery() as nursery, body as parts:
        nursery.start_soon(_cancel_when_left, receive, nursery.cancel_scope)
        if scope["method"] != "HEAD":  # A stream that is never read from could not end.
            async for part in parts:
                data = part.encode() if isinstance(part, str) else part
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        nursery.cancel_scope.cancel()


async def _cancel_when_left(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
