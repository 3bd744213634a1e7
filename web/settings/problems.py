"""Problems of settings: what is wrong with a value, and what is allowed instead.

Rule: a problem names the setting, its value, the source of the value, and what is allowed there. In
a table such as `[tools.NAME]` it names the table and the key, and shows no value that may be secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One value that cannot be used. `hint` says what is allowed."""

    name: str
    value: str
    origin: str
    hint: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 80 else self.value[:79] + "…"
        shown = f"{self.name} = {value}" if value else self.name
        return f"{shown}  ({self.origin})\n    {self.hint}"


class SettingsError(Exception):
    """The settings cannot be used. The person's move: correct what `problems` names."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def allowed(field: FieldInfo) -> str:
    """The values that a setting allows, in words: "a whole number from 1 to 65,536"."""
    of = kind(field.annotation)
    if of is tuple and kind(get_args(field.annotation)[0]) is str:
        return f"{(field.description or 'texts').rstrip('.')}; separated by commas, or a list"
    if of is tuple:
        return "numbers of seconds from 0 to 3,600, separated by commas, or a list"
    if of is Path:
        return "a folder"
    if of in (str, dict, Mapping):
        return field.description or "text"
    if of is bool:
        return "true or false"
    noun = "a whole number" if of is int else "a number"
    return f"{noun} from {_bound(field, Ge, 'ge')} to {_bound(field, Le, 'le')}"


def kind(annotation: Any) -> Any:
    """The plain type behind an annotation: `tuple` of `tuple[str, ...] | None`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kind(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return kind(next(part for part in get_args(annotation) if part is not type(None)))
    return origin or annotation


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is probably a misspelling of."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """What to say about a name that is no setting; `prefix` is that of an environment variable."""
    near = nearest(name, known)
    if near is None:
        return "There is no such setting; `terzetto settings` lists them all."
    meant = f"{prefix}{near.upper()}" if prefix else near
    return f"There is no such setting. Did you mean {meant}?"


def problem_in_table(
    error: Mapping[str, Any], table: type[BaseModel], origin: str
) -> SettingProblem:
    """The problem that pydantic found in a table of this kind."""
    path = [str(part) for part in error["loc"]]
    key = path[2] if len(path) > 2 else ""
    name, value = ".".join(path), ""
    field = table.model_fields.get(key)
    if key == "[key]":
        name = ".".join(path[:2])
        hint = "A name has letters, digits, dots, hyphens and underscores, 64 at most."
    elif error["type"] == "value_error":
        hint = f"{error['ctx']['error']}."
    elif field is None:
        hint = _unknown_key(key, table)
    else:
        is_secret = SecretStr.__name__ in str(field.annotation)
        value = str(error["input"]) if _is_plain(error["input"]) and not is_secret else ""
        hint = f"Allowed: {allowed(field).rstrip('.')}."
    return SettingProblem(name, value, origin, hint)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def without_secrets(table: BaseModel) -> dict[str, Any]:
    """The values of a table; of a mapping with secrets only the keys."""
    shown = {}
    for name, value in table:
        secret = isinstance(value, Mapping) and any(
            isinstance(v, SecretStr) for v in value.values()
        )
        shown[name] = sorted(value) if secret else value
    return shown


def _unknown_key(key: str, table: type[BaseModel]) -> str:
    if not key:
        return "This is a table: [tools.NAME] and its keys below it."
    near = nearest(key, table.model_fields)
    meant = f" Did you mean {near}?" if near else ""
    return f"There is no such key; there are {', '.join(table.model_fields)}.{meant}"


def _bound(field: FieldInfo, kind: type[Ge | Le], name: str) -> str:
    limit = next(getattr(rule, name) for rule in field.metadata if isinstance(rule, kind))
    return f"{limit:,}"
