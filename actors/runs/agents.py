"""Where the agents are reached, as a run sees them.

Rule: names and references only; what is asked of whom, and when, is the pipeline's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from actors.runtime import Backoff, Ref
from actors.tasks.helper import Helper


@dataclass(frozen=True, slots=True)
class Consulted:
    """Where a helper is reached, and how its failures are met."""

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
    own: Mapping[str, Consulted] = field(default_factory=dict)
    """Agents of a person's own, by name."""
    own_helpers: tuple[Helper, ...] = ()
    tool_servers: Mapping[str, Ref] = field(default_factory=dict)
    """Who calls the tools of each server, by its name."""
    tools: Callable[[], Awaitable[Sequence[Helper]]] | None = None
    """The tools that can be called, once it is known."""

    async def helpers(self) -> tuple[Helper, ...]:
        """Whom a plan may ask, besides the library."""
        return (*self.own_helpers, *(await self.tools() if self.tools else ()))

    def consulted(self, name: str) -> Consulted | None:
        """The agent or tool of this name; a tool need not be there at this moment."""
        server, is_tool, _ = name.partition("/")
        if is_tool and server in self.tool_servers:
            return Consulted(self.tool_servers[server])
        return self.own.get(name)
