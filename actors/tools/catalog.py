"""What a tool and its result are to the rest of Terzetto.

Rule: pure, and without the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.tasks.tool_options import ToolOption, question_argument

_SPOKEN = frozenset({"question", "prompt", "message"})
"""Arguments that take a sentence. Any other argument takes search words."""

MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called; `schema` is the JSON schema of its arguments.

    It is called for every question with a word of `when`, even if a model does not choose it.
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
        """The tool as an option for a plan."""
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
    """The text of a result. `omitted` names its other content; `cut`: text was cut off.

    `error` says what the tool answered if its answer was an error. Such an answer is an answer: the
    same call would get it again.
    """

    text: str
    omitted: tuple[str, ...] = ()
    cut: bool = False
    error: str = ""


def on_one_line(text: str) -> str:
    """A text from a tool server for a message: short, and without control characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_MESSAGE_CHARACTERS])
    line = " ".join(line.split())
    most = MAX_MESSAGE_CHARACTERS
    return line if len(line) <= most else f"{line[: most - 1]}…"
