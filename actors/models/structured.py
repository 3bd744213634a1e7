"""Answers of a given shape: the schema that a server is sent, and reading what it answered.

Rule: pydantic has the last word. A server that enforces a schema makes a good answer likely, never
certain.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from actors.models.model import InvalidAnswer, M
from actors.usage import Usage

MOST_ITEMS = 32
MOST_LETTERS = 1_000
_FOR_PEOPLE = ("title", "default", "examples")
_LENGTHS = ("minLength", "maxLength")
_SHOWN_PROBLEMS = 3


def closed(shape: type[BaseModel], *, lengths: bool) -> dict[str, Any]:
    """The schema as servers enforce it: every field required, and no others.

    With `lengths`, every string and list has a limit, so that a small model cannot write in one of
    them for ever; without, strings have none, as OpenAI's own servers refuse such a schema.
    """
    schema: dict[str, Any] = _closed(shape.model_json_schema(), lengths)
    return schema


def in_words(shape: type[BaseModel]) -> str:
    """The schema as an instruction, for servers that enforce none."""
    schema = json.dumps(shape.model_json_schema(), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It follows this JSON schema:\n{schema}"


def parsed(name: str, text: str, shape: type[M], usage: Usage) -> M:
    """The value in a model's answer; raises `InvalidAnswer`."""
    start, end = text.find("{"), text.rfind("}")  # Some wrap it in a fence, or talk around it.
    try:
        return shape.model_validate_json(text[start : end + 1] if 0 <= start < end else text)
    except ValidationError as error:
        raise InvalidAnswer(
            f"{name} gave an answer of another shape: {_problems(error)}.", text, usage
        ) from None


def has_fields(text: str, shape: type[BaseModel]) -> bool:
    """Whether this is an object with all the fields, as it is wherever a schema is enforced."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and shape.model_fields.keys() <= value.keys()


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [": ".join(filter(None, (_path(one["loc"]), one["msg"]))) for one in found]
    more = f"; and {len(told) - _SHOWN_PROBLEMS} more" if len(told) > _SHOWN_PROBLEMS else ""
    return "; ".join(told[:_SHOWN_PROBLEMS]) + more


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _closed(node: Any, lengths: bool) -> Any:
    if isinstance(node, list):
        return [_closed(part, lengths) for part in node]
    if not isinstance(node, dict):
        return node
    unwanted = _FOR_PEOPLE if lengths else (*_FOR_PEOPLE, *_LENGTHS)
    made = {key: _closed_part(key, part, lengths) for key, part in node.items()}
    made = {key: part for key, part in made.items() if key not in unwanted}
    if "properties" in made:
        made["required"] = list(made["properties"])
        made["additionalProperties"] = False
    if lengths and made.get("type") == "array":
        made.setdefault("maxItems", MOST_ITEMS)
    if (
        lengths
        and made.get("type") == "string"
        and not made.keys() & {"enum", "const", "pattern", "format"}
    ):
        made.setdefault("maxLength", MOST_LETTERS)
    return made


def _closed_part(key: str, part: Any, lengths: bool) -> Any:
    """What stands under a keyword. Names of fields are no keywords: a field may be called title."""
    if key in ("properties", "$defs"):
        return {name: _closed(one, lengths) for name, one in part.items()}
    return part if key in ("enum", "const", "required") else _closed(part, lengths)
