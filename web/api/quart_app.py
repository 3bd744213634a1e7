"""The Quart-Trio app: it finds the route of a request, and calls the routes of the API itself.

Before Quart calls a view it opens two contexts and a session, sends signals and runs hooks, which takes
longer than the rest of a request. The API uses none of that. Everything else goes Quart's way: the
page, OPTIONS, and what no route takes.

Rule: a view of the API gets its request as an argument; `quart.request` is not there for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from quart import Request, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from web.api.problems import of_bug, of_http_exception
from web.api.quart_adapter import BodyRequest, HttpConnection
from web.api.request_checks import refusal_of_ambiguous

View = Callable[[Request, Mapping[str, str]], Awaitable[Response]]
"""Answers a request with these values in its path."""


class ApiApp(QuartTrio):
    """An app whose API is added with `add_view`."""

    asgi_http_class = HttpConnection  # type: ignore[assignment]  # It needs these two methods.
    request_class = BodyRequest

    def __init__(self) -> None:
        super().__init__("terzetto", static_folder=None)
        self.url_map.merge_slashes = False  # It would answer /tasks//events with a page of HTML.
        self.register_error_handler(HTTPException, _http_exception)
        self.register_error_handler(Exception, _bug)
        self._views: dict[str, View] = {}
        self._routes = self.url_map.bind("localhost")

    def add_view(self, method: str, path: str, view: View) -> None:
        """A route of the API, such as `/tasks/{task_id}`."""
        endpoint = f"{method} {path}"
        self._views[endpoint] = view
        rule = path.replace("{", "<").replace("}", ">")
        self.add_url_rule(rule, endpoint=endpoint, methods=[method], strict_slashes=True)

    async def handle_request(self, request: Any) -> Any:
        """The response to a request."""
        refusal = refusal_of_ambiguous(request)
        if refusal is not None:
            return refusal
        view, path = self._find(request)
        if view is None:
            return await super().handle_request(request)
        try:
            return await view(request, path)
        except HTTPException as error:
            return of_http_exception(request, error)
        except Exception as error:  # noqa: BLE001 - a bug ends this request only.
            return of_bug(request, error)

    def _find(self, request: Request) -> tuple[View | None, Mapping[str, str]]:
        if request.method == "OPTIONS":
            return None, {}
        try:
            endpoint, path = self._routes.match(request.path, request.method)
        except HTTPException:
            return None, {}
        return self._views.get(endpoint), path


async def _http_exception(error: HTTPException) -> Response:
    return of_http_exception(request, error)


async def _bug(error: Exception) -> Response:
    return of_bug(request, error)
