"""Terzetto as a server of the Model Context Protocol, over stdio or over HTTP.

Rule: stdout carries the protocol and nothing else. Over HTTP it listens on this machine only, requires
a name of this machine, and answers no web page of any origin.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any, cast

import mcp_types as types
import trio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from web.mcp.service import Opening, SharedService, open_shared
from web.mcp.stdin import StdinLines
from web.mcp.tools import MAX_NAME, OFFERS, call, refusal
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

Context = ServerRequestContext[Any, Any]


def mcp_server(shared: SharedService) -> Server[Any]:
    """The protocol's side of our tools."""
    offers = {offer.name: offer for offer in OFFERS}

    async def list_tools(
        context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[offer.tool() for offer in OFFERS])

    async def call_tool(
        context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        offer = offers.get(params.name)
        if offer is None:
            return refusal("invalid_request", f"There is no tool {params.name[:MAX_NAME]!r}.")
        report = context.session.report_progress
        try:
            return await call(offer, shared.use, params.arguments or {}, report)
        except Exception as bug:
            log.error("the tool %s has failed", offer.name, exc_info=bug)
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
    """Serve until stdin ends, or a signal comes; over HTTP if its settings are given."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as watch, open_shared(opening) as shared:
            with trio.CancelScope() as serving:
                watch.start_soon(_obey, signals, serving)
                if http is None:
                    await _serve_stdio(mcp_server(shared))
                else:
                    await _serve_http(mcp_server(shared), http)
            watch.cancel_scope.cancel()
    return 0


async def _serve_stdio(server: Server[Any]) -> None:
    lines = cast(Any, StdinLines())  # Of all that a file is, its lines are what is used.
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _serve_http(server: Server[Any], settings: ServerSettings) -> None:
    from web.server import serve_app  # Over stdio its imports would only make the start slower.

    app = server.streamable_http_app(streamable_http_path=PATH, transport_security=LOCAL)
    async with trio.open_nursery() as nursery:
        (url, *_) = await nursery.start(serve_app, app, settings)
        print(f"Terzetto speaks MCP at {url}{PATH} (Ctrl-C stops it)", file=sys.stderr, flush=True)


async def _obey(signals: AsyncIterator[int], serving: trio.CancelScope) -> None:
    """The first signal ends the calls, and their tasks with them; the second ends the process."""
    await anext(signals)
    serving.cancel()
    os._exit(128 + await anext(signals))
