"""Terzetto as a server of the Model Context Protocol, over stdio or over HTTP.

An MCP client keeps `terzetto mcp` running for days. Holding the data folder all that time would
lock every other command out, and a server that starts later would never be used. So all calls share
one `Service`, which is open while a call uses it and for `IDLE_S` after the last call.

Rule: stdout carries the protocol and nothing else. The HTTP server lets in whom the HTTP API lets in,
with the same keys; a call acts for its key.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.metadata import version
from threading import Thread
from typing import Any, Self, cast

import mcp_types as types
import trio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from actors.errors import ActorError
from web.access.keys import Keys, Principal
from web.data_folder import FolderHeld, FolderUnusable
from web.mcp.tools import MAX_NAME, TOOLS, call, refusal
from web.ndjson import LineSplitter
from web.service import Service
from web.settings.model import ServerSettings
from web.signals import receive_signals, second_signal
from web.terminal import log_to_terminal, say

log = logging.getLogger(__name__)

PATH = "/mcp"
INSTRUCTIONS = (
    "Terzetto researches a task in the person's own documents and writes a cited report. Use "
    "run_task for a question that wants a report, and search_documents to look something up."
)
NO_CHECKS = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""Hosts, origins and keys are checked by our own gate, as for the HTTP API."""

PRINCIPAL = "terzetto.principal"
"""As in `web.access.gate`, which stdio does not need."""

KEY_CHECK_S = 1.0
"""How long a call may go on after its key has ended."""

IDLE_S = 3.0
"""How long the service stays open after the last call."""

STDIN = 0
READ_BYTES = 65_536
MAX_LINE_BYTES = 4 * 1_048_576

MOST_SESSIONS = 1_000
"""Sessions over HTTP at a time, about 40 KiB each; the SDK ends one that is idle for 30 minutes."""

CallContext = ServerRequestContext[Any, Any]
Opening = Callable[[], AbstractAsyncContextManager[Service]]


def mcp_server(shared: SharedService, keys: Keys | None = None) -> Server[Any]:
    """A server of the protocol that serves `TOOLS`. A call over HTTP ends with its key."""
    tools = {tool.name: tool for tool in TOOLS}

    async def list_tools(
        context: CallContext, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.listed() for tool in TOOLS])

    async def call_tool(
        context: CallContext, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            return refusal("invalid_request", f"There is no tool {params.name[:MAX_NAME]!r}.")
        report = context.session.report_progress
        principal = _principal(context.request)
        run = partial(
            call, tool, partial(_used_by, shared, principal), params.arguments or {}, report
        )
        try:
            return await (
                run() if keys is None or principal is None else _while_valid(keys, principal, run)
            )
        except Exception as bug:  # A bug ends its call only, not the server.
            log.error("the tool %s has failed", tool.name, exc_info=bug)
            return refusal(
                "internal_error",
                "An internal error has occurred; the log of terzetto has the details.",
            )

    return Server(
        "terzetto",
        version=version("terzetto"),
        title="Terzetto",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _principal(request: Any) -> Principal | None:
    """Who calls over HTTP, as the gate has found out."""
    return None if request is None else request.scope[PRINCIPAL]


async def _while_valid(
    keys: Keys, principal: Principal, run: Callable[[], Awaitable[types.CallToolResult]]
) -> types.CallToolResult:
    """The result of a call, which is cancelled once its key has ended."""
    result = refusal("unauthorized", "The key of this call has ended.")

    async def watch(scope: trio.CancelScope) -> None:
        while keys.still_opens(principal):
            await trio.sleep(KEY_CHECK_S)
            keys.refresh()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        result = await run()
        nursery.cancel_scope.cancel()
    return result


@asynccontextmanager
async def _used_by(shared: SharedService, principal: Principal | None) -> AsyncIterator[Service]:
    async with shared.use() as service:
        yield service if principal is None else service.acting_for(principal)


async def serve_mcp(opening: Opening, http: ServerSettings | None) -> int:
    """Serve until stdin ends or a signal comes; over HTTP if there are settings for it."""
    log_to_terminal(logging.WARNING)
    with receive_signals() as signals:
        async with trio.open_nursery() as watch, open_shared(opening) as shared:
            with trio.CancelScope() as serving:
                watch.start_soon(_stop_at_signal, signals, serving)
                if http is None:
                    await _serve_stdio(mcp_server(shared))
                else:
                    await _serve_http(shared, http)
            watch.cancel_scope.cancel()
    return 0


async def _serve_stdio(server: Server[Any]) -> None:
    lines = cast(Any, StdinLines())  # The SDK wants a file, but only iterates over its lines.
    async with stdio_server(stdin=lines) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _serve_http(shared: SharedService, settings: ServerSettings) -> None:
    from web.access.audit import audited
    from web.access.gate import Gate
    from web.server import check_bind, serve  # Only here, because it loads the whole HTTP API.

    keys = Keys(settings.data_dir)
    check_bind(settings, keys)
    server = mcp_server(shared, keys)
    sdk_app = server.streamable_http_app(
        streamable_http_path=PATH, transport_security=NO_CHECKS, max_sessions=MOST_SESSIONS
    )
    app = Gate(sdk_app, settings, keys)
    with audited(settings.data_dir):
        async with trio.open_nursery() as nursery:
            (url, *_) = await nursery.start(serve, app, settings)
            say(f"Terzetto speaks MCP at {url}{PATH} (Ctrl-C stops it)")


async def _stop_at_signal(signals: AsyncIterator[int], serving: trio.CancelScope) -> None:
    """The first signal cancels the calls and so their tasks; the second ends the process."""
    await anext(signals)
    serving.cancel()
    os._exit(128 + await second_signal(signals))


# --- stdin --------------------------------------------------------------------------------------


class StdinLines:
    """An async iterator over the lines of stdin, as text, read by a thread of its own.

    A read of stdin cannot be interrupted, and Trio waits for its threads: after a signal the
    command would end only once its client sends another line. So nothing waits for this thread. It
    ends with the process, at the end of stdin, or at a line that is longer than any message may be.
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


# --- the shared service -------------------------------------------------------------------------


class _Opened:
    """One opening of the service: its number of users, and the service or the error."""

    def __init__(self) -> None:
        self.ready = trio.Event()
        self.changed = trio.Event()
        self.users = 0
        self.service: Service | None = None
        self.error: Exception | None = None


class SharedService:
    """One `Service` for all calls. Get one from `open_shared`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._current: _Opened | None = None
        self._closing = False
        self._wanted, self._wanting = trio.open_memory_channel[_Opened](1)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Service]:
        """The service, opened if it is not. Raises what opening it raises."""
        if self._current is None:
            self._current = _Opened()
            self._wanted.send_nowait(self._current)  # At most one waits, while another closes.
        opened = self._current
        opened.users += 1
        opened.changed.set()
        try:
            await opened.ready.wait()
            if opened.error is not None:
                raise opened.error
            assert opened.service is not None
            yield opened.service
        finally:
            opened.users -= 1
            opened.changed.set()

    async def keep(self) -> None:
        """Open and close the service, until `close` is called and nobody uses it."""
        async for opened in self._wanting:
            try:
                async with self._opening() as opened.service:
                    opened.ready.set()
                    await self._idle(opened)
                    self._current = None
            except* (ActorError, FolderHeld, FolderUnusable) as refusals:
                if self._current is opened:  # It is not if closing it has failed.
                    self._current = None
                opened.error = _first(refusals)
                opened.ready.set()

    def close(self) -> None:
        """Make `keep` return once nobody uses the service."""
        self._closing = True
        self._wanted.close()
        if self._current is not None:
            self._current.changed.set()

    async def _idle(self, opened: _Opened) -> None:
        """Return once nobody has used the service for `IDLE_S`."""
        while True:
            opened.changed = trio.Event()
            if opened.users:
                await opened.changed.wait()
                continue
            if self._closing:
                return
            with trio.move_on_after(IDLE_S):
                await opened.changed.wait()
                continue
            return


@asynccontextmanager
async def open_shared(opening: Opening) -> AsyncIterator[SharedService]:
    """A service that is opened when it is used, and closed at the end of the block."""
    shared = SharedService(opening)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.keep)
        try:
            yield shared
        finally:
            shared.close()


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
