"""The sources of settings: defaults, then a TOML file, then the environment, then flags.

Rule: a later source wins, every value keeps the name of its source, and an unknown name is a
problem. All problems are reported at once. An empty environment variable counts as not set.
"""

from __future__ import annotations

import builtins
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
from web.settings.problems import (
    SettingProblem,
    SettingsError,
    allowed,
    kind,
    nearest,
    problem_in_table,
)

PREFIX = "TERZETTO_"
CONFIG_VARIABLE = "TERZETTO_CONFIG"
KEY_VARIABLE = "TERZETTO_API_KEY"
KEY_FILE_VARIABLE = "TERZETTO_API_KEY_FILE"
NO_SETTINGS = (CONFIG_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE)
"""A key is no setting, since settings are shown."""

FIELDS = ServerSettings.model_fields
TABLES = ("tools",)
"""Settings that are tables of tables, which only a file can hold."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A value from the command line: its flag and its setting."""

    flag: str
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Valid settings, and the source of each value."""

    settings: ServerSettings
    origins: dict[str, str]


@dataclass(slots=True)
class _Layers:
    """The values so far, of each setting that of the latest source, and the problems found."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[SettingProblem] = field(default_factory=list)

    def put(self, name: str, value: Any, origin: str, *, shown: str | None = None) -> None:
        """Set a value; `shown` is the spelling of its name in its source."""
        if name not in FIELDS:
            spelled = shown or name
            prefix = PREFIX if spelled.startswith(PREFIX) else ""
            hint = _did_you_mean(name, FIELDS, prefix)
            self.problems.append(SettingProblem(spelled, str(value), origin, hint))
            return
        self.values[name] = value
        self.origins[name] = origin


def load_settings(
    flags: Iterable[Flag] = (),
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Read all sources; raises `SettingsError` with every problem found.

    `config` is the file that a flag names. Without it the environment's `TERZETTO_CONFIG` names the
    file, and without that the file at the platform's place for it is read, if there is one.
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
    """The config file that is read if none is named."""
    return user_config_path("terzetto", appauthor=False) / "config.toml"


def _read_file(layers: _Layers, config: Path | None, environment: Mapping[str, str]) -> None:
    named = config or (Path(text) if (text := environment.get(CONFIG_VARIABLE)) else None)
    origin = "flag --config" if config else f"environment {CONFIG_VARIABLE}"
    path = (named or default_config_file()).expanduser().absolute()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            layers.problems.append(
                SettingProblem("config", str(path), origin, "There is no such file.")
            )
        return
    except OSError as error:
        hint = f"It cannot be read: {error.strerror}."
        layers.problems.append(SettingProblem("config", str(path), origin, hint))
        return
    except ValueError as error:  # The file is not TOML or not UTF-8.
        layers.problems.append(
            SettingProblem(str(path), "", f"file {path}", f"It is not TOML: {error}.")
        )
        return
    for name, value in table.items():
        if name == "data_dir" and isinstance(value, str):
            value = (
                path.parent / Path(value).expanduser()
            )  # Paths are relative to the file's folder.
        if name == "agents" and isinstance(value, list):
            value = [_beside(path, one) if isinstance(one, str) else one for one in value]
        layers.put(name, value, f"file {path}")


def _beside(file: Path, agent: str) -> str:
    """A plugin that is named by its file; the path is relative to the config file's folder."""
    place, _, name = agent.rpartition(":")
    return f"{file.parent / Path(place).expanduser()}:{name}" if place.endswith(".py") else agent


def _read_environment(layers: _Layers, environment: Mapping[str, str]) -> None:
    for variable in sorted(environment):
        value = environment[variable]
        if variable.startswith(PREFIX) and variable not in NO_SETTINGS and value:
            name = variable.removeprefix(PREFIX).lower()
            layers.put(name, _native(name, value), f"environment {variable}", shown=variable)


def _native(name: str, value: Any) -> Any:
    """A string from the environment or a flag as a value of the type of its setting."""
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
    """`NAME=ONE/TWO`; a name may contain nearly any character, even an equals sign."""
    name, _, values = text.rpartition("=")
    return name.strip(), [part.strip() for part in values.split("/")]


def _validate(layers: _Layers) -> ServerSettings:
    for name, value in list(layers.values.items()):
        if isinstance(value, bool) and FIELDS[name].annotation is not bool:
            # Pydantic would accept true as 1.
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


def _bad(layers: _Layers, name: str, value: Any, reason: str) -> SettingProblem:
    if isinstance(value, dict):
        value = ""  # It may contain secrets.
    if isinstance(value, list):
        value = ", ".join(str(part) for part in value)
    because = f"{reason}. " if reason else ""
    hint = f"{because}Allowed: {allowed(FIELDS[name]).rstrip('.')}."
    return SettingProblem(name, str(value), layers.origins.get(name, "default"), hint)


def _did_you_mean(name: str, known: Iterable[str], prefix: str) -> str:
    near = nearest(name, known)
    if near is None:
        return "There is no such setting; `terzetto settings` lists them all."
    meant = f"{prefix}{near.upper()}" if prefix else near
    return f"There is no such setting. Did you mean {meant}?"
