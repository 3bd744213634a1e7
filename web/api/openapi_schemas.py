"""The schemas of /openapi.json: requests, answers, and the lines of a stream.

Rule: the events come from their dataclasses, as their lines do. What an answer leaves out where it is
empty is optional and never null; a request may say null for what it does not give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter

from actors.errors import CODES
from actors.tasks.budget import Budget
from actors.tasks.events import EVENTS, Event
from actors.tasks.evidence import Source
from actors.tasks.failure import Failure
from actors.tasks.plan import PlannedStep
from actors.usage import Usage
from web.api.problems import KINDS
from web.api.views import Heartbeat, JsonBody, StreamClosing

REF = "#/components/schemas/{model}"
EVENT_LINE = "EventLine"
TIME = {"type": "string", "format": "date-time"}
TASK_ID = {"type": "string", "format": "uuid"}

_PARTS: tuple[type[Any], ...] = (Budget, Failure, PlannedStep, Source, Usage)
"""What events have in them, each with all its fields."""

Schema = dict[str, Any]


def schemas(models: Iterable[type[BaseModel]]) -> Schema:
    """By name: those of the models, and of all lines of a stream."""
    kinds: list[type[Any]] = [*dict.fromkeys(models), Heartbeat, StreamClosing, *EVENTS.values()]
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        (kind, "validation", TypeAdapter(kind)) for kind in kinds
    ]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template=REF)
    found: Schema = schema["$defs"]
    whole = (*JsonBody.__subclasses__(), *EVENTS.values(), *_PARTS)
    nullable = {kind.__name__ for kind in whole}
    for name, schema in found.items():
        found[name] = plain(schema, nullable=name in nullable)
    for event in EVENTS.values():
        _require(found[event.__name__], event.seldom)
        found[f"{event.__name__}Line"] = _line(event)
    for part in _PARTS:
        _require(found[part.__name__], ())
    for name in ("ErrorView", "Failure"):
        found[name]["properties"]["code"] = _one_of(CODES)
    found["Problem"]["properties"]["code"] = _one_of(KINDS)
    found[EVENT_LINE] = _event_line()
    return found


def plain(schema: Schema, *, nullable: bool) -> Schema:
    """A schema without generated titles and defaults of null.

    Unless it is `nullable`, what has such a default is never null.
    """
    changed = {name: _plain(value, nullable) for name, value in schema.items()}
    if isinstance(changed.get("title"), str):
        del changed["title"]
    if "default" in changed and changed["default"] is None:
        del changed["default"]
        if not nullable:
            return _without_null(changed)
    return changed


def _plain(value: Any, nullable: bool) -> Any:
    if isinstance(value, dict):
        return plain(value, nullable=nullable)
    return [_plain(item, nullable) for item in value] if isinstance(value, list) else value


def _without_null(schema: Schema) -> Schema:
    rest = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    return {**rest[0], **schema} if len(rest) == 1 else {"anyOf": rest, **schema}


def _require(schema: Schema, seldom: Iterable[str]) -> None:
    """A line has every field, but for those of `seldom`, which are never null."""
    properties = schema["properties"]
    for name, value in properties.items():
        value.pop("default", None)
        if name in seldom and "anyOf" in value:
            properties[name] = _without_null(value)
    schema["required"] = [name for name in properties if name not in seldom]


def _line(event: type[Event]) -> Schema:
    properties = {
        "seq": {"type": "integer", "minimum": 1},
        "event_type": {"type": "string", "const": event.event_type},
        "task_id": TASK_ID,
        "timestamp": TIME,
        "data": {"$ref": REF.format(model=event.__name__)},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _event_line() -> Schema:
    """Any line of a stream, told apart by `event_type`."""
    lines = {event.event_type: f"{event.__name__}Line" for event in EVENTS.values()}
    lines |= {"heartbeat": Heartbeat.__name__, "stream_closing": StreamClosing.__name__}
    mapping = {name: REF.format(model=model) for name, model in lines.items()}
    return {
        "description": "One line of a stream. Types that a client does not know are to be ignored.",
        "oneOf": [{"$ref": ref} for ref in mapping.values()],
        "discriminator": {"propertyName": "event_type", "mapping": mapping},
    }


def _one_of(codes: Iterable[str]) -> Schema:
    """A code: one of these, or one that a later version adds."""
    known = {"type": "string", "enum": sorted(filter(None, codes))}
    return {"description": "A stable code.", "anyOf": [known, {"type": "string"}]}
