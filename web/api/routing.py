"""What a route is: a method, a path, the types of what goes in and comes out, and three moves.

Rule: parse, ask, render. A handler gets valid values, asks the system, and returns a response; the
same table makes the routes and /openapi.json.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel
from quart import Request, Response
from quart_trio import QuartTrio

from actors.errors import ActorError
from actors.system import System
from web.api import parsing
from web.api.problems import RequestProblem, of_actor_error, problem
from web.api.streams import Readers
from web.api.views import NoBody, NoQuery, to_json
from web.http.connection_table import ConnectionTable
from web.settings.model import ServerSettings

Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RequestContext(Generic[Q, B]):
    """One request with its values, and what is needed to answer it."""

    system: System
    settings: ServerSettings
    readers: Readers
    connections: ConnectionTable
    request: Request
    path: Mapping[str, str]
    query: Q
    body: B

    @property
    def client(self) -> str:
        """Who asks; without keys that is the peer's address."""
        return self.request.remote_addr or "unknown"


Handler = Callable[[RequestContext[Any, Any]], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the API. `answers` maps a status to the type of its body, or to a media type."""

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, type[BaseModel] | str | None]
    query: type[BaseModel] = NoQuery
    body: type[BaseModel] = NoBody
    body_optional: bool = False
    raw_body: bool = False
    json_instead: type[BaseModel] | None = None
    """What may be sent as JSON in place of a raw body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()


def add_routes(
    app: QuartTrio,
    routes: list[Route],
    system: System,
    settings: ServerSettings,
    connections: ConnectionTable,
) -> Readers:
    """Let `app` answer these routes."""
    readers = Readers(system, settings.max_streams_per_client)
    for route in routes:
        app.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route, system, settings, readers, connections),
            methods=[route.method],
            strict_slashes=True,
        )
    return readers


def _view(
    route: Route,
    system: System,
    settings: ServerSettings,
    readers: Readers,
    connections: ConnectionTable,
) -> Callable[..., Awaitable[Response]]:
    from quart import request as current

    async def view(**path: str) -> Response:
        request = current._get_current_object()  # type: ignore[attr-defined]  # Quart's own way.
        try:
            query = parsing.query(request, route.query)
            body: BaseModel = NoBody()
            if route.body is not NoBody:
                most = settings.max_body_bytes
                optional = route.body_optional
                body = await parsing.json_body(request, route.body, most, optional=optional)
            exchange = RequestContext(
                system, settings, readers, connections, request, path, query, body
            )
            return await route.handler(exchange)
        except RequestProblem as refused:
            return problem(refused.code, refused.detail, refused.faults)
        except ActorError as error:
            return of_actor_error(error)

    return view


def next_link(path: str, *, cursor: str | None, **again: str | int | None) -> dict[str, str]:
    """The `Link` header to the next page, if `cursor` says that there is one."""
    if cursor is None:
        return {}
    query = {
        name: value for name, value in {**again, "cursor": cursor}.items() if value is not None
    }
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}


def render(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    response = Response(to_json(value), status, content_type="application/json")
    response.headers.update(headers or {})
    return response
