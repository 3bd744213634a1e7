"""The Quart-Trio app: the routes over a running system.

Rule: the app owns nothing. The caller that opened the system closes it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.system import System
from web.api import document_routes, problems, server_routes, task_routes
from web.api.openapi import openapi
from web.api.quart_adapter import BodyRequest, HttpConnection
from web.api.request_checks import refuse_ambiguous
from web.api.routing import add_routes, render
from web.http.connection_table import ConnectionTable
from web.page.routes import add_page
from web.settings.model import ServerSettings

ROUTES = [*task_routes.ROUTES, *document_routes.ROUTES, *server_routes.ROUTES]
"""The whole API."""


@cache
def openapi_document() -> dict[str, Any]:
    """The API as an OpenAPI document."""
    return openapi(ROUTES, server_routes.VERSION)


def create_app(system: System, settings: ServerSettings) -> QuartTrio:
    """An ASGI app that answers HTTP by asking `system`."""
    app = QuartTrio("terzetto", static_folder=None)
    app.asgi_http_class = HttpConnection  # type: ignore[assignment]  # It needs these two methods.
    app.request_class = BodyRequest
    app.url_map.merge_slashes = False  # It would answer /tasks//events with a page of HTML.
    add_routes(app, ROUTES, system, settings, ConnectionTable())

    async def describe() -> Response:
        return render(200, openapi_document())

    app.add_url_rule("/openapi.json", view_func=describe, methods=["GET"])
    app.before_request(refuse_ambiguous)
    add_page(app)
    app.before_request(_refuse_foreign_origins(settings))
    app.register_error_handler(HTTPException, problems.of_http_exception)
    app.register_error_handler(Exception, problems.of_bug)
    return app


def _refuse_foreign_origins(settings: ServerSettings) -> Callable[[], Response | None]:
    """Refuse requests that another site's web page makes without the knowledge of the server's owner."""
    own = {"localhost", settings.address.host.lower(), *settings.allowed_hosts}

    def check() -> Response | None:
        name = request.headers.get("Host") or "localhost"  # Browsers always send one.
        host = _host_name(f"//{name}")
        if host is None or not (host in own or _is_loopback(host)):
            return problems.problem(
                "foreign_origin", f"This server does not answer to the name {name}."
            )
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != name.lower():
            return problems.problem("foreign_origin", f"Pages of {origin} may not use this server.")
        return None

    return check


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
