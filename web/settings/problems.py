"""What is wrong with the settings, said so that it can be put right.

Rule: a problem names the setting, its value, where the value came from, and what is allowed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

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
    of = kind(field.annotation)
    if of is tuple and kind(get_args(field.annotation)[0]) is str:
        return f"{(field.description or 'texts').rstrip('.')}; separated by commas"
    if of is tuple:
        return "numbers of seconds from 0 to 3,600, separated by commas"
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


def _bound(field: FieldInfo, kind: type[Ge | Le], name: str) -> str:
    limit = next(getattr(rule, name) for rule in field.metadata if isinstance(rule, kind))
    return f"{limit:,}"
