"""What `terzetto settings` prints: every setting, its value and its origin.

Rule: a value is printed in the form that flags and environment variables take. Of a table, such as
a plugin or a tool server, only the name is printed, because the rest may contain secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.settings.problems import allowed, without_secrets
from web.settings.sources import FIELDS, LoadedSettings
from web.terminal import printable


def print_settings(loaded: LoadedSettings, console: Console) -> None:
    """Print a table; the origin of each value that is not a default is highlighted."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Name", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("From", overflow="fold")
    for name, origin in loaded.origins.items():
        style = "dim" if origin == "default" else "cyan"
        value = _typed(getattr(loaded.settings, name))
        table.add_row(name, Text(printable(value)), Text(printable(origin), style=style))
    console.print(table)


def settings_json(loaded: LoadedSettings) -> str:
    """One JSON object with the value, origin, description and allowed values of each setting."""
    rows = {
        name: {
            "value": _plain(getattr(loaded.settings, name)),
            "origin": origin,
            "description": FIELDS[name].description,
            "allowed": allowed(FIELDS[name]),
        }
        for name, origin in loaded.origins.items()
    }
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _typed(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(str(part) for part in value)
        case Mapping():
            return ",".join(_entry(name, entry) for name, entry in value.items())
        case _:
            return str(value)


def _entry(name: str, entry: Any) -> str:
    """A price as it is typed; of a table, only its name."""
    return f"{name}={entry[0]}/{entry[1]}" if isinstance(entry, tuple) else name


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: without_secrets(entry) if isinstance(entry, BaseModel) else entry
            for name, entry in value.items()
        }
    return str(value) if isinstance(value, Path) else value
