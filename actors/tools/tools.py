"""All tool servers of the settings: `open_tools(settings)`.

Rule: the servers live as long as the block. They start in the background, so that opening waits for
none of them, and no child process outlives the block.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from actors.errors import ExtraMissing, InvalidRequest
from actors.settings import Settings
from actors.tasks.plan import Question
from actors.tasks.tool_options import ToolOption
from actors.tools.catalog import Tool, ToolResult
from actors.tools.secrets import secrets_of

if TYPE_CHECKING:
    from actors.tools.server import ToolServer


class Tools:
    """The tools that may be called. Made by `open_tools`."""

    def __init__(self, servers: Mapping[str, ToolServer]) -> None:
        self._servers = servers

    def catalog(self) -> tuple[Tool, ...]:
        """Every tool that can be called now, in the order of the settings.

        A server that has not started yet, or that is down, has none.
        """
        return tuple(tool for server in self._servers.values() for tool in server.tools)

    def options(self) -> tuple[ToolOption, ...]:
        """What a plan may call: the catalog, and a tool with `when` of each server without a list."""
        unlisted = [option for server in self._servers.values() for option in server.unlisted]
        return (*(tool.tool_option() for tool in self.catalog()), *unlisted)

    def problem(self, server: str) -> str:
        """Why a server is down, as a sentence; empty if it runs."""
        return self._servers[server].problem

    async def arguments(self, tool: str, question: Question) -> Mapping[str, Any]:
        """The arguments of "server/tool" for a question, once its server has started or failed to."""
        if server := self._servers.get(tool.partition("/")[0]):
            await server.wait_started()
        options = (option for option in self.options() if option.name == tool)
        return next((option.arguments(question) for option in options), {})

    @property
    def started(self) -> bool:
        """Whether every server has listed its tools or failed to."""
        return all(server.started for server in self._servers.values())

    async def wait_started(self) -> None:
        """Return once every server has listed its tools or failed to; each start has a timeout."""
        for server in self._servers.values():
            await server.wait_started()

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        """Call "server/tool". Leaving early cancels the call at its server, too.

        `key` is the idempotency key, the same for each attempt of a call. Raises `ToolFailed`, and
        `InvalidRequest` for a tool that the settings do not allow.
        """
        server, _, name = tool.partition("/")
        if server not in self._servers or not self._servers[server].allows(name):
            raise InvalidRequest(f"The settings do not allow the tool {tool}.")
        return await self._servers[server].call(name, arguments, key)

    async def argument_problem(
        self, schema: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> str:
        """Why the arguments are invalid for a tool's schema, in words; empty if they are valid."""
        return await trio.to_thread.run_sync(_argument_problem, schema, arguments)


def _argument_problem(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    from actors.tools.arguments import argument_problem  # Needs the extra, and is slow to import.

    return argument_problem(schema, arguments)


@asynccontextmanager
async def open_tools(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Tools]:
    """Start the tool servers of the settings; raises `ExtraMissing` and `UnusableToolServer`.

    The variables in the settings' values are taken from `environment`, by default `os.environ`.
    """
    if not settings.tools:
        yield Tools({})
        return
    environment = os.environ if environment is None else environment
    secrets = {name: secrets_of(name, one, environment) for name, one in settings.tools.items()}
    tool_server = await trio.to_thread.run_sync(_tool_server)
    servers = {name: tool_server(name, one, secrets[name]) for name, one in settings.tools.items()}
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
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("actors"):
            raise
        raise ExtraMissing("mcp", "A table [tools.NAME] in the settings") from None
    return ToolServer
