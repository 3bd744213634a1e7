"""The Quart-Trio app: the routes over a running system.

Rule: the app owns nothing. The caller that opened the system closes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from quart_trio import QuartTrio

from actors.system import System
from web.access.gate import Gate
from web.access.keys import Keys
from web.api import document_routes, key_routes, server_routes, task_routes
from web.api.exchange import ApiRequest, ApiResponse
from web.api.openapi import openapi
from web.api.quart_app import ApiApp
from web.api.routing import add_routes, render
from web.http.connection_table import ConnectionTable
from web.page.routes import add_page
from web.settings.model import ServerSettings

ROUTES = [
    *task_routes.ROUTES,
    *document_routes.ROUTES,
    *key_routes.ROUTES,
    *server_routes.ROUTES,
]
"""The whole API."""


@cache
def openapi_document() -> dict[str, Any]:
    """The API as an OpenAPI document."""
    return openapi(ROUTES, server_routes.VERSION)


def create_app(system: System, settings: ServerSettings, keys: Keys | None = None) -> QuartTrio:
    """An ASGI app that answers HTTP by asking `system`; `keys` are those of its data folder."""
    app = ApiApp()
    keys = keys or Keys(system.settings.data_dir)
    add_routes(app, ROUTES, system, settings, keys, ConnectionTable())

    async def describe(request: ApiRequest, path: Mapping[str, str]) -> ApiResponse:
        here = request.root_path or "/"
        return render(200, {**openapi_document(), "servers": [{"url": here}]})

    app.add_view("GET", "/openapi.json", describe)
    add_page(app)
    app.asgi_app = Gate(app.asgi_app, settings, keys)  # type: ignore[method-assign]
    return app
