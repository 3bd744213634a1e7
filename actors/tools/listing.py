"""List the tools of a server, and keep those that the settings allow.

Rule: the list is bounded, and so is the rate at which a server can cause new listings. An allowed
tool that cannot be used is reported with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress

import mcp_types as types
import trio
from mcp import Client, MCPError
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from actors.settings import ToolServerSettings
from actors.tools.catalog import Tool

RELIST_EVERY_S = 1.0
"""The shortest time between two listings, however often the server reports a change."""
RESUBSCRIBE_AFTER_S = 15.0

MAX_TOOLS = 256
MAX_PAGES = 64
MAX_DESCRIPTION = 2_000
MAX_SCHEMA = 16_384
"""Characters."""
_MAX_NAMED = 32


class ToolListing:
    """The tools of one server that may be called; `warn` reports problems to the operator."""

    def __init__(
        self, name: str, settings: ToolServerSettings, warn: Callable[[str], None]
    ) -> None:
        self.tools: tuple[Tool, ...] = ()
        self._name = name
        self._settings = settings
        self._warn = warn
        self._changed = trio.Event()

    async def refresh(self, session: ClientSession) -> None:
        """List the tools, and keep those that are allowed."""
        found = await list_tools(session)
        self.tools, problems = allowed_tools(self._name, self._settings, found)
        if problems:
            self._warn(problems)

    async def on_message(self, message: IncomingMessage) -> None:
        """Note a message that the tools have changed."""
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    async def run(self, client: Client) -> None:
        """List the tools again whenever they have changed, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, client)
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                await self._refresh_again(client.session)
                await trio.sleep(RELIST_EVERY_S)

    async def _refresh_again(self, session: ClientSession) -> None:
        reason = "it took too long"
        with trio.move_on_after(self._settings.timeout_s):
            try:
                return await self.refresh(session)
            except Exception as error:  # noqa: BLE001 - the server or the SDK may raise anything.
                reason = str(error)
        self._warn(
            f"the tool server {self._name} has changed its tools and cannot list them: {reason}"
        )

    async def _listen(self, client: Client) -> None:
        """Subscribe to changes, which the newer protocol requires."""
        changes = client.server_capabilities.tools
        if not (changes and changes.list_changed):
            return
        while client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            with suppress(SubscriptionLost):
                try:
                    async with listen(client.session, tools_list_changed=True) as subscription:
                        self._changed.set()  # They may have changed since they were listed.
                        async for _ in subscription:
                            self._changed.set()
                except MCPError:
                    return  # It has no subscriptions, or is gone.
            await trio.sleep(RESUBSCRIBE_AFTER_S)


async def list_tools(session: ClientSession) -> dict[str, types.Tool]:
    """The tools of a server by name."""
    found: dict[str, types.Tool] = {}
    cursor = None
    for _ in range(MAX_PAGES):
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
        found |= {tool.name: tool for tool in page.tools}
        cursor = page.next_cursor
        if not cursor or not page.tools or len(found) >= MAX_TOOLS:
            break
    return found


def allowed_tools(
    name: str, settings: ToolServerSettings, found: Mapping[str, types.Tool]
) -> tuple[tuple[Tool, ...], str]:
    """The tools that may be called, each once, in the order of the settings; and the problems."""
    allowed = list(dict.fromkeys(settings.allowed))
    has = ", ".join(list(found)[:_MAX_NAMED]) or "none"
    problems = [] if allowed else [f"tools.{name} allows no tools; its server has {has}"]
    if missing := [tool for tool in allowed if tool not in found]:
        problems.append(f"tools.{name} allows {', '.join(missing)}, and the server has {has}")
    listed = [found[tool] for tool in allowed if tool in found]
    usable = [tool for tool in listed if len(json.dumps(tool.input_schema)) <= MAX_SCHEMA]
    if large := [tool.name for tool in listed if tool not in usable]:
        problems.append(f"the schema of {', '.join(large)} has more than {MAX_SCHEMA:,} characters")
    tools = (
        Tool(
            name,
            tool.name,
            (tool.description or "")[:MAX_DESCRIPTION],
            tool.input_schema,
            settings.when,
        )
        for tool in usable
    )
    return tuple(tools), "; ".join(problems)
