"""Settings in the environment: TERZETTO_NAME is a value, TERZETTO_NAME_FILE names a file that holds it.

Rule: a variable that is no setting is a warning, because other programs set variables, too. Those
that Kubernetes sets for services (`TERZETTO_SERVICE_HOST`, `TERZETTO_PORT=tcp://...`) are ignored. An
empty variable, or an empty file, counts as not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from web.settings.problems import SettingProblem, did_you_mean
from web.settings.values import expanded

PREFIX = "TERZETTO_"
CONFIG_VARIABLE = "TERZETTO_CONFIG"
KEY_VARIABLE = "TERZETTO_API_KEY"
KEY_FILE_VARIABLE = "TERZETTO_API_KEY_FILE"
NO_SETTINGS = (CONFIG_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE)
"""A key is no setting, since settings are shown."""
_FILE = "_FILE"

MAX_FILE_CHARACTERS = 1_048_576
"""The longest value that a file may hold: /dev/zero never ends."""

_SERVICE_LINK = re.compile(
    r"TERZETTO(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    r"|TERZETTO(_\w+)?_PORT=[a-z]+://.*"
)
"""What Kubernetes sets for each service. A person may have set TERZETTO_PORT=9000 and mean `bind`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting that the environment sets. A value from a file may be a secret."""

    name: str
    value: str
    origin: str
    from_file: bool = False


def read_environment(
    environment: Mapping[str, str], known: Mapping[str, object]
) -> Iterator[Variable | SettingProblem | str]:
    """The settings, problems and warnings of the environment; `known` has the names of settings."""
    for variable in sorted(environment):
        value = environment[variable]
        if not (variable.startswith(PREFIX) and value) or variable in NO_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        holder = name.removesuffix(_FILE.lower())
        if name in known:
            yield Variable(name, value, f"environment {variable}")
        elif holder in known and holder != name:
            if environment.get(plain := variable[: -len(_FILE)]):
                hint = f"{plain} is set as well. Set one of them."
                yield SettingProblem(variable, value, "environment", hint)
            else:
                yield from _from_file(holder, variable, expanded(Path(value)))
        elif not _SERVICE_LINK.fullmatch(f"{variable}={value}"):
            suffix = _FILE.lower() if holder != name else ""
            hint = did_you_mean(name, (one + suffix for one in known), PREFIX)
            yield f"The variable {variable} is ignored. {hint}"


def _from_file(name: str, variable: str, path: Path) -> Iterator[Variable | SettingProblem]:
    origin = f"environment {variable}"
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE_CHARACTERS + 1)
    except UnicodeDecodeError:
        yield SettingProblem(variable, str(path), "environment", "The file is not UTF-8.")
    except OSError as error:
        hint = f"The file cannot be read: {error.strerror}."
        yield SettingProblem(variable, str(path), "environment", hint)
    else:
        if len(text) > MAX_FILE_CHARACTERS:
            hint = f"The file holds more than {MAX_FILE_CHARACTERS:,} characters."
            yield SettingProblem(variable, str(path), "environment", hint)
        elif value := text.rstrip("\r\n"):
            yield Variable(name, value, origin, from_file=True)
