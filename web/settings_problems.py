"""What is wrong with the settings, said so that it can be put right.

Rule: a problem names the setting, its value, where the value came from, and what is allowed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be used. `hint` says what would be right."""

    name: str
    value: str
    origin: str
    hint: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 80 else self.value[:79] + "…"
        shown = f"{self.name} = {value}" if value else self.name
        return f"{shown}  ({self.origin})\n    {self.hint}"


class SettingsError(Exception):
    """The settings cannot be used. The person's move: put right what `problems` names."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def allowed(field: FieldInfo) -> str:
    """What a setting takes, in words: "a whole number from 1 to 65,536"."""
    kind = _kind(field.annotation)
    if kind is tuple:
        return "numbers of seconds from 0 to 3,600, separated by commas"
    if kind is Path:
        return "a folder"
    if kind is str:
        return field.description or "text"
    if kind is bool:
        return "true or false"
    noun = "a whole number" if kind is int else "a number"
    return f"{noun} from {_bound(field, Ge, 'ge')} to {_bound(field, Le, 'le')}"


def _kind(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return origin or annotation


def _bound(field: FieldInfo, kind: type[Ge | Le], name: str) -> str:
    limit = next(getattr(rule, name) for rule in field.metadata if isinstance(rule, kind))
    return f"{limit:,}"
