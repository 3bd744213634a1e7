"""Whether the arguments of a call are what a tool's schema asks for.

Rule: the schema is another program's, so its check is bounded: none of its regular expressions is
run, nothing it refers to is fetched, and it has a limit of steps. The tool's server checks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import referencing
from jsonschema import Draft202012Validator
from jsonschema.validators import extend, validator_for

from actors.tools.results import on_one_line

MOST_STEPS = 4_000
"""Keywords of a schema that are looked at for one call; a tenth of a second at worst."""

_LEFT_TO_THE_SERVER = (
    "pattern",
    "patternProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
)
"""What runs regular expressions, or takes more than one step without being counted."""

_UNREADABLE = "the schema of its arguments cannot be read"
_NOTHING_ELSEWHERE: referencing.Registry[Any] = referencing.Registry()

Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


class _TooManySteps(Exception):
    """The check takes longer than any honest schema does."""


def wrong_with(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What is wrong with these arguments, in words; nothing if they fit.

    It may take a while, so it belongs in a thread.
    """
    try:
        dialect = validator_for(schema, default=Draft202012Validator)
        dialect.check_schema(schema)
        checks = _bounded(dialect)(schema, registry=_NOTHING_ELSEWHERE)
        first = next(checks.iter_errors(dict(arguments)), None)
    except Exception:  # noqa: BLE001 - a schema may be made to break the library in any way.
        return _UNREADABLE
    if first is None:
        return ""
    at = ".".join(str(part) for part in first.absolute_path)
    return on_one_line(f"{at}: {first.message}" if at else first.message)


def _bounded(dialect: Any) -> Any:
    """The validator of a dialect of JSON schema, without what has no bound, and counting."""
    left = MOST_STEPS

    def counted(check: Keyword) -> Keyword:
        def one(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooManySteps
            return check(validator, value, instance, schema)

        return one

    checks = {name: counted(check) for name, check in dialect.VALIDATORS.items()}
    checks |= dict.fromkeys(_LEFT_TO_THE_SERVER, _not_looked_at)
    checks["additionalProperties"] = _unless_by_pattern(checks["additionalProperties"])
    return extend(dialect, checks)


def _not_looked_at(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    return None


def _unless_by_pattern(check: Keyword) -> Keyword:
    """Which properties are additional is said by regular expressions, too, if there are any."""

    def one(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        by_pattern = "patternProperties" in schema
        return None if by_pattern else check(validator, value, instance, schema)

    return one
