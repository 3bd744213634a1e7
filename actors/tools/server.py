"""One tool server: a session that is kept open, and calls of its tools.

Rule: a call is answered, fails as `ToolFailed`, or is cancelled at the server, too; it never waits
for a server that is down. A server that ends is started again, at first at once, then ever later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import mcp_types as types
import trio
from mcp import Client, MCPError
from mcp.client.session import ClientSession
from pydantic import TypeAdapter, ValidationError

from actors.errors import ToolFailed, leaf_errors
from actors.settings import ToolServerSettings
from actors.tools.catalog import Tool, ToolResult
from actors.tools.child import child
from actors.tools.listing import Listing
from actors.tools.remote import remote
from actors.tools.results import MAX_MESSAGE_CHARACTERS, on_one_line, result_of
from actors.tools.secrets import Secrets

if TYPE_CHECKING:
    from mcp.client import Transport

log = logging.getLogger(__name__)

IDEMPOTENCY_KEY = "terzetto/idempotency-key"
"""Where a call's `_meta` has its key."""

RESTART_DELAYS_S = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Waits before a server is started again; the last one from then on."""
STEADY_S = 60.0
"""A session that lasted so long makes up for the failures before it."""
CLOSING_S = 2.0
"""Time for a goodbye over HTTP. A child process has times of its own."""

_Answer: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class ToolServer:
    """A tool server of the settings; `run` keeps it running."""

    def __init__(self, name: str, settings: ToolServerSettings, secrets: Secrets) -> None:
        self.name = name
        self._settings = settings
        self._secrets = secrets
        self._session: ClientSession | None = None
        self._tried = trio.Event()
        self._over = trio.Event()
        self._listing = Listing(name, settings, self._tell)
        self._lived = False
        self._refused = 0
        self._stop = trio.Event()
        self._living = trio.CancelScope()
        self._slots = trio.CapacityLimiter(settings.concurrency)
        self._told = ""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The allowed tools that it has; none while it is down."""
        return self._listing.tools if self._session else ()

    def allows(self, tool: str) -> bool:
        """Whether the settings allow this tool."""
        return tool in self._settings.allowed

    async def wait_started(self) -> None:
        """Returns once there is a session, or the last attempt to open one has failed."""
        await self._tried.wait()

    def stop(self) -> None:
        """End `run`, in an orderly way."""
        self._stop.set()
        self._over.set()
        if self._session is None:
            self._living.cancel()

    # --- its life ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Start the server, again and again, until it is told to stop."""
        failures = 0
        while not self._stop.is_set():  # It may have come in the very moment that a wait ended.
            began = trio.current_time()
            why = await self._live()
            if self._stop.is_set():
                return
            failures = 1 if trio.current_time() - began >= STEADY_S else failures + 1
            delay_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S)) - 1]
            self._tell(f"the tool server {self.name} {why}")
            with trio.move_on_after(delay_s):
                await self._stop.wait()
                return
            if self._lived:  # Then it is worth waiting for.
                self._tried = trio.Event()

    async def _live(self) -> str:
        """One session from its start to its end; how it ended."""
        self._over, self._lived = trio.Event(), False
        why = "ended"
        with trio.move_on_after(self._settings.timeout_s) as self._living:
            try:
                heard = self._listing.heard
                async with Client(self._transport(), cache=None, message_handler=heard) as client:
                    await self._listing.take(client.session)
                    self._session, self._lived = client.session, True
                    self._tried.set()
                    self._living.deadline = float("inf")
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._listing.keep, client)
                        await self._over.wait()
                        self._session = None
                        self._living.deadline = trio.current_time() + CLOSING_S
                        nursery.cancel_scope.cancel()
            except* Exception as problems:  # noqa: BLE001 - its failures are its own, of any kind.
                why = f"cannot be used: {self._refusal() or _first_message(problems)}"
            finally:
                self._session = None
        if not self._lived and self._living.cancelled_caught:
            why = f"did not answer within {self._settings.timeout_s:g} s"
        self._tried.set()
        return why

    def _transport(self) -> Transport:
        given = self._settings
        transport: AbstractAsyncContextManager[Any]
        if given.command:
            transport = child(self.name, given.command, self._secrets, self._over)
        else:
            transport = remote(given.url, self._secrets.headers, self._over, self._answered)
        return transport

    def _answered(self, status: int) -> None:
        self._refused = status if status in (401, 403) else 0

    def _refusal(self) -> str:
        """What its refusal means for a person; nothing if it was not that."""
        if not self._refused:
            return ""
        return f"it refuses us (HTTP {self._refused}). Look at its headers in the settings"

    def _tell(self, what: str) -> None:
        """Warn of something once, and not at each of its repetitions."""
        if what != self._told:
            log.warning("%s", on_one_line(self._secrets.hidden(what)))
        self._told = what

    # --- calls ------------------------------------------------------------------------------

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        """Call a tool; see `Tools.call`."""
        async with self._slots:
            with trio.move_on_after(self._settings.timeout_s):
                return await self._result(tool, arguments, key)
        took = f"took longer than {self._settings.timeout_s:g} s"
        raise ToolFailed(f"The tool {self.name}/{tool} {took}.")

    async def _result(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        await self._tried.wait()
        if (session := self._session) is None:
            raise ToolFailed(f"The tool server {self.name} is not running.")
        meta: Any = {IDEMPOTENCY_KEY: key}
        params = types.CallToolRequestParams(name=tool, arguments=dict(arguments), _meta=meta)
        try:
            # Not `session.call_tool`, which would check what comes back by the schema of the
            # tool's output in the event loop, as long as that takes. All we want of it is text.
            answer = await session.send_request(types.CallToolRequest(params=params), _Answer)
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                self._over.set()
            raise self._failed(tool, self._refusal() or error.message) from None
        except ValidationError:
            raise self._failed(tool, "It does not answer as the protocol says.") from None
        if isinstance(answer, types.InputRequiredResult):
            raise self._failed(tool, "It asks a person for something.")
        result = result_of(answer, self._settings.max_result_bytes)
        if answer.is_error:
            raise self._failed(tool, result.text or "It says no more than that.")
        return result

    def _failed(self, tool: str, why: str) -> ToolFailed:
        told = on_one_line(self._secrets.hidden(why))
        return ToolFailed(f"The tool {self.name}/{tool} failed: {told}")


def _first_message(error: BaseException) -> str:
    """The first error of a group, in words."""
    first = leaf_errors(error)[0]
    return (str(first) or type(first).__name__)[:MAX_MESSAGE_CHARACTERS]
