"""Terzetto as a server of the Model Context Protocol, over stdio or over HTTP.

Rule: stdout carries the protocol and nothing else. The HTTP server listens on a loopback address only,
answers only to names of this machine, and refuses every request that has the origin of a web page.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from threading import Thread
from typing import Any, Self, cast

import mcp_types as types
import trio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from web.mcp.shared_service import Opening, SharedService, open_shared
from web.mcp.tools import MAX_NAME, TOOLS, call, refusal
from web.ndjson import LineSplitter
from web.settings.model import ServerSettings

log = logging.getLogger(__name__)

PATH = "/mcp"
INSTRUCTIONS = (
    "Terzetto researches a task in the person's own documents and writes a cited report. Use "
    "run_task for a question that wants a report, and search_documents to look something up."
)
LOCAL = TransportSecuritySettings(
    allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*", "127.0.0.1", "localhost", "[::1]"],
)

STDIN = 0
READ_BYTES = 65_536
MAX_LINE_BYTES = 4 * 1_048_576

Context = ServerRequestContext[Any, Any]


def mcp_server(shared: SharedService) -> Server[Any]:
    """A server of the protocol that serves `TOOLS`."""
    tools = {tool.name: tool for tool in TOOLS}

    async def list_tools(
        context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.listed() for tool in TOOLS])

    async def call_tool(
        context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            return refusal("invalid_request", f"There is no tool {params.name[:MAX_NAME]!r}.")
        report = context.session.report_progress
        try:
            return await call(tool, shared.use, params.arguments or {}, report)
        except Exception as bug:  # A bug ends its call only, not the server.
            log.error("the tool %s has failed", tool.name, exc_info=bug)
            return refusal("internal_error", "Terzetto has met a bug; its log says more.")

    return Server(
        "terzetto",
        version=version("terzetto"),
        title="Terzetto",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_mcp(opening: Opening, http: ServerSettings | None) -> int:
    """Serve until stdin ends or a signal comes; over HTTP if there are settings for it."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as watch, open_shared(opening) as shared:
            with trio.CancelScope() as serving:
                watch.start_soon(_stop_at_signal, signals, serving)
                if http is None:
                    await _serve_stdio(mcp_server(shared))
                else:
                    await _serve_http(mcp_server(shared), http)
            watch.cancel_scope.cancel()
    return 0


async def _serve_stdio(server: Server[Any]) -> None:
    lines = cast(Any, StdinLines())  # The SDK wants a file, but only iterates over its lines.
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _serve_http(server: Server[Any], settings: ServerSettings) -> None:
    from web.server import serve  # Only here, because it loads the whole HTTP API.

    app = server.streamable_http_app(streamable_http_path=PATH, transport_security=LOCAL)
    async with trio.open_nursery() as nursery:
        (url, *_) = await nursery.start(serve, app, settings)
        print(f"Terzetto speaks MCP at {url}{PATH} (Ctrl-C stops it)", file=sys.stderr, flush=True)


async def _stop_at_signal(signals: AsyncIterator[int], serving: trio.CancelScope) -> None:
    """The first signal cancels the calls and so their tasks; the second ends the process."""
    await anext(signals)
    serving.cancel()
    os._exit(128 + await anext(signals))


class StdinLines:
    """An async iterator over the lines of stdin, as text, read by a thread of its own.

    A read of stdin cannot be interrupted, and Trio waits for its threads: after a signal the command
    would end only once its client sends another line. So nothing waits for this thread. It ends with
    the process, at the end of stdin, or at a line that is longer than any message may be.
    """

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[str](0)
        self._token = trio.lowlevel.current_trio_token()
        Thread(target=self._read, name="stdin", daemon=True).start()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return await self._receive.__anext__()

    def _read(self) -> None:
        # Not `sys.stdin`: Python takes its lock when the process ends, and this read would hold it.
        splitter = LineSplitter()
        try:
            while splitter.waiting <= MAX_LINE_BYTES and (piece := os.read(STDIN, READ_BYTES)):
                for line in splitter.feed(piece):
                    text = line.decode("utf-8", errors="replace")
                    trio.from_thread.run(self._send.send, text, trio_token=self._token)
            trio.from_thread.run_sync(self._send.close, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled, trio.BrokenResourceError):
            pass  # The command has ended.
