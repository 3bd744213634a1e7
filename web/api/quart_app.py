"""The Quart-Trio app: it finds the route of a request, and calls the routes of the API itself.

Before Quart calls a view it makes a request of many parts, opens two contexts and a session, sends
signals and runs hooks, which takes longer than the rest of a request. The API uses none of that.
Everything else goes Quart's way: the page, OPTIONS, and what no route takes.

Rule: a view of the API gets its request as an argument; `quart.request` is not there for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from web.api.exchange import ApiRequest, ApiResponse, respond
from web.api.problems import of_bug, of_http_exception
from web.api.quart_adapter import HttpConnection
from web.api.request_checks import refusal_of_ambiguous

View = Callable[[ApiRequest, Mapping[str, str]], Awaitable[ApiResponse]]
"""Answers a request with these values in its path."""


class ApiApp(QuartTrio):
    """An app whose API is added with `add_view`."""

    asgi_http_class = HttpConnection  # type: ignore[assignment]  # It needs these two methods.

    def __init__(self) -> None:
        super().__init__("terzetto", static_folder=None)
        self.url_map.merge_slashes = False  # It would answer /tasks//events with a page of HTML.
        self.register_error_handler(HTTPException, _http_exception)
        self.register_error_handler(Exception, _bug)
        self._views: dict[tuple[str, int], list[tuple[list[str], View]]] = defaultdict(list)

    def add_view(self, method: str, path: str, view: View) -> None:
        """A route of the API, such as `/tasks/{task_id}`; the first that fits a request is taken."""
        names = path.split("/")
        for answered in ("GET", "HEAD") if method == "GET" else (method,):
            self._views[answered, len(names)].append((names, view))
        # Quart answers what fits no method of a path, and OPTIONS.
        rule = path.replace("{", "<").replace("}", ">")
        self.add_url_rule(rule, endpoint=f"{method} {path}", methods=[method], strict_slashes=True)

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await super().asgi_app(scope, receive, send)
            return
        asked = ApiRequest(scope, receive)
        response = refusal_of_ambiguous(asked) or await self._answer(asked)
        if response is None:
            await super().asgi_app(scope, receive, send)
        else:
            await respond(response, scope, receive, send)

    async def _answer(self, asked: ApiRequest) -> ApiResponse | None:
        """The response of the API; None if the request is for no route of it."""
        parts = asked.path.split("/")
        for names, view in self._views.get((asked.method, len(parts)), ()):
            path = _values(names, parts)
            if path is not None:
                try:
                    return await view(asked, path)
                except Exception as error:  # noqa: BLE001 - a bug ends this request only.
                    return of_bug(asked, error)
        return None


def _values(names: list[str], parts: list[str]) -> dict[str, str] | None:
    """What a path has in the places in braces; None if it is another route's."""
    values = {}
    for name, part in zip(names, parts, strict=True):
        if name.startswith("{") and part:
            values[name[1:-1]] = part
        elif name != part:
            return None
    return values


async def _http_exception(error: HTTPException) -> Response:
    return _of_quart(of_http_exception(request, error))


async def _bug(error: Exception) -> Response:
    return _of_quart(of_bug(request, error))


def _of_quart(response: ApiResponse) -> Response:
    assert isinstance(response.body, bytes)
    return Response(response.body, response.status, response.headers)
