"""The tool agent: calls a tool of another program, and makes passages of its result.

Rule: it decides nothing. The request names the tool and its arguments, and the settings say which
tools may be called. Every word of a passage is the tool's own; the passage names the tool and the
arguments as its place, so that it can be weighed and cited like a passage of a document. What a tool
says of its own failure is not a passage: the evidence names it as missed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import trio

from actors.errors import ToolFailed
from actors.library.parsing.blocks import Block, collapsed, storable
from actors.library.parsing.formats.plain_text import parse_text
from actors.library.parsing.inline import excerpts_of, indexed_text, passages_of
from actors.messages import CallTool
from actors.runtime import Call, contained
from actors.tasks.evidence import Evidence
from actors.tasks.failure import Failure
from actors.tasks.tool_options import spelled
from actors.tools import Tools
from actors.tools.catalog import ToolResult

log = logging.getLogger(__name__)

MAX_DEPTH = 32
"""Levels of nested JSON in a result that are read."""


class ToolAgent:
    """Calls a tool for evidence on a question.

    Failure mode: empty evidence, as for the retriever. An error that the tool answers with is not
    retried, because it is an answer: the evidence then says what the tool answered. A retry calls the tool with the same key, by
    which the tool can recognise the earlier attempt; only the tool knows if it acted twice.
    """

    name = "tool"
    does = "Calls tools of other programs for passages on a question."

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def handle(self, request: CallTool, call: Call[Any]) -> Evidence:
        """The tool's result as evidence, in its order; empty if it has no text."""
        with contained(f"the tool {request.name}", partial(_failed, request.name)):
            if not request.arguments:  # Its server could not list it when the plan was made.
                arguments = await self._tools.arguments(request.name, request.question)
                request = replace(request, arguments=arguments)
            result = await self._tools.call(request.name, request.arguments, request.key)
        if result.error:
            return Evidence(request.question, missed=(Failure(ToolFailed.code, result.error),))
        if result.omitted:
            log.info("of %s left out: %s", request.name, ", ".join(result.omitted))
        read = partial(_evidence, request, result)
        return await trio.to_thread.run_sync(read)


def _failed(tool: str, fault: BaseException) -> ToolFailed:
    kind = type(fault).__name__
    return ToolFailed(f"The tool {tool} failed ({kind}); the log says more.")


def _evidence(request: CallTool, result: ToolResult) -> Evidence:
    """The passages and excerpts of a result. Called in a thread, because a result may be long."""
    section = _section(request.arguments, result)
    document_id = f"tool:{request.name}:{_hash(request.arguments)}"
    blocks = (replace(b, text=storable(b.text), headings=(section,)) for b in _blocks(result.text))
    parsed = indexed_text(request.name, blocks)
    return Evidence(
        request.question,
        passages_of(parsed, document_id),
        excerpts=excerpts_of(parsed, document_id, "tool"),
    )


def _hash(arguments: Mapping[str, Any]) -> str:
    line = json.dumps(dict(arguments), sort_keys=True, default=str)
    return hashlib.sha256(line.encode(errors="replace")).hexdigest()[:12]


def _section(arguments: Mapping[str, Any], result: ToolResult) -> str:
    """The arguments on one line, and what of the result is not in the passages."""
    line = spelled(arguments)
    without = [*result.omitted, *(["what did not fit"] if result.cut else [])]
    return f"{line} (without {', '.join(without)})" if without else line


def _blocks(text: str) -> Iterator[Block]:
    """The blocks of a text; for JSON, its strings and values."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            yield from _leaves(value, "", MAX_DEPTH)
            return
    yield from parse_text(text).blocks


def _leaves(value: Any, name: str, depth: int) -> Iterator[Block]:
    """The leaves of a JSON value in order: long texts as they are, other values after their names."""
    match value:
        case dict() if depth:
            for key, inner in value.items():
                yield from _leaves(inner, key, depth - 1)
        case list() if depth:
            for inner in value:
                yield from _leaves(inner, name, depth - 1)
        case str() if len(value.split()) > 3:
            yield from parse_text(value).blocks
        case dict() | list() | None:
            return
        case _:
            line = collapsed(value if isinstance(value, str) else json.dumps(value))
            if line:
                yield Block(f"{name}: {line}" if name else line, "item")
