"""The tool agent: asks a tool of another program on one question.

Rule: it decides nothing. Which tool is called, and with what, stands in its request, and what may
be called in the settings.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import trio

from actors.agents.tool_text import tool_passages
from actors.messages import CallTool
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence
from actors.tools import Tools

log = logging.getLogger(__name__)


class ToolAgent:
    """Calls a tool, and makes passages of what it says.

    Failure mode: empty context, as for the retriever. A tool that fails is called again with the
    same key, by which it can tell another attempt; whether it was called twice is known only to it.
    """

    name = "tool"
    does = "Calls tools of other programs for passages on a question."

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def handle(self, request: CallTool, call: Call[Any]) -> Evidence:
        """The tool's answer as evidence, in its order; empty if it has no text."""
        result = await self._tools.call(request.name, request.arguments, request.key)
        if result.omitted:
            log.info("of %s passed over: %s", request.name, ", ".join(result.omitted))
        reading = partial(tool_passages, request.name, request.arguments, result)
        return Evidence(request.question, await trio.to_thread.run_sync(reading))
