"""What a tool is to the rest of Terzetto, and whether a question is all that it needs.

Rule: pure, and without the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.tasks.plan import Helper

_SPOKEN = frozenset({"question", "prompt", "message"})
"""Arguments that want a sentence. Any other is taken for words to search for."""

_CHOSEN = frozenset({"enum", "const", "pattern", "format"})
"""What stands in the schema of a string that cannot be just any text."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called; `schema` is the JSON schema of its arguments."""

    server: str
    name: str
    description: str
    schema: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """ "server/tool", as in a plan."""
        return f"{self.server}/{self.name}"

    @property
    def question_argument(self) -> str | None:
        """The one argument that it requires, if that is free text, so that a question will do."""
        required = self.schema.get("required")
        properties = self.schema.get("properties")
        if not (isinstance(required, list) and isinstance(properties, dict) and len(required) == 1):
            return None
        name = required[0]
        argument = properties.get(name) if isinstance(name, str) else None
        if not isinstance(argument, dict) or argument.get("type") != "string":
            return None
        return name if _CHOSEN.isdisjoint(argument) else None

    def helper(self) -> Helper:
        """How plans see it."""
        name = self.question_argument
        spoken = name is not None and name.lower() in _SPOKEN
        return Helper(self.full_name, self.description, name, spoken=spoken)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The text of a result. `passed_over` names what else there was; `cut`: text was left off."""

    text: str
    passed_over: tuple[str, ...] = ()
    cut: bool = False
