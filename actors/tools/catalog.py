"""What a tool is to the rest of Terzetto.

Rule: pure, and without the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.tasks.tool_options import ToolOption, question_argument

_SPOKEN = frozenset({"question", "prompt", "message"})
"""Arguments that want a sentence. Any other is taken for words to search for."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called; `schema` is the JSON schema of its arguments.

    `when` holds words of questions for which it is asked whatever a model decides.
    """

    server: str
    name: str
    description: str
    schema: Mapping[str, Any]
    when: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """ "server/tool", as in a plan."""
        return f"{self.server}/{self.name}"

    def tool_option(self) -> ToolOption:
        """How plans see it."""
        name = question_argument(self.schema)
        return ToolOption(
            self.full_name,
            self.description,
            name,
            self.when,
            spoken=name is not None and name.lower() in _SPOKEN,
            schema=self.schema,
            left_to_model=not self.when,
        )


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The text of a result. `passed_over` names what else there was; `cut`: text was left off."""

    text: str
    passed_over: tuple[str, ...] = ()
    cut: bool = False
