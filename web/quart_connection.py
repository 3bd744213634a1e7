"""How a request reaches Quart and its response leaves.

quart-trio's own class cancels everything once the client's side ends, and the server's bookkeeping
after the last message is within its reach: connections never became idle or closed. Here only an
unfinished response is cancelled. It also saves a task and a message for each request.

Rule: works on any ASGI server. On ours it waits for room before it asks a stream for more, so that
a stream whose client does not read need not hold what it has read ahead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import trio
from quart import Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers.response import DataBody, ResponseBody
from quart_trio.asgi import TrioASGIHTTPConnection

from web.http_exchange import FEED, ROOM

Send = Callable[[Any], Awaitable[None]]


@runtime_checkable
class Rereadable(Protocol):
    """A body that can drop what it has read ahead, and read it again when it is asked for more."""

    def let_go(self) -> None:
        """Drop it."""


class HttpConnection(TrioASGIHTTPConnection):
    """One request."""

    _answered = False

    async def __call__(self, receive: Any, send: Send) -> None:
        extensions: dict[str, Any] = self.scope.get("extensions") or {}
        request = self._create_request_from_scope(send)
        if FEED in extensions:
            extensions[FEED](request.body)
            requests = [request]
            del request
            await self._respond(requests, send)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery, request, receive)
            await self._respond([request], send)
            nursery.cancel_scope.cancel()

    async def _listen(self, nursery: trio.Nursery, request: Request, receive: Any) -> None:
        """Take in the body. Returns when the client is gone."""
        await ASGIHTTPConnection.handle_messages(self, request, receive)
        if not self._answered:
            nursery.cancel_scope.cancel()

    async def _respond(self, requests: list[Request], send: Send) -> None:
        """Answer the one request in the list. It is taken out, since a stream needs it no more."""
        response: Any = await self.app.handle_request(requests.pop())
        timeout_s = self.app.config["RESPONSE_TIMEOUT"]
        if isinstance(response, Response) and response.timeout is not Ellipsis:
            timeout_s = response.timeout
        if timeout_s is not None:
            with trio.move_on_after(timeout_s):
                await self._send_response(send, response)
            return
        await self._head(send, response)
        body = response.response
        del response
        await self._stream(send, body)
        await self._end(send, b"")

    async def _send_response(self, send: Send, response: Any) -> None:
        await self._head(send, response)
        body, last = response.response, b""
        if isinstance(body, DataBody):
            last = body.data[body.begin : body.end]
        elif isinstance(body, ResponseBody):
            await self._stream(send, body)
        else:  # One of Werkzeug's own, which Quart passes on.
            last = b"".join(response.iter_encoded())
        await self._end(send, last)

    async def _head(self, send: Send, response: Any) -> None:
        headers = encode_headers(response.headers)
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def _end(self, send: Send, last: bytes) -> None:
        self._answered = True
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _stream(self, send: Send, body: ResponseBody) -> None:
        room: Any = (self.scope.get("extensions") or {}).get(ROOM)
        let_go = body.let_go if isinstance(body, Rereadable) else _nothing
        async with body as parts:
            if self.scope["method"] == "HEAD":
                return  # A stream that is never read from could go on for ever.
            async for part in parts:
                data = part.encode() if isinstance(part, str) else part
                await send({"type": "http.response.body", "body": data, "more_body": True})
                del part, data
                if room is not None:
                    await room(let_go)


def _nothing() -> None:
    """There is nothing to let go."""
