"""Settings that are tables in the TOML file, such as `[tools.NAME]`.

Rule: a problem names the table and the key. Values that may be secret are neither told nor shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from web.settings.problems import Problem, allowed


def problem_in_table(error: Mapping[str, Any], table: type[BaseModel], origin: str) -> Problem:
    """What pydantic found wrong within a table of this kind."""
    path = [str(part) for part in error["loc"]]
    key = path[2] if len(path) > 2 else ""
    if key == "[key]":
        hint = "A name has letters, digits, dots, hyphens and underscores, 64 at most."
        return Problem(".".join(path[:2]), "", origin, hint)
    if error["type"] == "value_error":
        return Problem(".".join(path), "", origin, f"{error['ctx']['error']}.")
    field = table.model_fields.get(key)
    if field is None:
        return Problem(".".join(path), "", origin, _unknown(key, table))
    given = error["input"] if isinstance(error["input"], str | int | float) else ""
    value = "" if SecretStr.__name__ in str(field.annotation) else str(given)
    return Problem(".".join(path), value, origin, f"Allowed: {allowed(field).rstrip('.')}.")


def public(table: BaseModel) -> dict[str, Any]:
    """A table for everybody's eyes: of a mapping with secrets, only the keys."""
    shown = {}
    for name, value in table:
        secret = isinstance(value, Mapping) and any(
            isinstance(v, SecretStr) for v in value.values()
        )
        shown[name] = sorted(value) if secret else value
    return shown


def _unknown(key: str, table: type[BaseModel]) -> str:
    if not key:
        return "This is a table: [tools.NAME] and its keys below it."
    near = difflib.get_close_matches(key, table.model_fields, n=1, cutoff=0.6)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"There is no such key; there are {', '.join(table.model_fields)}.{meant}"
