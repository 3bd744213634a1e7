"""Whom a plan may ask besides the library: tools of other programs, and agents of a person's own.

Rule: pure, and data. Who may be asked is settled before a plan is made, and a plan cannot add to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.tasks.plan import Question

_CHOSEN = frozenset({"enum", "const", "pattern", "format"})
"""What stands in the schema of a string that cannot be just any text."""

MOST_SPELLED = 120


@dataclass(frozen=True, slots=True)
class ToolOption:
    """A tool or an agent of a person's own; `schema` is the JSON schema of what it is asked.

    `argument` is the name of the one text that it must be asked with; None: it wants more than that,
    and only a model can ask it. `when` holds words of questions that it is for; empty: of all.
    It is asked in a sentence if it is `spoken` to, else in words to search for. If it is
    `left_to_model`, a model that makes the plan decides alone whether it is asked.
    """

    name: str
    does: str
    argument: str | None
    when: tuple[str, ...] = ()
    spoken: bool = True
    schema: Mapping[str, Any] = field(default_factory=dict)
    left_to_model: bool = False

    def arguments(self, question: Question) -> dict[str, str]:
        """What to ask it on a question, if a text is all that it wants."""
        return (
            {self.argument: question.text if self.spoken else question.query}
            if self.argument
            else {}
        )


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """A call that a model has chosen: whom, with what, and for which question, counted from 0.

    Without arguments the question is what it is asked.
    """

    question: int
    tool_option: ToolOption
    arguments: Mapping[str, Any] | None


def spelled(arguments: Mapping[str, Any]) -> str:
    """The arguments on a line for people: no longer than `MOST_SPELLED`, and nothing unprintable."""
    named = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    line = " ".join("".join(c if c.isprintable() else " " for c in named).split())
    return line if len(line) <= MOST_SPELLED else f"{line[: MOST_SPELLED - 1]}…"


def question_argument(schema: Mapping[str, Any]) -> str | None:
    """The one argument that it requires, if that is free text, so that a question will do."""
    required = schema.get("required")
    properties = schema.get("properties")
    if not (isinstance(required, list) and isinstance(properties, dict) and len(required) == 1):
        return None
    name = required[0]
    argument = properties.get(name) if isinstance(name, str) else None
    if not isinstance(argument, dict) or argument.get("type") != "string":
        return None
    return name if _CHOSEN.isdisjoint(argument) else None
