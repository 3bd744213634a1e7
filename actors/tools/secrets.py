"""What a tool server is given that nobody else may see: variables of its program, headers for its URL.

Rule: a value may name environment variables, such as "Bearer ${NOTES_TOKEN}", so that no secret has
to stand in a file. One that is missing is told before anything starts. No value is shown or logged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from actors.errors import InvalidRequest
from actors.settings import ToolServerSettings

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FEWEST_HIDDEN = 6
"""Characters; what is shorter stands in any text by chance."""


class UnusableToolServer(InvalidRequest):
    """The settings of a tool server cannot be used. The operator's move: the message tells what."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values as they are sent, by name."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hidden(self, text: str) -> str:
        """The text of a message without any of them, as some servers say back what they were sent."""
        values = [*self.env.values(), *self.headers.values()]
        parts = {part for value in values for part in (value, *value.split())}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _FEWEST_HIDDEN:
                text = text.replace(part, "***")
        return text


def secrets_of(name: str, settings: ToolServerSettings, environment: Mapping[str, str]) -> Secrets:
    """What the settings of a server give it; raises `UnusableToolServer`."""
    env = {
        key: _filled(value, f"tools.{name}.env.{key}", environment)
        for key, value in settings.env.items()
    }
    headers = {
        key: _filled(value, f"tools.{name}.headers.{key}", environment).strip()
        for key, value in settings.headers.items()
    }
    for key, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise UnusableToolServer(
                f"tools.{name}.headers.{key} has characters that no header has. Copy it anew."
            )
    return Secrets(env, headers)


def _filled(value: SecretStr, where: str, environment: Mapping[str, str]) -> str:
    """The value with the variables that it names."""

    def of(found: re.Match[str]) -> str:
        variable = found.group(1)
        if not environment.get(variable):
            raise UnusableToolServer(f"{where} needs the environment variable {variable}. Set it.")
        return environment[variable]

    return _VARIABLE.sub(of, value.get_secret_value())
