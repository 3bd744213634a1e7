"""How an ASGI request reaches Quart, and how Quart's response leaves.

quart-trio's own class cancels the app once the client's side ends, and with it the server's work after
the last message. It also takes a task and a queue for each request, to receive the body.

Rule: only public names of Quart are used, so that the versions for all supported Pythons work. Any
ASGI server will do. Ours sends a stream itself, so that this and Quart's own objects are free by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Self

import trio
from quart import Request
from quart.utils import encode_headers
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest

from web.access.proxies import inner_path
from web.http.request_cycle import STREAM

LIST_HEADERS = ("Accept", "Content-Encoding", "Prefer")
"""Those that are read here, and may stand on several lines, which are one list (RFC 9110, 5.3)."""

NO_CONTENT = 204

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class RequestBody:
    """The body of a request, received from the server as it is read. It can be read once.

    Quart makes it with two arguments and has no use for it then but to give it to the route. How much
    a body may have is up to the route, see `bodies.read_body`.
    """

    def __init__(self, content_length: int | None, max_content_length: int | None) -> None:
        self.receive: Receive | None = None
        self._complete = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        assert self.receive is not None, "HttpConnection sets it"
        if self._complete:
            raise StopAsyncIteration
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client has left before it sent the whole body.")
        self._complete = not message.get("more_body", False)
        data: bytes = message.get("body", b"")
        return data


class BodyRequest(TrioRequest):
    """A request whose body is a `RequestBody`."""

    body_class = RequestBody  # type: ignore[assignment]  # It has what we use of Quart's.


class HttpConnection:
    """One request. Quart makes it (`asgi_http_class`) and calls it."""

    def __init__(self, app: QuartTrio, scope: Any) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        response: Any = await self._app.handle_request(self._request(receive))
        if response.status_code == NO_CONTENT:
            response.headers.remove("Content-Type")
            response.headers.remove("Content-Length")
        headers = encode_headers(response.headers)
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": headers,
            }
        )
        is_stream = getattr(response, "timeout", ...) is None
        send_stream = (self._scope.get("extensions") or {}).get(STREAM)
        if not is_stream:
            body = await _whole(response)
            await send({"type": "http.response.body", "body": body, "more_body": False})
        elif send_stream is not None:
            send_stream(response.response)
        else:
            await self._stream(response.response, receive, send)

    def _request(self, receive: Receive) -> Request:
        scope = self._scope
        headers = Headers()
        headers["Remote-Addr"] = (scope.get("client") or ["<local>"])[0]
        for name, value in scope["headers"]:
            headers.add(name.decode("latin1"), value.decode("latin1"))
        for name in LIST_HEADERS:
            if len(lines := headers.getlist(name)) > 1:
                headers[name] = ", ".join(lines)
        headers.setdefault("Host", "")  # HTTP/1.0 needs none, but Quart reads it.
        request: Any = self._app.request_class(
            scope["method"],
            scope["scheme"],
            inner_path(scope),
            scope["query_string"],
            headers,
            scope.get("root_path", ""),
            scope["http_version"],
            scope=scope,
            send_push_promise=_push_nothing,
        )
        request.body.receive = receive
        return request  # type: ignore[no-any-return]

    async def _stream(self, body: Any, receive: Receive, send: Send) -> None:
        """Send a stream until it ends or the client leaves."""
        async with trio.open_nursery() as nursery, body as parts:
            nursery.start_soon(_cancel_when_left, receive, nursery.cancel_scope)
            if self._scope["method"] != "HEAD":  # A stream that is never read from could not end.
                async for part in parts:
                    data = part.encode() if isinstance(part, str) else part
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()


async def _whole(response: Any) -> bytes:
    if not hasattr(response.response, "__aenter__"):  # Werkzeug's own, such as a redirect.
        return b"".join(response.iter_encoded())
    async with response.response as parts:
        return b"".join([part.encode() if isinstance(part, str) else part async for part in parts])


async def _cancel_when_left(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _push_nothing(path: str, headers: Headers) -> None:
    """HTTP/2's server push, which no client supports any more."""
