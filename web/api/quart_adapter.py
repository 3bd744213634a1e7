"""How a request reaches Quart and its response leaves.

quart-trio's own class cancels everything once the client's side ends, and the server's bookkeeping
after the last message is within its reach: connections never became idle or closed. Here only an
unfinished response is cancelled. It also saves a task and a message for each request.

Rule: works on any ASGI server. On ours the server takes in the body and sends a stream, so that
neither holds this and Quart's own objects in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from quart import Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers.response import DataBody, ResponseBody
from quart_trio.asgi import TrioASGIHTTPConnection

from web.http.request_cycle import FEED, STREAM

Send = Callable[[Any], Awaitable[None]]


class HttpConnection(TrioASGIHTTPConnection):
    """One request."""

    _answered = False

    async def __call__(self, receive: Any, send: Send) -> None:
        extensions: dict[str, Any] = self.scope.get("extensions") or {}
        request = self._create_request_from_scope(send)
        if FEED in extensions:
            await extensions[FEED](request.body)
            await self._respond(request, send)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery, request, receive)
            await self._respond(request, send)
            nursery.cancel_scope.cancel()

    async def _listen(self, nursery: trio.Nursery, request: Request, receive: Any) -> None:
        """Take in the body. Returns when the client is gone."""
        await ASGIHTTPConnection.handle_messages(self, request, receive)
        if not self._answered:
            nursery.cancel_scope.cancel()

    async def _respond(self, request: Request, send: Send) -> None:
        response: Any = await self.app.handle_request(request)
        timeout_s = self.app.config["RESPONSE_TIMEOUT"]
        if isinstance(response, Response) and response.timeout is not Ellipsis:
            timeout_s = response.timeout
        if timeout_s is not None:
            with trio.move_on_after(timeout_s):
                await self._send_response(send, response)
            return
        extensions: dict[str, Any] = self.scope.get("extensions") or {}
        if STREAM in extensions and isinstance(response.response, ResponseBody):
            await self._head(send, response)
            extensions[STREAM](response.response)
        else:
            await self._send_response(send, response)

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
        async with body as parts:
            if self.scope["method"] == "HEAD":
                return  # A stream that is never read from could go on for ever.
            async for part in parts:
                data = part.encode() if isinstance(part, str) else part
                await send({"type": "http.response.body", "body": data, "more_body": True})
