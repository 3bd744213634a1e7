"""The table of routes: method, path, types of request and answer, and the three moves of a request.

Rule: parse, ask, render. A request is refused as a whole, with every fault found, before an actor
is asked. A handler gets valid values, asks the system and returns a response. The same table makes
the routes and /openapi.json.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel
from werkzeug.datastructures import MIMEAccept

from actors.errors import ActorError, UnsupportedMediaType
from actors.library.parsing.media_types import KINDS
from actors.system import System
from web.access.gate import PRINCIPAL
from web.access.keys import Keys, Principal
from web.access.seen import check_seen
from web.api.bodies import JSON, json_body, validate
from web.api.body_memory import BodyMemories, Room, body_memories
from web.api.exchange import ApiRequest, ApiResponse
from web.api.problems import Fault, RequestProblem, of_actor_error, problem
from web.api.quart_app import ApiApp, View
from web.api.streams import Readers
from web.api.views import NoBody, NoQuery
from web.http.connection_table import ConnectionTable
from web.settings.model import ServerSettings

CONNECTIONS = "terzetto_connections"
"""The key in `app.extensions` of the connections that /health shows."""

M = TypeVar("M", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RequestContext(Generic[Q, B]):
    """One request with its values, and what a handler needs to answer it."""

    system: System
    settings: ServerSettings
    keys: Keys
    principal: Principal
    readers: Readers
    connections: ConnectionTable
    bodies: BodyMemories
    room: Room
    request: ApiRequest
    path: Mapping[str, str]
    query: Q
    body: B

    @property
    def client(self) -> str:
        """Identifies the client: its key, else its address."""
        return self.principal.name or self.address

    @property
    def address(self) -> str:
        """The address of the client."""
        return self.request.address


Handler = Callable[[RequestContext[Any, Any]], Awaitable[ApiResponse]]


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
    """The type of a JSON body that may be sent in place of a raw one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """The headers of its answers, by status."""
    problems: tuple[int, ...] = ()

    @property
    def accepts(self) -> list[str]:
        """The media types of its body."""
        if self.raw_body:
            return [*(kind.media_type for kind in KINDS), "multipart/form-data", JSON]
        return [JSON]


def add_routes(
    app: ApiApp,
    routes: list[Route],
    system: System,
    settings: ServerSettings,
    keys: Keys,
    connections: ConnectionTable,
) -> None:
    """Register these routes with `app`, and keep its connections there for `web.serve`."""
    app.extensions[CONNECTIONS] = connections
    readers = Readers(system, settings.max_streams_per_client)
    bodies = body_memories(settings.max_upload_bytes)
    for route in routes:
        view = _view(route, system, settings, keys, readers, connections, bodies)
        app.add_view(route.method, route.path, view)


def _view(
    route: Route,
    system: System,
    settings: ServerSettings,
    keys: Keys,
    readers: Readers,
    connections: ConnectionTable,
    bodies: BodyMemories,
) -> View:
    memory = bodies.uploads if route.raw_body else bodies.others

    async def answer(request: ApiRequest, path: Mapping[str, str], room: Room) -> ApiResponse:
        scope: Any = request.scope
        principal: Principal = scope[PRINCIPAL]
        if not principal.sees_all and (task_id := path.get("task_id")):
            await check_seen(system, principal, task_id)
        query = _query(request, route.query)
        body: BaseModel = NoBody()
        if route.body is not NoBody:
            most, optional = settings.max_body_bytes, route.body_optional
            body = await json_body(request, route.body, most, room, optional=optional)
        context = RequestContext(
            *(system, settings, keys, principal, readers, connections, bodies, room),
            *(request, path, query, body),
        )
        return await route.handler(context)

    async def view(request: ApiRequest, path: Mapping[str, str]) -> ApiResponse:
        try:
            with memory.request() as room:
                return await answer(request, path, room)
        except RequestProblem as refused:
            response = problem(request, refused.code, refused.detail, refused.faults)
            response.headers.update(refused.headers)
        except ActorError as error:
            response = of_actor_error(request, error)
            if isinstance(error, UnsupportedMediaType):
                response.headers["Accept-Post"] = ", ".join(route.accepts)
        return response

    return view


# --- parse ----------------------------------------------------------------------------------------


def _query(request: ApiRequest, model: type[M]) -> M:
    """The query string as a `model`; each parameter may be given once."""
    text = request.scope["query_string"].decode(errors="replace")
    pairs = parse_qsl(text, keep_blank_values=True) if text else []
    given = dict(pairs)
    if len(given) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = [
            Fault((name,), "This parameter is given twice.") for name in given if names[name] > 1
        ]
        raise RequestProblem("invalid_request", "A query parameter is given twice.", twice)
    return validate(model, given)


def preferred(request: ApiRequest, offered: Sequence[str]) -> str:
    """The media type that `Accept` prefers, the first one by default. Parameters do not matter."""
    if "accept" not in request.headers:
        return offered[0]
    accepted = [(kind.partition(";")[0].strip(), q) for kind, q in request.accepted]
    return MIMEAccept(accepted).best_match(offered, offered[0])


# --- render ---------------------------------------------------------------------------------------


def next_link(path: str, *, cursor: str | None, **again: str | int | None) -> dict[str, str]:
    """The `Link` header to the next page, if `cursor` says that there is one."""
    if cursor is None:
        return {}
    query = {
        name: value for name, value in {**again, "cursor": cursor}.items() if value is not None
    }
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}


def render(status: int, value: Any, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """A JSON response."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return ApiResponse(status, body, {"Content-Type": "application/json", **(headers or {})})
