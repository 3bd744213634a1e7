"""Errors as RFC 9457 problems: one table from codes to statuses, and one form for all of them.

Rule: no answer shows a traceback or a path of the server. A code that is not in the table is a 500.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol
from urllib.parse import quote

from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException

from actors.errors import ActorError
from web.api.exchange import ApiResponse

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

PATH_MARKS = "/:@!$&'()*+,;=-._~"
"""Characters that stand in the path of a URL as they are."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The response to a code: status, title, and the seconds of its `Retry-After` header."""

    status: int
    title: str
    retry_after_s: int | None = None


KINDS: dict[str, Kind] = {
    "malformed_body": Kind(400, "The body is not JSON in UTF-8"),
    "bad_request": Kind(400, "The request cannot be read"),
    "unauthorized": Kind(401, "A valid key is needed"),
    "forbidden": Kind(403, "The scope of the key does not include this"),
    "foreign_origin": Kind(403, "Requests from other sites are refused"),
    "not_found": Kind(404, "There is nothing here"),
    "task_not_found": Kind(404, "No such task"),
    "document_not_found": Kind(404, "No such document"),
    "method_not_allowed": Kind(405, "This method is not allowed here"),
    "request_timeout": Kind(408, "The request did not come in time"),
    "illegal_state": Kind(409, "The present state does not allow this"),
    "too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "This media type is not supported"),
    "invalid_request": Kind(422, "The request has the wrong shape or values"),
    "unreadable_document": Kind(422, "The document cannot be read"),
    "extra_missing": Kind(422, "The server needs an extra for this"),
    "fetch_refused": Kind(422, "The page is not fetched"),
    "too_many_requests": Kind(429, "Too many requests at once", retry_after_s=1),
    "head_too_large": Kind(431, "The head of the request is too large"),
    "task_unreadable": Kind(500, "A record of the task is damaged"),
    "document_unreadable": Kind(500, "A record of the library is damaged"),
    "internal_error": Kind(500, "The server has failed internally"),
    "fetch_failed": Kind(502, "The page cannot be fetched now", retry_after_s=5),
    "overloaded": Kind(503, "The server is full", retry_after_s=1),
    "draining": Kind(503, "The server is about to stop", retry_after_s=5),
    "storage_unavailable": Kind(503, "The log cannot be written", retry_after_s=10),
    "cancel_unfinished": Kind(503, "The work has not stopped yet", retry_after_s=1),
    "actor_stopped": Kind(503, "The server is about to stop", retry_after_s=5),
}
"""Every code of an error response."""


class ProblemFault(BaseModel):
    """One fault of the input: where and what."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """An error in the form of RFC 9457."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    code: str
    instance: str = Field(json_schema_extra={"format": "uri-reference"})
    errors: list[ProblemFault] | None = None


_BUG = "An internal error has occurred; the log of the server has the details."


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the input: where and what."""

    loc: tuple[str | int, ...]
    msg: str


class Asked(Protocol):
    """What an error response says of its request."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...


class RequestProblem(Exception):
    """A request that the web layer refuses itself, without asking an actor."""

    def __init__(
        self,
        code: str,
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}


def problem(request: Asked, code: str, detail: str, faults: Sequence[Fault] = ()) -> ApiResponse:
    """The response to a request that fails with this code."""
    kind = KINDS[code]
    body = problem_body(code, detail, request.path, faults)
    response = ApiResponse(kind.status, body, {"Content-Type": CONTENT_TYPE})
    if kind.retry_after_s is not None:
        response.headers["Retry-After"] = str(kind.retry_after_s)
    return response


def problem_body(code: str, detail: str, path: str, faults: Sequence[Fault] = ()) -> bytes:
    """The body of such a response: JSON in ASCII."""
    kind = KINDS[code]
    body = {
        "type": f"urn:terzetto:error:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "instance": quote(path, safe=PATH_MARKS, errors="replace"),
    }
    if faults or code == "invalid_request":
        faults = faults or (Fault((), detail),)
        body["errors"] = [{"loc": list(fault.loc), "msg": fault.msg} for fault in faults]
    # Details repeat input, which may have lone surrogates: UTF-8 cannot encode them, ASCII can.
    return json.dumps(body).encode("ascii")


def of_actor_error(request: Asked, error: ActorError) -> ApiResponse:
    """The response to an error that an actor replied with."""
    if error.code not in KINDS:
        log.error("the code %s is not in the table of problems", error.code, exc_info=error)
        return problem(request, "internal_error", _BUG)
    response = problem(request, error.code, error.message)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(ceil(error.retry_after_s), 1))
    return response


def of_http_exception(request: Asked, error: HTTPException) -> ApiResponse:
    """The response to what Quart refuses itself: no such route or method, or a body too large."""
    match error.code:
        case 404:
            return problem(request, "not_found", f"There is no {request.path} here.")
        case 405:
            response = problem(
                request, "method_not_allowed", f"{request.method} is not allowed here."
            )
            response.headers["Allow"] = dict(error.get_headers()).get("Allow", "")
            return response
        case 413:
            return problem(request, "too_large", "The body is larger than this server takes.")
        case code if code is not None and 300 <= code < 400:
            return problem(request, "not_found", f"There is no {request.path} here.")
        case code if code is not None and 400 <= code < 500:
            return problem(
                request, "bad_request", error.description or "The request cannot be read."
            )
        case _:
            return problem(request, "internal_error", _BUG)


def of_bug(request: Asked, error: Exception) -> ApiResponse:
    """The response to any other exception."""
    log.error("a request failed: %s %s", request.method, request.path, exc_info=error)
    return problem(request, "internal_error", _BUG)
