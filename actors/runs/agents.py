"""Where the agents are reached, as a run sees them.

Rule: names and references only; what is asked of whom, and when, is the pipeline's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from actors.runtime import Backoff, Ref
from actors.tasks.tool_options import ToolOption


@dataclass(frozen=True, slots=True)
class ToolRef:
    """Where a tool_option is reached, and how its failures are met."""

    ref: Ref
    backoff: Backoff | None = None
    must_succeed: bool = False


@dataclass(frozen=True, slots=True)
class Agents:
    """Where the agents are reached."""

    analyzer: Ref
    retriever: Ref
    writer: Ref
    writer_continues: bool = False
    """Whether the writer can go on with the text of an attempt that failed."""
    own: Mapping[str, ToolRef] = field(default_factory=dict)
    """Agents of a person's own, by name."""
    plugin_options: tuple[ToolOption, ...] = ()
    tool_servers: Mapping[str, Ref] = field(default_factory=dict)
    """Who calls the tools of each server, by its name."""
    tools: Callable[[], Awaitable[Sequence[ToolOption]]] | None = None
    """The tools that can be called, once it is known."""

    async def tool_options(self) -> tuple[ToolOption, ...]:
        """Whom a plan may ask, besides the library."""
        return (*self.plugin_options, *(await self.tools() if self.tools else ()))

    def consulted(self, name: str) -> ToolRef | None:
        """The agent or tool of this name; a tool need not be there at this moment."""
        server, is_tool, _ = name.partition("/")
        if is_tool and server in self.tool_servers:
            return ToolRef(self.tool_servers[server])
        return self.own.get(name)
