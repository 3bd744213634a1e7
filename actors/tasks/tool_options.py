"""Tool options: the tools and plugins that a plan may call besides the library.

Rule: pure data. The options are fixed before a plan is made, and a plan cannot add any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.tasks.plan import Question

_RESTRICTED = frozenset({"enum", "const", "pattern", "format"})
"""Keys in the schema of a string that does not take just any text."""

MAX_LINE = 120


@dataclass(frozen=True, slots=True)
class ToolOption:
    """A tool or a plugin; `schema` is the JSON schema of its arguments.

    `argument` is the name of its one required text; None: it needs other arguments, so only a model
    can call it. `when` holds words of the questions that it is for; empty: all questions. With
    `spoken` it gets the question as a sentence, else as search terms. With `left_to_model` a model
    that makes the plan decides alone whether it is called.
    """

    name: str
    does: str
    argument: str | None
    when: tuple[str, ...] = ()
    spoken: bool = True
    schema: Mapping[str, Any] = field(default_factory=dict)
    left_to_model: bool = False

    def arguments(self, question: Question) -> dict[str, str]:
        """Its arguments for a question, if one text is all that it needs."""
        return (
            {self.argument: question.text if self.spoken else question.query}
            if self.argument
            else {}
        )


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """A call that a model has chosen, for the question with this index (from 0).

    Without arguments it is called with the question.
    """

    question: int
    tool_option: ToolOption
    arguments: Mapping[str, Any] | None


def spelled(arguments: Mapping[str, Any]) -> str:
    """The arguments on one line for people: printable, at most `MAX_LINE` characters."""
    named = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    line = " ".join("".join(c if c.isprintable() else " " for c in named).split())
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def question_argument(schema: Mapping[str, Any]) -> str | None:
    """The name of the only required argument, if that is free text."""
    required = schema.get("required")
    properties = schema.get("properties")
    if not (isinstance(required, list) and isinstance(properties, dict) and len(required) == 1):
        return None
    name = required[0]
    argument = properties.get(name) if isinstance(name, str) else None
    if not isinstance(argument, dict) or argument.get("type") != "string":
        return None
    return name if _RESTRICTED.isdisjoint(argument) else None
