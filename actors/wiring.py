"""Builds the agents from the settings: factory, mailbox capacity and concurrency of each.

Rule: this module only constructs. What an agent does is in `actors.agents`, and what it is asked in
`actors.runs.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from actors.agents.analyzer import AnalyzerAgent, Synthesis, plan_task, synthesize
from actors.agents.extractive.report import excerpts, not_searched, parts, title_of
from actors.agents.named_pages import NamedPages
from actors.agents.plugin import Plugin, PluginActor
from actors.agents.retriever import RetrieverAgent
from actors.agents.tool import ToolAgent
from actors.agents.writer import WriterAgent
from actors.errors import InvalidRequest
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.library.library import Library
from actors.messages import Synthesize
from actors.models.factory import Models
from actors.models.model import Model
from actors.runs.agents import AgentAddress, Agents
from actors.runtime import ActorHandle, Backoff
from actors.settings import Settings
from actors.tasks.evidence import Findings
from actors.tasks.tool_options import ToolOption
from actors.tools import Tools

if TYPE_CHECKING:
    from actors.agents.model.analyzer import ModelAnalyzer
    from actors.agents.model.writer import ModelWriter

Factory = Callable[[], Any]
Plugins = tuple[Plugin, ...]

FIRST_ANSWER, WHOLE_TEXT = 0.5, 0.9
"""Shares of a step's time. Past the first, a model that has given no plan or no text is too slow; past
the second, its text ends."""

TOOLS_MAILBOX = 64
TOOLS_START_S = 10.0
"""The longest that a plan waits for tool servers that are starting."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """How an agent is built, and how many requests may wait for it and be worked on.

    `backoff`, `must_succeed`, `continues` and `has_effects` are as in `AgentAddress`. `problem` says
    why it cannot work now, although its actor runs; "" if it can.
    """

    make: Factory
    description: str
    mailbox: int
    concurrency: int
    backoff: Backoff | None = None
    must_succeed: bool = False
    continues: bool = False
    has_effects: bool = False
    problem: Callable[[], str] = str


def built_in_agents(
    settings: Settings, library: Library, models: Models, tools: Tools, plugins: Plugins
) -> dict[str, Factory]:
    """Factories of the three built-in agents; with a language model where the settings name one."""
    fallback = models.extractive_allowed
    first_s, whole_s = FIRST_ANSWER * settings.step_timeout_s, WHOLE_TEXT * settings.step_timeout_s
    chosen = synthesize_for_model if models.writer else synthesize
    check = partial(_argument_fault, tools, {plugin.name: plugin for plugin in plugins})
    pages = None
    if settings.fetch_urls_in_tasks:
        pages = NamedPages(Fetcher(FetchLimits.of(settings)), library)
    analyzer: Factory = partial(AnalyzerAgent, chosen)
    if models.analyzer:
        analyzer = partial(
            model_analyzer,
            models.analyzer,
            synthesize=chosen,
            fallback_to_extractive=fallback,
            max_s=first_s,
            check_arguments=check,
        )
    writer: Factory = WriterAgent
    if models.writer:
        writer = partial(
            model_writer,
            models.writer,
            fallback_to_extractive=fallback,
            first_text_s=first_s,
            whole_text_s=whole_s,
        )
    limit = settings.retrieved_passages
    retriever = partial(RetrieverAgent, library, pages=pages, limit=limit)
    return {"analyzer": analyzer, "retriever": retriever, "writer": writer}


async def synthesize_for_model(request: Synthesize) -> Findings:
    """The findings of the extractive analyzer, with the passages that a model may write from."""
    # Imported here, so that a system without a model does not load it.
    from actors.agents.model.passages import with_passages

    return with_passages(await synthesize(request), request)


def model_analyzer(
    model: Model, *, synthesize: Synthesis = synthesize_for_model, **options: Any
) -> ModelAnalyzer:
    """A `ModelAnalyzer` whose fallback and whose synthesis are those of the extractive analyzer."""
    from actors.agents.model.analyzer import ModelAnalyzer

    return ModelAnalyzer(model, plan_without_model=plan_task, synthesize=synthesize, **options)


def model_writer(model: Model, **options: Any) -> ModelWriter:
    """A `ModelWriter` whose fallback is the report of the extractive writer."""
    from actors.agents.model.writer import ModelWriter, Quotes

    quotes = Quotes(title_of, parts, excerpts, not_searched)
    return ModelWriter(model, quotes, **options)


def agent_specs(
    settings: Settings, built_in: Mapping[str, Factory], tools: Tools, plugins: Plugins
) -> dict[str, AgentSpec]:
    """Every agent by name: built-in ones, one per tool server, and plugins.

    Each tool server has an agent of its own, so that one that hangs does not delay the others.
    """
    sizes = {
        "analyzer": (settings.analyzer_mailbox, settings.analyzer_concurrency),
        "retriever": (settings.retriever_mailbox, settings.retriever_concurrency),
        "writer": (settings.writer_mailbox, settings.writer_concurrency),
    }
    specs = {}
    for name, make in built_in.items():
        agent = make()
        continues = bool(getattr(agent, "can_continue", False))
        does = str(getattr(agent, "does", ""))
        specs[name] = AgentSpec(make, does, *sizes[name], continues=continues)
    for name, server in settings.tools.items():
        make = partial(ToolAgent, tools)
        specs[_tool_agent(name)] = AgentSpec(
            make,
            ToolAgent.does,
            TOOLS_MAILBOX,
            server.concurrency,
            has_effects=True,
            problem=partial(tools.problem, name),
        )
    for plugin in plugins:
        specs[plugin.name] = AgentSpec(
            partial(PluginActor, plugin),
            plugin.does,
            plugin.mailbox,
            plugin.concurrency,
            None if plugin.retries_s is None else Backoff(plugin.retries_s),
            plugin.on_failure == "fail",
            has_effects=True,
        )
    return specs


def addresses(
    specs: Mapping[str, AgentSpec],
    handles: Mapping[str, ActorHandle],
    tools: Tools,
    plugins: Plugins,
    tool_servers: Mapping[str, Any],
) -> Agents:
    """The agents as a run sees them."""
    found = {
        name: AgentAddress(
            handles[name], spec.backoff, spec.must_succeed, spec.continues, spec.has_effects
        )
        for name, spec in specs.items()
    }
    servers = {name: found[_tool_agent(name)] for name in tool_servers}
    return Agents(found, servers, partial(_tool_options, tools, plugins))


def _tool_agent(server: str) -> str:
    """The name of the agent that calls the tools of a server: as its table in the settings."""
    return f"tools.{server}"


async def _tool_options(tools: Tools, plugins: Plugins) -> list[ToolOption]:
    """What a plan may call: plugins, and the tools of servers that have started in time."""
    if not tools.started:
        with trio.move_on_after(TOOLS_START_S):
            await tools.wait_started()
    options = [plugin.tool_option() for plugin in plugins]
    return [*options, *tools.options()]


async def _argument_fault(
    tools: Tools, plugins: Mapping[str, Plugin], option: ToolOption, arguments: Mapping[str, Any]
) -> str:
    """Why a tool or plugin cannot be called with these arguments; "" if it can."""
    if option.name not in plugins:
        fault = await tools.argument_problem(option.schema, arguments)
        return f"The tool {option.name} cannot be asked this: {fault}." if fault else ""
    try:
        plugins[option.name].read(arguments)
    except InvalidRequest as error:
        return error.message
    return ""
