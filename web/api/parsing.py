"""From a request to valid values: JSON bodies, query strings, and raw bytes, all bounded.

Rule: a request is refused as a whole, with every fault found, before anything is asked of an actor.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, NoReturn, TypeVar

import trio
from pydantic import BaseModel, ValidationError
from quart import Request
from werkzeug.datastructures import FileStorage
from werkzeug.formparser import MultiPartParser

from web.api.problems import Fault, RequestProblem

M = TypeVar("M", bound=BaseModel)


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
    """The files of a form, in memory; all of it has at most `most` bytes."""
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


def query(request: Request, model: type[M]) -> M:
    """The query string as a `model`; a parameter may stand once."""
    given = request.args.to_dict(flat=False)
    twice = [
        Fault((name,), "This parameter stands twice.") for name in given if len(given[name]) > 1
    ]
    if twice:
        raise RequestProblem("invalid_request", "A query parameter stands twice.", twice)
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
