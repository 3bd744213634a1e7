"""Structured answers: the JSON schema that a server gets, and parsing its answer.

Rule: pydantic always validates. A server that enforces a schema makes a valid answer likely, never
certain.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from actors.models.model import InvalidAnswer, M
from actors.usage import Usage

_MAX_ITEMS = 32
_MAX_CHARACTERS = 1_000
_ANNOTATIONS = ("title", "default", "examples")
_LENGTHS = ("minLength", "maxLength")
_BOUNDED = {"enum", "const", "pattern", "format"}
_MAX_PROBLEMS = 3


def closed(shape: type[BaseModel], *, lengths: bool) -> dict[str, Any]:
    """The schema for a server that enforces it: every field is required, others are forbidden.

    With `lengths`, every string and list gets a maximum length, so that a small model cannot fill
    one endlessly. Without, strings get none: OpenAI's own servers refuse a schema with one.
    """
    schema: dict[str, Any] = _closed(shape.model_json_schema(), lengths)
    return schema


def in_words(shape: type[BaseModel]) -> str:
    """The schema as a part of the prompt, for a server that enforces none."""
    schema = json.dumps(shape.model_json_schema(), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It follows this JSON schema:\n{schema}"


def parsed(name: str, text: str, shape: type[M], usage: Usage) -> M:
    """Parse a model's answer; raises `InvalidAnswer`."""
    start, end = text.find("{"), text.rfind("}")  # Some models add a code fence or a sentence.
    try:
        return shape.model_validate_json(text[start : end + 1] if 0 <= start < end else text)
    except ValidationError as error:
        raise InvalidAnswer(
            f"{name} gave an answer that does not match the schema: {_problems(error)}.",
            text,
            usage,
        ) from None


def has_fields(text: str, shape: type[BaseModel]) -> bool:
    """Whether this is a JSON object with all fields, as from a server that enforces the schema."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and shape.model_fields.keys() <= value.keys()


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    paths = [".".join(str(part) for part in one["loc"]) for one in found]
    texts = [f"{path}: {one['msg']}" if path else one["msg"] for path, one in zip(paths, found)]
    more = f"; and {len(texts) - _MAX_PROBLEMS} more" if len(texts) > _MAX_PROBLEMS else ""
    return "; ".join(texts[:_MAX_PROBLEMS]) + more


def _closed(node: Any, lengths: bool) -> Any:
    if isinstance(node, list):
        return [_closed(item, lengths) for item in node]
    if not isinstance(node, dict):
        return node
    dropped = _ANNOTATIONS if lengths else (*_ANNOTATIONS, *_LENGTHS)
    schema = {key: _closed_value(key, value, lengths) for key, value in node.items()}
    schema = {key: value for key, value in schema.items() if key not in dropped}
    if "properties" in schema:
        schema["required"] = list(schema["properties"])
        schema["additionalProperties"] = False
    if lengths and schema.get("type") == "array":
        schema.setdefault("maxItems", _MAX_ITEMS)
    if lengths and schema.get("type") == "string" and not schema.keys() & _BOUNDED:
        schema.setdefault("maxLength", _MAX_CHARACTERS)
    return schema


def _closed_value(key: str, value: Any, lengths: bool) -> Any:
    """The value of a keyword. Names of fields are not keywords: a field may be called "title"."""
    if key in ("properties", "$defs"):
        return {name: _closed(schema, lengths) for name, schema in value.items()}
    return value if key in ("enum", "const", "required") else _closed(value, lengths)
