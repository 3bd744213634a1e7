"""One tool server: a session that is kept open, and calls of its tools.

Rule: a call returns a result, raises `ToolFailed`, or is cancelled at the server, too. An error that
the tool answers with is a result. A call never
waits for a server that is down. A server that ends is started again, first at once, then with
backoff. A result is bounded; content that is no text is named and omitted.
"""

from __future__ import annotations

import json
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
from actors.tasks.tool_options import ToolOption
from actors.tools.catalog import MAX_MESSAGE_CHARACTERS, Tool, ToolResult, on_one_line
from actors.tools.listing import ToolListing
from actors.tools.secrets import Secrets
from actors.tools.transports import child_process, http

if TYPE_CHECKING:
    from mcp.client import Transport

log = logging.getLogger(__name__)

IDEMPOTENCY_KEY = "terzetto/idempotency-key"
"""The field of a call's `_meta` with its idempotency key."""

RESTART_DELAYS_S = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Waits before a server is started again; the last one is repeated."""
STEADY_S = 60.0
"""A session of this length resets the backoff."""
CLOSING_S = 2.0
"""Time to end a session over HTTP. A child process has its own times."""

MAX_OMITTED = 8
"""Omitted parts of a result that are named."""

_CLOSED = (types.CONNECTION_CLOSED, "Connection closed")
"""The SDK's error for a lost connection. Servers use its code for errors of their own."""

_REFUSALS = frozenset({types.METHOD_NOT_FOUND, types.INVALID_PARAMS})
"""Errors of the protocol that the same call would get again."""

_Answer: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class ToolServer:
    """A tool server of the settings; `run` starts it and restarts it."""

    def __init__(self, name: str, settings: ToolServerSettings, secrets: Secrets) -> None:
        self.name = name
        self._settings = settings
        self._secrets = secrets
        self._session: ClientSession | None = None
        self._attempted = trio.Event()
        self._over = trio.Event()
        self._listing = ToolListing(name, settings, self._warn)
        self._was_open = False
        self._refused_status = 0
        self._stopping = trio.Event()
        self._session_scope = trio.CancelScope()
        self._slots = trio.CapacityLimiter(settings.concurrency)
        self._last_warning = ""
        self.problem = (
            ""  # Why it is down, in words; empty if it runs, or starts for the first time.
        )

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The allowed tools of the server; none while it is down.

        With `when` those that it last had: they are asked in any case, so that a task says what could
        not be asked.
        """
        return self._listing.tools if self._session or self._settings.when else ()

    @property
    def unlisted(self) -> tuple[ToolOption, ...]:
        """With `when`: an allowed tool of a server that has never listed one."""
        if not self._settings.when or self._listing.tools:
            return ()
        names = [f"{self.name}/{tool}" for tool in self._settings.allowed[:1]]
        return tuple(ToolOption(n, "", None, self._settings.when, listed=False) for n in names)

    def allows(self, tool: str) -> bool:
        """Whether the settings allow this tool."""
        return tool in self._settings.allowed

    @property
    def started(self) -> bool:
        """Whether a session is open, or the last attempt to open one has failed."""
        return self._attempted.is_set()

    async def wait_started(self) -> None:
        """Return once a session is open, or the last attempt to open one has failed."""
        await self._attempted.wait()

    def stop(self) -> None:
        """Close the session and end `run`."""
        self._stopping.set()
        self._over.set()
        if self._session is None:
            self._session_scope.cancel()

    # --- the session -----------------------------------------------------------------------

    async def run(self) -> None:
        """Start the server, and again after each end, until `stop` is called."""
        failures = 0
        while not self._stopping.is_set():  # `stop` may be called just as a wait ends.
            began = trio.current_time()
            reason = await self._run_session()
            if self._stopping.is_set():
                return
            failures = 1 if trio.current_time() - began >= STEADY_S else failures + 1
            delay_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S)) - 1]
            self.problem = on_one_line(
                self._secrets.hidden(f"The tool server {self.name} {reason}.")
            )
            self._warn(f"the tool server {self.name} {reason}")
            with trio.move_on_after(delay_s):
                await self._stopping.wait()
                return
            if self._was_open:  # Then calls wait for the restart.
                self._attempted = trio.Event()

    async def _run_session(self) -> str:
        """Run one session to its end; returns how it ended."""
        self._over, self._was_open = trio.Event(), False
        reason = "ended"
        with trio.move_on_after(self._settings.timeout_s) as self._session_scope:
            try:
                on_message = self._listing.on_message
                transport = self._transport()
                async with Client(transport, cache=None, message_handler=on_message) as client:
                    await self._listing.refresh(client.session)
                    self._session, self._was_open, self.problem = client.session, True, ""
                    self._attempted.set()
                    self._session_scope.deadline = float("inf")
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._listing.run, client)
                        await self._over.wait()
                        self._session = None
                        self._session_scope.deadline = trio.current_time() + CLOSING_S
                        nursery.cancel_scope.cancel()
            except* Exception as errors:  # noqa: BLE001 - the server or the SDK may raise anything.
                reason = f"cannot be used: {self._refusal() or _first_message(errors)}"
            finally:
                self._session = None
        if not self._was_open and self._session_scope.cancelled_caught:
            reason = f"did not answer within {self._settings.timeout_s:g} s"
        self._attempted.set()
        return reason

    def _transport(self) -> Transport:
        transport: AbstractAsyncContextManager[Any]
        if command := self._settings.command:
            transport = child_process(self.name, command, self._secrets, self._over)
        else:
            url, headers = self._settings.url, self._secrets.headers
            transport = http(url, headers, self._over, self._note_status)
        return transport

    def _note_status(self, status: int) -> None:
        self._refused_status = status if status in (401, 403) else 0

    def _refusal(self) -> str:
        """The message for a refusal (401 or 403); empty if there was none."""
        if not self._refused_status:
            return ""
        return f"it refuses access (HTTP {self._refused_status}). Check its headers in the settings"

    def _warn(self, message: str) -> None:
        """Log a warning, but not again while it repeats."""
        if message != self._last_warning:
            log.warning("%s", on_one_line(self._secrets.hidden(message)))
        self._last_warning = message

    # --- calls ------------------------------------------------------------------------------

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        """Call a tool; see `Tools.call`."""
        async with self._slots:
            with trio.move_on_after(self._settings.timeout_s):
                return await self._result(tool, arguments, key)
        timeout = f"took longer than {self._settings.timeout_s:g} s"
        raise ToolFailed(f"The tool {self.name}/{tool} {timeout}.")

    async def _result(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        await self._attempted.wait()
        if (session := self._session) is None:
            raise ToolFailed(self.problem or f"The tool server {self.name} is not running.")
        meta: Any = {IDEMPOTENCY_KEY: key}
        params = types.CallToolRequestParams(name=tool, arguments=dict(arguments), _meta=meta)
        try:
            # Not `session.call_tool`: it validates the result against the tool's output schema in
            # the event loop, for any length of time. Only the text of the result is needed.
            answer = await session.send_request(types.CallToolRequest(params=params), _Answer)
        except MCPError as error:
            if error.code in _REFUSALS and not self._refusal():
                return ToolResult("", error=self._answered(tool, error.message))
            if (error.code, error.message) == _CLOSED:
                self._over.set()
            raise self._failed(tool, self._refusal() or error.message) from None
        except ValidationError:
            raise self._failed(tool, "Its answer does not follow the protocol.") from None
        if isinstance(answer, types.InputRequiredResult):
            raise self._failed(tool, "It asks for input from a person, which is not supported.")
        result = result_of(answer, self._settings.max_result_bytes)
        if answer.is_error:
            return ToolResult("", error=self._answered(tool, result.text or "It gives no reason."))
        return result

    def _answered(self, tool: str, reason: str) -> str:
        shown = on_one_line(self._secrets.hidden(reason))
        return f"The tool {self.name}/{tool} answered with an error: {shown}"

    def _failed(self, tool: str, reason: str) -> ToolFailed:
        shown = on_one_line(self._secrets.hidden(reason))
        return ToolFailed(f"The tool {self.name}/{tool} failed: {shown}")


def _first_message(error: BaseException) -> str:
    """The first error of a group, in words."""
    first = leaf_errors(error)[0]
    return (str(first) or type(first).__name__)[:MAX_MESSAGE_CHARACTERS]


def result_of(answer: types.CallToolResult, max_bytes: int) -> ToolResult:
    """All texts of an answer; if it has none, its structured content as JSON."""
    texts: list[str] = []
    omitted: list[str] = []
    for block in answer.content:
        match block:
            case types.TextContent(text=text):
                texts.append(text)
            case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
                texts.append(text)
            case types.ImageContent() | types.AudioContent():
                omitted.append(on_one_line(f"{block.type} {block.mime_type}"))
            case types.ResourceLink():
                omitted.append(on_one_line(f"link {block.uri}"))
            case types.EmbeddedResource(resource=resource):
                omitted.append(on_one_line(f"file {resource.mime_type or resource.uri}"))
    if not any(texts) and answer.structured_content is not None:
        texts = [json.dumps(answer.structured_content, ensure_ascii=False, indent=1)]
    text = "\n\n".join(texts)
    kept = _cut(text, max_bytes)
    return ToolResult(kept, tuple(omitted[:MAX_OMITTED]), cut=len(kept) < len(text))


def _cut(text: str, max_bytes: int) -> str:
    """As much of a text as fits, cut at the end of a word."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return text
    head = encoded[:max_bytes].decode(errors="ignore")
    words, space, _ = head[-200:].rpartition(" ")
    return head[:-200] + words if space else head
