"""The secrets of a tool server: environment variables of its program, headers for its URL.

Rule: a value may contain environment variables, such as "Bearer ${NOTES_TOKEN}", so that no secret
has to stand in a file. A missing variable is an error before anything starts. No value is logged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from actors.errors import InvalidRequest
from actors.settings import ToolServerSettings

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MIN_HIDDEN = 6
"""Characters; a shorter value may occur in any text by chance."""


class UnusableToolServer(InvalidRequest):
    """The settings of a tool server are invalid. The operator's move: the message says what."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values as they are sent, by name."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hidden(self, text: str) -> str:
        """The text with the values replaced, as some servers send back what they received."""
        values = [*self.env.values(), *self.headers.values()]
        parts = {part for value in values for part in (value, *value.split())}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _MIN_HIDDEN:
                text = text.replace(part, "***")
        return text


def secrets_of(name: str, settings: ToolServerSettings, environment: Mapping[str, str]) -> Secrets:
    """The secrets from the settings of a server; raises `UnusableToolServer`."""
    env = {
        key: _expanded(value, f"tools.{name}.env.{key}", environment)
        for key, value in settings.env.items()
    }
    headers = {
        key: _expanded(value, f"tools.{name}.headers.{key}", environment).strip()
        for key, value in settings.headers.items()
    }
    for key, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise UnusableToolServer(
                f"tools.{name}.headers.{key} has characters that no header may have. Copy it again."
            )
    return Secrets(env, headers)


def _expanded(value: SecretStr, where: str, environment: Mapping[str, str]) -> str:
    """The value with its environment variables replaced."""

    def value_of(match: re.Match[str]) -> str:
        variable = match.group(1)
        if not environment.get(variable):
            raise UnusableToolServer(f"{where} needs the environment variable {variable}. Set it.")
        return environment[variable]

    return _VARIABLE.sub(value_of, value.get_secret_value())
