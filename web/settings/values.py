"""Values of settings that are written as text, in the environment or on the command line.

Rule: a list or a table may be written as in the TOML file or as JSON; a list also as its parts between
commas. What is neither stays text, and validation says what is wrong with it.
"""

from __future__ import annotations

import builtins
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from web.settings.problems import kind


def native(name: str, field: FieldInfo | None, value: Any) -> Any:
    """A text as a value of the type of its setting; anything else as it is."""
    if name == "data_dir" and isinstance(value, str | Path):
        return expanded(Path(value)).absolute()
    if not isinstance(value, str):
        return value
    text = value.strip()
    match kind(field.annotation) if field else None:
        case builtins.tuple:
            listed = _literal(text) if text.startswith("[") else None
            return [part.strip() for part in text.split(",")] if listed is None else listed
        case builtins.dict:
            table = _literal(text) if text.startswith("{") else None
            return dict(_pair(part) for part in text.split(",")) if table is None else table
        case of if of is Mapping:
            table = _literal(text) if text.startswith("{") else None
            return text if table is None else table
        case _:
            return text


def expanded(path: Path) -> Path:
    """The path with `~` replaced. If there is no such home, the path as it is, as in a shell."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _literal(text: str) -> Any:
    """The value of a JSON or TOML literal; None if the text is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return None


def _pair(text: str) -> tuple[str, list[str]]:
    """`NAME=ONE/TWO`; a name may contain nearly any character, even an equals sign."""
    name, _, values = text.rpartition("=")
    return name.strip(), [part.strip() for part in values.split("/")]
