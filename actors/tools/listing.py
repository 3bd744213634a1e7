"""Which tools a server has, and which of them may be called.

Rule: bounded, whatever the server lists and however often it says that its tools have changed. What
is allowed and cannot be used is told, and why.
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
"""A server is not asked for its tools more often, whatever it says."""
RELISTEN_AFTER_S = 15.0

MAX_TOOLS = 256
MAX_PAGES = 64
MAX_DESCRIPTION = 2_000
MAX_SCHEMA = 16_384
_MOST_NAMED = 32


class Listing:
    """The tools of one server that may be called; `tell` takes what a person should know."""

    def __init__(
        self, name: str, settings: ToolServerSettings, tell: Callable[[str], None]
    ) -> None:
        self.tools: tuple[Tool, ...] = ()
        self._name = name
        self._settings = settings
        self._tell = tell
        self._changed = trio.Event()

    async def take(self, session: ClientSession) -> None:
        """List the tools, and take those that are allowed."""
        found = await tools_listed(session)
        self.tools, problems = allowed_tools(self._name, self._settings, found)
        if problems:
            self._tell(problems)

    async def heard(self, message: IncomingMessage) -> None:
        """Notice that the tools have changed, if that is what the server says."""
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    async def keep(self, client: Client) -> None:
        """List the tools again when they have changed, for as long as the session lives."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, client)
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                await self._take_again(client.session)
                await trio.sleep(RELIST_EVERY_S)

    async def _take_again(self, session: ClientSession) -> None:
        why = "it took too long"
        with trio.move_on_after(self._settings.timeout_s):
            try:
                return await self.take(session)
            except Exception as problem:  # noqa: BLE001 - its failures are its own, of any kind.
                why = str(problem)
        self._tell(
            f"the tool server {self._name} has changed its tools and cannot list them: {why}"
        )

    async def _listen(self, client: Client) -> None:
        """By the newer protocol a server tells of changes only who has asked for it."""
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
                    return  # It has no such thing, or is gone.
            await trio.sleep(RELISTEN_AFTER_S)


async def tools_listed(session: ClientSession) -> dict[str, types.Tool]:
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
    """Those that may be called, each once, in the order of the settings; and what is wrong."""
    allowed = list(dict.fromkeys(settings.allowed))
    has = ", ".join(list(found)[:_MOST_NAMED]) or "none"
    problems = [] if allowed else [f"tools.{name} allows no tools; its server has {has}"]
    if missing := [tool for tool in allowed if tool not in found]:
        problems.append(f"tools.{name} allows {', '.join(missing)}, and the server has {has}")
    there = [found[tool] for tool in allowed if tool in found]
    fitting = [one for one in there if len(json.dumps(one.input_schema)) <= MAX_SCHEMA]
    if large := [one.name for one in there if one not in fitting]:
        problems.append(f"the schema of {', '.join(large)} has more than {MAX_SCHEMA:,} bytes")
    tools = (
        Tool(
            name,
            one.name,
            (one.description or "")[:MAX_DESCRIPTION],
            one.input_schema,
            settings.when,
        )
        for one in fitting
    )
    return tuple(tools), "; ".join(problems)
