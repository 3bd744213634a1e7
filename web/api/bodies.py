"""Request bodies: read within their limits, decoded, and refused before they are read where possible.

Rule: what the head of a request tells is checked before the first byte of its body is read, so that a
client that waits for `100 Continue` is refused without one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any, NoReturn, TypeVar

import trio
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.formparser import MultiPartParser

from web.api.body_memory import Room
from web.api.exchange import ApiRequest, ClientLeft
from web.api.problems import Fault, RequestProblem

JSON = "application/json"
MOST_DIGITS = 400
"""Digits of a number in JSON; the largest float has 309."""

MOST_FAULTS = 100
"""Faults of a request that are listed: a body of 1 MiB can have 80,000 fields."""

M = TypeVar("M", bound=BaseModel)

_forms = trio.CapacityLimiter(1)
"""A form is in memory twice while it is taken apart."""


async def read_body(request: ApiRequest, most: int, room: Room) -> bytes:
    """The whole body, at most `most` bytes of it."""
    too_large = RequestProblem("too_large", f"The body may have at most {most:,} bytes.")
    length = request.content_length
    if length > most:
        raise too_large
    _refuse_encoded(request)
    room.take(length)
    body = BytesIO()  # Its value is taken out without a copy.
    try:
        while (chunk := await request.more_body()) is not None:
            size = body.tell() + len(chunk)
            if size > most:
                raise too_large
            room.take(size)
            body.write(chunk)
    except ClientLeft:
        raise RequestProblem("bad_request", "The body has not come whole.") from None
    return body.getvalue()


def _refuse_encoded(request: ApiRequest) -> None:
    coding = request.headers.get("content-encoding", "")
    if coding.lower() not in ("", "identity"):
        detail = f"A body is not decoded here: send it without Content-Encoding: {coding}."
        raise RequestProblem(
            "unsupported_media_type", detail, headers={"Accept-Encoding": "identity"}
        )


async def json_body(
    request: ApiRequest, model: type[M], most: int, room: Room, *, optional: bool = False
) -> M:
    """The body as a `model`; an `optional` one may be empty."""
    kind = request.mimetype
    is_json = not kind or kind == JSON or kind.endswith("+json")
    if not is_json and not (optional and _is_empty(request)):
        raise unsupported_type(f"Send {JSON} here, not {kind}.", [JSON])
    body = await read_body(request, most, room)
    if optional and not body:
        return model()
    return validate(model, decoded_json(body))


def _is_empty(request: ApiRequest) -> bool:
    return not request.content_length and "transfer-encoding" not in request.headers


def unsupported_type(detail: str, accepted: Iterable[str]) -> RequestProblem:
    """The refusal of a media type, which names those that are accepted."""
    headers = {"Accept-Post": ", ".join(accepted)}
    return RequestProblem("unsupported_media_type", detail, headers=headers)


def decoded_json(body: bytes) -> Any:
    """The value of a JSON text; raises `RequestProblem`."""
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except RecursionError:
        reason = "it is nested too deeply"
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
    except ValueError as error:
        reason = str(error)
    raise RequestProblem("malformed_body", f"The body is not JSON in UTF-8: {reason}.") from None


def _whole_number(digits: str) -> int:
    return int(_bounded(digits))


def _number(text: str) -> float:
    number = float(_bounded(text))
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number in it is too large")
    return number


def _bounded(number: str) -> str:
    if len(number) > MOST_DIGITS:
        raise ValueError(f"a number in it has more than {MOST_DIGITS} digits")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


async def form_files(request: ApiRequest, most: int, room: Room) -> list[FileStorage]:
    """The files of a form, in memory; the whole form has at most `most` bytes."""
    boundary = request.mimetype_params.get("boundary", "").encode("ascii", errors="replace")
    body = await read_body(request, most, room)

    def parse() -> list[FileStorage]:
        parser = MultiPartParser(stream_factory=lambda *_, **__: BytesIO())
        _, files = parser.parse(BytesIO(body), boundary, len(body))
        return [file for _, file in files.items(multi=True)]

    try:
        return await trio.to_thread.run_sync(parse, limiter=_forms)
    except ValueError as error:
        fault = Fault(("body",), f"The form cannot be read: {error}")
        raise RequestProblem("invalid_request", fault.msg, [fault]) from None


def validate(model: type[M], value: Any) -> M:
    """A `model` of this value; raises `RequestProblem` with the first faults."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:MOST_FAULTS]
        faults = [Fault(tuple(e["loc"]), _plainly(e)) for e in found]
        first = faults[0]
        where = ".".join(str(place) for place in first.loc) or "the body"
        raise RequestProblem("invalid_request", f"{where}: {first.msg}", faults) from None


def _plainly(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "This field is not known here."
    if error["type"] in ("model_type", "dict_type"):
        return "Input should be a JSON object"  # pydantic would name a class of ours.
    message: str = error["msg"]
    return message.removeprefix("Value error, ")
