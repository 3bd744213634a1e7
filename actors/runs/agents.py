"""Addresses of the agents, as a run sees them.

Rule: names and addresses only. What is asked of an agent stands in `actors.runs.steps`, and when in
`actors.runs.run`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from actors.runtime import Backoff, Ref
from actors.tasks.tool_options import ToolOption


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Where an agent is reached, and what a run must know of it.

    `backoff` overrides the delays of the settings. With `must_succeed` a step that fails for good
    fails the task. `continues`: the agent can continue the text of a failed attempt. `has_effects`:
    it runs other people's code, which may have effects outside.
    """

    ref: Ref
    backoff: Backoff | None = None
    must_succeed: bool = False
    continues: bool = False
    has_effects: bool = False


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents by the name that a step's `agent_type` has.

    A tool is named "SERVER/TOOL"; `tool_servers` holds the agent that calls the tools of a server.
    `tool_options` lists what a plan may call besides the library.
    """

    addresses: Mapping[str, AgentAddress]
    tool_servers: Mapping[str, AgentAddress]
    tool_options: Callable[[], Awaitable[Sequence[ToolOption]]]

    def address(self, agent_type: str) -> AgentAddress | None:
        """The agent that does a step; None if the settings no longer have it."""
        server, is_tool, _ = agent_type.partition("/")
        return self.tool_servers.get(server) if is_tool else self.addresses.get(agent_type)
