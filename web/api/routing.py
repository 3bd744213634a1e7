"""The table of routes: method, path, types of request and answer, and the three moves of a request.

Rule: parse, ask, render. A request is refused as a whole, with every fault found, before an actor
is asked. A handler gets valid values, asks the system and returns a response. The same table makes
the routes and /openapi.json.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import urlencode

import trio
from pydantic import BaseModel, ValidationError
from quart import Request, Response, request
from quart_trio import QuartTrio
from werkzeug.datastructures import FileStorage
from werkzeug.formparser import MultiPartParser

from actors.errors import ActorError
from actors.system import System
from web.access.gate import PRINCIPAL
from web.access.keys import Keys, Principal
from web.access.seen import check_seen
from web.api.problems import Fault, RequestProblem, of_actor_error, problem
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
    request: Request
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
    """The type of a JSON body that may be sent in place of a raw one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()


def add_routes(
    app: QuartTrio,
    routes: list[Route],
    system: System,
    settings: ServerSettings,
    keys: Keys,
    connections: ConnectionTable,
) -> None:
    """Register these routes with `app`, and keep its connections there for `web.serve`."""
    app.extensions[CONNECTIONS] = connections
    readers = Readers(system, settings.max_streams_per_client)
    for route in routes:
        app.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route, system, settings, keys, readers, connections),
            methods=[route.method],
            strict_slashes=True,
        )


def _view(
    route: Route,
    system: System,
    settings: ServerSettings,
    keys: Keys,
    readers: Readers,
    connections: ConnectionTable,
) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        try:
            scope: Any = request.scope
            principal: Principal = scope[PRINCIPAL]
            if not principal.sees_all and (task_id := path.get("task_id")):
                await check_seen(system, principal, task_id)
            query = _query(request, route.query)
            body: BaseModel = NoBody()
            if route.body is not NoBody:
                most = settings.max_body_bytes
                optional = route.body_optional
                body = await json_body(request, route.body, most, optional=optional)
            context = RequestContext(
                *(system, settings, keys, principal, readers, connections),
                *(request, path, query, body),
            )
            return await route.handler(context)
        except RequestProblem as refused:
            return problem(refused.code, refused.detail, refused.faults)
        except ActorError as error:
            return of_actor_error(error)

    return view


# --- parse ----------------------------------------------------------------------------------------


async def read_body(request: Request, most: int) -> bytes:
    """The whole body, at most `most` bytes of it."""
    too_large = RequestProblem("too_large", f"The body may have at most {most:,} bytes.")
    if (request.content_length or 0) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.body:
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


async def json_body(request: Request, model: type[M], most: int, *, optional: bool = False) -> M:
    """The body as a `model`; an `optional` one may be empty."""
    body = await read_body(request, most)
    if optional and not body:
        return model()
    kind = request.mimetype
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise RequestProblem("unsupported_media_type", f"Send application/json here, not {kind}.")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestProblem("malformed_body", f"The body is not JSON in UTF-8: {reason}") from None
    return _validate(model, value)


async def form_files(request: Request, most: int) -> list[FileStorage]:
    """The files of a form, in memory; the whole form has at most `most` bytes."""
    boundary = request.mimetype_params.get("boundary", "").encode("ascii", errors="replace")
    body = await read_body(request, most)

    def parse() -> list[FileStorage]:
        parser = MultiPartParser(stream_factory=lambda *_, **__: BytesIO())
        _, files = parser.parse(BytesIO(body), boundary, len(body))
        return [file for _, file in files.items(multi=True)]

    try:
        return await trio.to_thread.run_sync(parse)
    except ValueError as error:
        fault = Fault(("body",), f"The form cannot be read: {error}")
        raise RequestProblem("invalid_request", fault.msg, [fault]) from None


def _query(request: Request, model: type[M]) -> M:
    """The query string as a `model`; each parameter may be given once."""
    given = request.args.to_dict(flat=False)
    twice = [
        Fault((name,), "This parameter is given twice.") for name in given if len(given[name]) > 1
    ]
    if twice:
        raise RequestProblem("invalid_request", "A query parameter is given twice.", twice)
    return _validate(model, {name: values[0] for name, values in given.items()})


def _validate(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [Fault(tuple(e["loc"]), _plainly(e)) for e in error.errors(include_url=False)]
        first = faults[0]
        where = ".".join(str(place) for place in first.loc) or "the body"
        raise RequestProblem("invalid_request", f"{where}: {first.msg}", faults) from None


def _plainly(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "This field is not known here."
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# --- render ---------------------------------------------------------------------------------------


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
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, status, content_type="application/json")
    response.headers.update(headers or {})
    return response
