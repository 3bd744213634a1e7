"""Where settings come from: defaults, then a TOML file, then the environment, then flags.

Rule: a later layer wins, every value remembers its layer, and nothing unknown passes in silence.
All problems are told at once. An empty environment variable counts as not set.
"""

from __future__ import annotations

import builtins
import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import ValidationError

from actors.settings import ToolServerSettings
from web.settings.model import ServerSettings
from web.settings.problems import Problem, SettingsError, allowed, kind
from web.settings.tables import problem_in_table

PREFIX = "TERZETTO_"
CONFIG_VARIABLE = "TERZETTO_CONFIG"
FIELDS = ServerSettings.model_fields
TABLES = ("tools",)
"""Settings that are tables of tables, and stand in the file only."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A value given on the command line: under which flag, for which setting."""

    flag: str
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Valid settings, and for each of them where its value came from."""

    settings: ServerSettings
    origins: dict[str, str]


@dataclass(slots=True)
class _Layers:
    """The values found so far, the latest layer on top, and what was wrong with any of them."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, name: str, value: Any, origin: str, *, shown: str | None = None) -> None:
        """Take one value; `shown` is how its source spells an unknown name."""
        if name not in FIELDS:
            spelled = shown or name
            prefix = PREFIX if spelled.startswith(PREFIX) else ""
            hint = _did_you_mean(name, FIELDS, prefix)
            self.problems.append(Problem(spelled, str(value), origin, hint))
            return
        self.values[name] = value
        self.origins[name] = origin


def load_settings(
    flags: Iterable[Flag] = (),
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Read all layers; raises `SettingsError` with every problem found.

    `config` is the file that a flag named; without it the environment's `TERZETTO_CONFIG` counts,
    and without that the platform's place for it, if there is a file.
    """
    environment = os.environ if environment is None else environment
    layers = _Layers()
    _read_file(layers, config, environment)
    _read_environment(layers, environment)
    for flag in flags:
        layers.put(flag.name, _native(flag.name, flag.value), f"flag {flag.flag}")
    settings = _validate(layers)
    origins = {name: layers.origins.get(name, "default") for name in FIELDS}
    return LoadedSettings(settings, origins)


def default_config_file() -> Path:
    """Where a config file is looked for when nobody names one."""
    return user_config_path("terzetto", appauthor=False) / "config.toml"


def _read_file(layers: _Layers, config: Path | None, environment: Mapping[str, str]) -> None:
    named = config or (Path(text) if (text := environment.get(CONFIG_VARIABLE)) else None)
    said_by = "flag --config" if config else f"environment {CONFIG_VARIABLE}"
    path = (named or default_config_file()).expanduser().absolute()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            layers.problems.append(Problem("config", str(path), said_by, "There is no such file."))
        return
    except OSError as error:
        hint = f"It cannot be read: {error.strerror}."
        layers.problems.append(Problem("config", str(path), said_by, hint))
        return
    except ValueError as error:  # What is not TOML and what is not UTF-8.
        layers.problems.append(Problem(str(path), "", f"file {path}", f"It is not TOML: {error}."))
        return
    for name, value in table.items():
        if name == "data_dir" and isinstance(value, str):
            value = path.parent / Path(value).expanduser()  # A file's paths are its neighbours.
        if name == "agents" and isinstance(value, list):
            value = [_beside(path, one) if isinstance(one, str) else one for one in value]
        layers.put(name, value, f"file {path}")


def _beside(file: Path, agent: str) -> str:
    """An agent of one's own that is named by its file, which is a neighbour, too."""
    place, _, name = agent.rpartition(":")
    return f"{file.parent / Path(place).expanduser()}:{name}" if place.endswith(".py") else agent


def _read_environment(layers: _Layers, environment: Mapping[str, str]) -> None:
    for variable in sorted(environment):
        value = environment[variable]
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE and value:
            name = variable.removeprefix(PREFIX).lower()
            layers.put(name, _native(name, value), f"environment {variable}", shown=variable)


def _native(name: str, value: Any) -> Any:
    """A string from the environment or a flag, in the shape its setting wants."""
    if name == "data_dir" and isinstance(value, str | Path):
        return Path(value).expanduser().absolute()
    if not isinstance(value, str):
        return value
    match kind(FIELDS[name].annotation) if name in FIELDS else None:
        case builtins.tuple:
            return [part.strip() for part in value.split(",")]
        case builtins.dict:
            return dict(_pair(part) for part in value.split(","))
        case _:
            return value.strip()


def _pair(text: str) -> tuple[str, list[str]]:
    """`NAME=ONE/TWO`; names may hold nearly anything, and even an equals sign."""
    name, _, values = text.rpartition("=")
    return name.strip(), [part.strip() for part in values.split("/")]


def _validate(layers: _Layers) -> ServerSettings:
    for name, value in list(layers.values.items()):
        if isinstance(value, bool) and FIELDS[name].annotation is not bool:
            # Pydantic would take true for 1.
            layers.problems.append(_bad(layers, name, value, ""))
            del layers.values[name]
    try:
        settings = ServerSettings.model_validate(layers.values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        inner = [one for one in found if len(one["loc"]) > 1 and one["loc"][0] in TABLES]
        for one in inner:
            origin = layers.origins[str(one["loc"][0])]
            layers.problems.append(problem_in_table(one, ToolServerSettings, origin))
        outer = [one for one in found if one not in inner]
        for name, one in {str(one["loc"][0]): one for one in reversed(outer)}.items():
            reason = str(one["ctx"]["error"]) if one["type"] == "value_error" else ""
            layers.problems.append(_bad(layers, name, layers.values.get(name), reason))
    if layers.problems:
        raise SettingsError(layers.problems)
    return settings


def _bad(layers: _Layers, name: str, value: Any, reason: str) -> Problem:
    if isinstance(value, dict):
        value = ""  # There may be secrets in it.
    if isinstance(value, list):
        value = ", ".join(str(part) for part in value)
    if isinstance(value, dict):
        value = ", ".join(f"{key}={'/'.join(map(str, of))}" for key, of in value.items())
    because = f"{reason}. " if reason else ""
    hint = f"{because}Allowed: {allowed(FIELDS[name]).rstrip('.')}."
    return Problem(name, str(value), layers.origins.get(name, "default"), hint)


def _did_you_mean(name: str, known: Iterable[str], prefix: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        return "There is no such setting; `terzetto settings` lists them all."
    meant = f"{prefix}{near[0].upper()}" if prefix else near[0]
    return f"There is no such setting. Did you mean {meant}?"
