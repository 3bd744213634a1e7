"""/openapi.json, made from the table of routes and the types that it names.

Rule: the document states only what the code uses, so that it cannot disagree with the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from web.api import views
from web.api.bodies import JSON
from web.api.openapi_schemas import EVENT_LINE, REF, Schema, plain, schemas
from web.api.problems import CONTENT_TYPE, KINDS, Problem
from web.api.reports import HTML, MARKDOWN
from web.api.routing import Route
from web.api.streams import NDJSON, SSE

ALWAYS = (400, 401, 403, 408, 429, 431, 500, 503)
"""The errors that any request may meet, whatever its route."""

HEADERS = {
    "Accept-Encoding": "The codings that a body may have.",
    "Accept-Post": "The media types that a body may have.",
    "Cache-Control": "`no-store`",
    "Link": 'The next page, as `rel="next"`, if there is one.',
    "Location": "Where it can be read.",
    "Preference-Applied": "`respond-async`, if that was preferred.",
    "Retry-After": "The seconds after which another try makes sense.",
    "Vary": "`Accept`",
    "WWW-Authenticate": "`Bearer`",
    "X-Accel-Buffering": "`no`, for proxies that would hold the lines back.",
    "X-Rankers": "What ranked the results: `bm25`, `encoder`.",
    "X-Task-ID": "The task whose events these are.",
}
"""Every header of a response that a client may want to read."""

_OF_PROBLEMS = {
    401: ("WWW-Authenticate",),
    415: ("Accept-Post", "Accept-Encoding"),
    429: ("Retry-After",),
    502: ("Retry-After",),
    503: ("Retry-After",),
}
_SECURITY: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"header": []}]
"""A server without keys wants none."""
_PUBLIC = ("/livez", "/readyz")


def openapi(routes: list[Route], version: str) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Terzetto",
            "version": version,
            "description": "Agentic multi-step tasks: plans, cited reports, every step streamed.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "security": _SECURITY,
        "tags": [
            {"name": "tasks", "description": "Tasks, their events and reports."},
            {"name": "documents", "description": "The library that is searched."},
            {"name": "server", "description": "The server and its agents."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(_models(routes)),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _models(routes: list[Route]) -> Iterable[type[BaseModel]]:
    yield from (Problem, views.AddedDocuments)
    for route in routes:
        yield from (kind for kind in route.answers.values() if isinstance(kind, type))
        yield from (
            body for body in (route.body, route.json_instead) if body not in (None, views.NoBody)
        )


def _operation(route: Route) -> dict[str, Any]:
    tag = route.path.split("/")[1]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": f"{route.summary}.",
        "operationId": _operation_id(route),
        "tags": [tag if tag in ("tasks", "documents") else "server"],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": {
            **{str(status): _answer(route, status) for status in route.answers},
            **{str(status): _problem(status) for status in sorted({*ALWAYS, *route.problems})},
        },
    }
    if route.path in _PUBLIC:
        operation["security"] = []
    if route.raw_body:
        operation["requestBody"] = {"required": True, "content": _raw_contents(route)}
    elif route.body is not views.NoBody:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON: {"schema": _ref(route.body)}},
        }
    return operation


def _raw_contents(route: Route) -> Schema:
    """A body of bytes, of a known type or of one that the server finds out, a form, or JSON."""
    binary = {"type": "string", "format": "binary"}
    file = {"type": "object", "properties": {"file": binary}, "required": ["file"]}
    kinds = ["application/octet-stream", *route.accepts]
    contents: Schema = {
        kind: {"schema": {"type": "object"} if kind.endswith("+json") else binary} for kind in kinds
    }
    contents["multipart/form-data"] = {"schema": file}
    if route.json_instead is not None:
        contents[JSON] = {"schema": _ref(route.json_instead)}
    return contents


def _operation_id(route: Route) -> str:
    words = re.sub(r"[{}]", "", route.path).strip("/").replace("/", "_")
    return f"{route.method.lower()}_{words}"


def _path_parameters(route: Route) -> list[Schema]:
    names = re.findall(r"{(\w+)}", route.path)
    schema = {"type": "string", "format": "uuid"}
    return [{"name": n, "in": "path", "required": True, "schema": schema} for n in names]


def _query_parameters(route: Route) -> list[Schema]:
    schema = plain(route.query.model_json_schema(), nullable=False)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": form}
        for name, form in schema.get("properties", {}).items()
    ]


def _headers(route: Route) -> list[Schema]:
    return [
        {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
        for name, about in route.headers.items()
    ]


def _answer(route: Route, status: int) -> Schema:
    kind = route.answers[status]
    answer: Schema = {"description": HTTPStatus(status).phrase}
    if names := route.sends.get(status, ()):
        answer["headers"] = _described(names)
    if kind == NDJSON:
        line = {"$ref": REF.format(model=EVENT_LINE)}
        answer["description"] = (
            "Events, one a line; with `respond-async` the task, if it has ended."
        )
        answer["content"] = {NDJSON: {"schema": line}, SSE: {"schema": {"type": "string"}}}
        if 202 in route.answers:
            answer["content"][JSON] = {"schema": _ref(views.TaskView)}
    elif kind == MARKDOWN:
        answer["content"] = {kind: {"schema": {"type": "string"}} for kind in (MARKDOWN, HTML)}
    elif isinstance(kind, str):
        answer["content"] = {kind: {"schema": {"type": "string"}}}
    elif kind is views.AddedDocumentView:
        either = {"anyOf": [_ref(views.AddedDocumentView), _ref(views.AddedDocuments)]}
        answer["content"] = {JSON: {"schema": either}}
    elif kind is not None:
        answer["content"] = {JSON: {"schema": _ref(kind)}}
    return answer


def _problem(status: int) -> Schema:
    codes = ", ".join(f"`{code}`" for code, kind in KINDS.items() if kind.status == status)
    answer: Schema = {
        "description": f"{HTTPStatus(status).phrase}: {codes}",
        "content": {CONTENT_TYPE: {"schema": _ref(Problem)}},
    }
    if names := _OF_PROBLEMS.get(status, ()):
        answer["headers"] = _described(names)
    return answer


def _described(names: Iterable[str]) -> Schema:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}
