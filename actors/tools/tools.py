"""All tool servers of the settings: `open_tools(settings)`.

Rule: the lifetime is the block. The servers start beside it, so opening waits for none of them, and
no child process outlives it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from actors.errors import ExtraMissing, InvalidRequest
from actors.settings import Settings
from actors.tools.catalog import Tool, ToolResult
from actors.tools.secrets import secrets_of

if TYPE_CHECKING:
    from actors.tools.server import ToolServer


class Tools:
    """The tools that may be called. Get them from `open_tools`."""

    def __init__(self, servers: Mapping[str, ToolServer]) -> None:
        self._servers = servers

    def catalog(self) -> tuple[Tool, ...]:
        """Every tool that can be called now, in the order of the settings.

        A server that has not answered yet, or that is down, has none.
        """
        return tuple(tool for server in self._servers.values() for tool in server.tools)

    async def wait_started(self) -> None:
        """Returns once every server has listed its tools or failed to, its start being bounded."""
        for server in self._servers.values():
            await server.wait_started()

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        """Call "server/tool". Leaving early cancels the call at its server, too.

        `key` is the same for each attempt of the same call. Raises `ToolFailed`, and
        `InvalidRequest` for a tool that the settings do not allow.
        """
        server, _, name = tool.partition("/")
        if server not in self._servers or not self._servers[server].allows(name):
            raise InvalidRequest(f"The settings allow no tool {tool}.")
        return await self._servers[server].call(name, arguments, key)

    async def wrong_with(self, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
        """What is wrong with these arguments by a tool's schema, in words; nothing if they fit."""
        return await trio.to_thread.run_sync(_wrong_with, schema, arguments)


def _wrong_with(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    from actors.tools.arguments import wrong_with  # Comes with the extra, and takes a moment.

    return wrong_with(schema, arguments)


@asynccontextmanager
async def open_tools(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Tools]:
    """The tool servers of the settings, starting; raises `ExtraMissing` and `UnusableToolServer`.

    What the settings want of the environment is looked for in `environment`, ours if it is None.
    """
    if not settings.tools:
        yield Tools({})
        return
    environment = os.environ if environment is None else environment
    given = {
        name: (one, secrets_of(name, one, environment)) for name, one in settings.tools.items()
    }
    tool_server = await trio.to_thread.run_sync(_tool_server)
    servers = {name: tool_server(name, one, secrets) for name, (one, secrets) in given.items()}
    async with trio.open_nursery() as nursery:
        for server in servers.values():
            nursery.start_soon(server.run, name=f"tool server {server.name}")
        try:
            yield Tools(servers)
        finally:
            for server in servers.values():
                server.stop()


def _tool_server() -> type[ToolServer]:
    try:
        from actors.tools.server import ToolServer
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("actors"):
            raise
        raise ExtraMissing("mcp", "A table [tools.NAME] in the settings") from None
    return ToolServer
