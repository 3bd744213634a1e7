"""Tool options: the tools and plugins that a plan may call besides the library.

Rule: pure data. The options are fixed before a plan is made, and a plan cannot add any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.tasks.plan import Question

_RESTRICTED = frozenset({"enum", "const", "pattern", "format"})
"""Keys in the schema of a string that does not take just any text."""

_NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ASKING = frozenset(
    [
        "question",
        "query",
        "q",
        "text",
        "prompt",
        "search",
        "message",
        "keyword",
        "keywords",
        "term",
        "terms",
        "topic",
        "phrase",
    ]
)
_PLAIN = frozenset(("string", "str", "input", "value"))
"""Last parts of a name that add nothing, as in `search_string`."""

_DESCRIBED = re.compile(
    r"(?:(?!(?:to|of|for|in|with|by|from|and|or)\b)[\w'’-]+\s+){0,4}?"
    r"(?:questions?|query|queries|prompt|text|keywords?|search\s+(?:terms?|words?|phrases?|strings?))"
    r"(?:\s+(?:string|terms?|words?|text))?"
    r"(?:\s*(?:$|[^\w\s])|\s+(?:to|for|that|which|in|about|as|or|and|from|you|used|describing)\b)",
    re.IGNORECASE,
)
"""A description that begins with such a thing: "The user's question", but not "The text file"."""

MAX_LINE = 120


@dataclass(frozen=True, slots=True)
class ToolOption:
    """A tool or a plugin; `schema` is the JSON schema of its arguments.

    `argument` is the name of its one required text; None: it needs other arguments, so only a model
    can call it. `when` holds words of the questions that it is for; empty: all questions. With
    `spoken` it gets the question as a sentence, else as search terms. With `left_to_model` a model
    that makes the plan decides alone whether it is called. `listed` is false for a tool of the
    settings whose server could not list it: then nothing is known of it, but that it must be asked.
    """

    name: str
    does: str
    argument: str | None
    when: tuple[str, ...] = ()
    spoken: bool = True
    schema: Mapping[str, Any] = field(default_factory=dict)
    left_to_model: bool = False
    listed: bool = True

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
    """The only required argument, if it is free text that a question can be, by name or description.

    A tool that needs a path or a city is not called with a sentence.
    """
    name = text_argument(schema)
    if name is None:
        return None
    *_, last = parts = [part.lower() for part in _NAME_PART.findall(name)] or [""]
    if last in _ASKING or (last in _PLAIN and not _ASKING.isdisjoint(parts)):
        return name
    described = schema["properties"][name].get("description")
    return name if isinstance(described, str) and _DESCRIBED.match(described.strip()) else None


def text_argument(schema: Mapping[str, Any]) -> str | None:
    """The only required argument, if it is free text."""
    required = schema.get("required")
    properties = schema.get("properties")
    if not (isinstance(required, list) and isinstance(properties, dict) and len(required) == 1):
        return None
    name = required[0]
    argument = properties.get(name) if isinstance(name, str) else None
    if not isinstance(argument, dict) or argument.get("type") != "string":
        return None
    return name if _RESTRICTED.isdisjoint(argument) else None
