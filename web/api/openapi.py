"""/openapi.json, made from the table of routes and the types that it names.

Rule: the document states only what the code uses, so that it cannot disagree with the code.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from actors.library.parsing.media_types import KINDS
from web.api import views
from web.api.problems import CONTENT_TYPE, Problem
from web.api.routing import Route
from web.api.streams import NDJSON, SSE

REF = "#/components/schemas/{model}"


ACCESS = (401, 403, 429)
"""Problems that the gate before all routes may answer with."""

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


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
        },
        "paths": paths,
        "security": [{"bearer": []}, {"header": []}, {}],  # {}: a server without keys.
        "components": {"schemas": _schemas(routes), "securitySchemes": SECURITY_SCHEMES},
    }


def _models(routes: list[Route]) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [Problem, views.EventLine, views.AddedDocuments]
    for route in routes:
        found += [route.json_instead] if route.json_instead else []
        found += [route.body, *(a for a in route.answers.values() if isinstance(a, type))]
    return list(dict.fromkeys(found))


def _schemas(routes: list[Route]) -> dict[str, Any]:
    modes = [(model, "validation") for model in _models(routes)]
    _, schema = models_json_schema(modes, ref_template=REF)  # type: ignore[arg-type]
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": {
            **{str(status): _answer(status, kind) for status, kind in route.answers.items()},
            **{str(status): _problem(status) for status in (*ACCESS, *route.problems)},
        },
    }
    if route.raw_body:
        binary = {"schema": {"type": "string", "format": "binary"}}
        content = {kind.media_type: binary for kind in KINDS} | {"multipart/form-data": _FORM}
        if route.json_instead is not None:
            content["application/json"] = {"schema": _ref(route.json_instead)}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body is not views.NoBody:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    return operation


_FORM = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}


def _operation_id(route: Route) -> str:
    words = re.sub(r"[{}]", "", route.path).strip("/").replace("/", "_")
    return f"{route.method.lower()}_{words}"


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", route.path)
    schema = {"type": "string"}
    return [{"name": n, "in": "path", "required": True, "schema": schema} for n in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": form}
        for name, form in schema.get("properties", {}).items()
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
        for name, about in route.headers.items()
    ]


def _answer(status: int, kind: type[BaseModel] | str | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if kind == NDJSON:
        answer["content"] = {
            NDJSON: {"schema": _ref(views.EventLine)},
            SSE: {"schema": {"type": "string"}},
            "application/json": {"schema": _ref(views.TaskView)},
        }
    elif isinstance(kind, str):
        answer["content"] = {kind: {"schema": {"type": "string"}}}
    elif kind is views.AddedDocumentView:
        either = {"anyOf": [_ref(views.AddedDocumentView), _ref(views.AddedDocuments)]}
        answer["content"] = {"application/json": {"schema": either}}
    elif kind is not None:
        answer["content"] = {"application/json": {"schema": _ref(kind)}}
    return answer


def _problem(status: int) -> dict[str, Any]:
    content = {CONTENT_TYPE: {"schema": _ref(Problem)}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}
