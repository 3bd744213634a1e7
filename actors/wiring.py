"""Who plays: each agent's maker, mailbox and concurrency, and what the supervisor's runs see of them.

Rule: it makes and names; what an agent does is the agent's own, and when it is asked the pipeline's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.model.analyzer import ModelAnalyzer
from actors.agents.model.writer import ModelWriter
from actors.agents.named_pages import NamedPages
from actors.agents.plugin import Plugin
from actors.agents.plugin_actor import PluginActor
from actors.agents.retriever import RetrieverAgent
from actors.agents.tool import ToolAgent
from actors.agents.writer import WriterAgent
from actors.errors import InvalidRequest
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.library.library import Library
from actors.models.factory import Models
from actors.runs.agents import Agents, ToolRef
from actors.runtime import ActorHandle, Backoff, DeadLetters, spawn
from actors.settings import Settings
from actors.tasks.tool_options import ToolOption
from actors.tools import Tools

TOOLS_MAILBOX = 64
TOOLS_WAIT_S = 10.0
"""A plan that is made while tool servers start waits for them, but not for longer."""


@dataclass(frozen=True, slots=True)
class Part:
    """An agent of the system: how it is made, and how many requests may wait and be worked on."""

    make: Callable[[], Any]
    does: str
    mailbox: int
    concurrency: int


def three_voices(
    settings: Settings,
    library: Library,
    models: Models,
    tools: Tools,
    own: tuple[Plugin, ...],
) -> dict[str, Callable[[], Any]]:
    """The three voices; with a language model where the settings name one."""
    alone = models.extractive_allowed
    check = partial(_wrong_with, tools, {agent.name: agent for agent in own})
    pages = None
    if settings.fetch_urls_in_tasks:
        pages = NamedPages(Fetcher(FetchLimits.of(settings)), library)
    analyzer, writer = models.analyzer, models.writer
    return {
        "analyzer": (
            partial(ModelAnalyzer, analyzer, fallback_to_extractive=alone, check=check)
            if analyzer
            else AnalyzerAgent
        ),
        "retriever": partial(
            RetrieverAgent, library, pages=pages, limit=settings.retrieved_passages
        ),
        "writer": (
            partial(ModelWriter, writer, fallback_to_extractive=alone) if writer else WriterAgent
        ),
    }


def parts_of(
    settings: Settings,
    makes: Mapping[str, Callable[[], Any]],
    tools: Tools,
    own: tuple[Plugin, ...],
) -> dict[str, Part]:
    """Everybody who plays, by name: those of `makes`, one for each tool server, and people's own.

    One for each, so that a server that does not answer keeps nobody from the others.
    """
    sizes = {
        "analyzer": (settings.analyzer_mailbox, settings.analyzer_concurrency),
        "retriever": (settings.retriever_mailbox, settings.retriever_concurrency),
        "writer": (settings.writer_mailbox, settings.writer_concurrency),
    }
    parts = {
        name: Part(make, str(getattr(make(), "does", "")), *sizes[name])
        for name, make in makes.items()
    }
    for name, server in settings.tools.items():
        make = partial(ToolAgent, tools)
        parts[_of_tools(name)] = Part(make, ToolAgent.does, TOOLS_MAILBOX, server.concurrency)
    for agent in own:
        played = partial(PluginActor, agent)
        parts[agent.name] = Part(played, agent.does, agent.mailbox, agent.concurrency)
    return parts


def spawned(nursery: trio.Nursery, name: str, part: Part, dead_letters: DeadLetters) -> ActorHandle:
    """The actor of a part, at work until the nursery ends."""
    return spawn(
        nursery,
        name,
        part.make,
        capacity=part.mailbox,
        concurrency=part.concurrency,
        dead_letters=dead_letters,
    )


def cast(
    parts: Mapping[str, Part],
    playing: Mapping[str, ActorHandle],
    own: tuple[Plugin, ...],
    tools: Tools,
    servers: Iterable[str],
) -> Agents:
    """Everybody as a run asks them."""
    consulted = {
        agent.name: ToolRef(
            playing[agent.name],
            None if agent.retries_s is None else Backoff(agent.retries_s),
            agent.on_failure == "fail",
        )
        for agent in own
    }
    continues = bool(getattr(parts["writer"].make(), "can_continue", False))
    return Agents(
        playing["analyzer"],
        playing["retriever"],
        playing["writer"],
        continues,
        consulted,
        tuple(agent.tool_option() for agent in own),
        {name: playing[_of_tools(name)] for name in servers},
        partial(_known, tools),
    )


def _of_tools(server: str) -> str:
    """The name of the actor that calls the tools of a server, as its table in the settings."""
    return f"tools.{server}"


async def _known(tools: Tools) -> list[ToolOption]:
    """The tools that can be called; servers that have just been started are waited for a while."""
    with trio.move_on_after(TOOLS_WAIT_S):
        await tools.wait_started()
    return [tool.tool_option() for tool in tools.catalog()]


async def _wrong_with(
    tools: Tools, own: Mapping[str, Plugin], tool_option: ToolOption, arguments: Mapping[str, Any]
) -> str:
    """What is wrong with arguments for a tool_option: its own model knows, or the tool's schema."""
    if tool_option.name not in own:
        fault = await tools.argument_problem(tool_option.schema, arguments)
        return f"The tool {tool_option.name} cannot be asked this: {fault}." if fault else ""
    try:
        own[tool_option.name].read(arguments)
    except InvalidRequest as error:
        return error.message
    return ""
