"""Validate the arguments of a tool call against the tool's JSON schema.

Rule: the schema comes from another program, so validation is bounded: no regular expression of it
is run, no reference is fetched, and the number of steps has a limit. The tool server validates
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import referencing
from jsonschema import Draft202012Validator
from jsonschema.validators import extend, validator_for

from actors.tools.catalog import on_one_line

MAX_STEPS = 4_000
"""Keywords of a schema that are evaluated for one call; a tenth of a second at worst."""

_NOT_EVALUATED = (
    "pattern",
    "patternProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
)
"""Keywords with regular expressions, or with work that the count of steps would miss."""

_UNREADABLE = "the schema of its arguments cannot be read"
_NO_REFERENCES: referencing.Registry[Any] = referencing.Registry()

Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


class _TooManySteps(Exception):
    """The schema needs more steps than `MAX_STEPS`."""


def argument_problem(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Why the arguments are invalid, in words; empty if they are valid.

    Run it in a thread, as it may take a while.
    """
    try:
        dialect = validator_for(schema, default=Draft202012Validator)
        dialect.check_schema(schema)
        checks = _bounded(dialect)(schema, registry=_NO_REFERENCES)
        first = next(checks.iter_errors(dict(arguments)), None)
    except Exception:  # noqa: BLE001 - a schema can make the library raise anything.
        return _UNREADABLE
    if first is None:
        return ""
    path = ".".join(str(part) for part in first.absolute_path)
    return on_one_line(f"{path}: {first.message}" if path else first.message)


def _bounded(dialect: Any) -> Any:
    """The validator of a dialect of JSON schema that counts steps and skips unbounded keywords."""
    left = MAX_STEPS

    def counted(check: Keyword) -> Keyword:
        def one(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooManySteps
            return check(validator, value, instance, schema)

        return one

    checks = {name: counted(check) for name, check in dialect.VALIDATORS.items()}
    checks |= dict.fromkeys(_NOT_EVALUATED, _skip)
    checks["additionalProperties"] = _unless_patterns(checks["additionalProperties"])
    return extend(dialect, checks)


def _skip(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    return None


def _unless_patterns(check: Keyword) -> Keyword:
    """Skip the keyword if regular expressions also decide which properties are additional."""

    def one(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        has_patterns = "patternProperties" in schema
        return None if has_patterns else check(validator, value, instance, schema)

    return one
