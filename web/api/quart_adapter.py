"""How an ASGI request reaches Quart, and how Quart's response leaves.

quart-trio's own class cancels the app once the client's side ends, and with it the server's work after
the last message. It also takes a task and a queue for each request, to receive a body: what is left to
Quart, the page and the refusals of what no route takes, needs none.

Rule: only public names of Quart are used, so that the versions for all supported Pythons work.
"""

from __future__ import annotations

from typing import Any

from quart import Request
from quart.utils import encode_headers
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from web.api.exchange import NO_CONTENT, Receive, Send, inner_path


class HttpConnection:
    """One request. Quart makes it (`asgi_http_class`) and calls it."""

    def __init__(self, app: QuartTrio, scope: Any) -> None:
        self._app = app
        self._scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        response: Any = await self._app.handle_request(self._request())
        if response.status_code == NO_CONTENT:
            response.headers.remove("Content-Type")
            response.headers.remove("Content-Length")
        headers = encode_headers(response.headers)
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers}
        )
        body = await _whole(response)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _request(self) -> Request:
        scope = self._scope
        headers = Headers()
        headers["Remote-Addr"] = (scope.get("client") or ["<local>"])[0]
        for name, value in scope["headers"]:
            headers.add(name.decode("latin1"), value.decode("latin1"))
        headers.setdefault("Host", "")  # HTTP/1.0 needs none, but Quart reads it.
        return self._app.request_class(
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


async def _whole(response: Any) -> bytes:
    if not hasattr(response.response, "__aenter__"):  # Werkzeug's own, such as a redirect.
        return b"".join(response.iter_encoded())
    async with response.response as parts:
        return b"".join([part.encode() if isinstance(part, str) else part async for part in parts])


async def _push_nothing(path: str, headers: Headers) -> None:
    """HTTP/2's server push, which no client supports any more."""
