"""The routes about the server itself: agents and health."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import trio

from actors.errors import ActorError, ActorStopped, StorageUnavailable
from web.api import views
from web.api.exchange import ApiResponse
from web.api.problems import RequestProblem
from web.api.routing import RequestContext, Route, render

READY_S = 1.0
"""A server whose journal and supervisor do not answer within this time is not ready."""

VERSION = version("terzetto")


async def list_agents(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    agents = [views.as_view(views.AgentView, agent) for agent in context.system.agents()]
    return render(200, {"agents": agents})


async def livez(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    return render(200, {"status": "ok"})


async def readyz(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    if context.system.draining:
        raise RequestProblem("draining", "The server is about to stop.")
    try:
        with trio.fail_after(READY_S):
            await context.system.ping()
    except (ActorStopped, StorageUnavailable):
        raise  # Its text says which actor, or why nothing can be written.
    except (trio.TooSlowError, ActorError):
        raise RequestProblem("overloaded", "The actors do not answer in time.") from None
    return render(200, {"status": "ok"})


async def health(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    status = "draining" if context.system.draining else "ok"
    streams = {
        "streams": context.readers.open_streams(),
        "read_ahead_bytes": context.readers.ahead.bytes,
    }
    gauges = {
        **context.system.gauges(),
        **streams,
        **context.connections.gauges(),
        **context.bodies.gauges(),
    }
    shown = {"status": status, "version": VERSION, "gauges": gauges}
    return render(200, shown | {"library": await _library_health(context)})


async def _library_health(context: RequestContext[views.NoQuery, views.NoBody]) -> dict[str, Any]:
    """The counts of the library; none while it cannot be read, as the server lives all the same."""
    library = context.system.library
    try:
        counts = await library.counts(reader=context.principal.reader)
    except ActorError as error:
        return {"problem": error.message}
    return counts | ({"problem": library.problem} if library.problem else {})


ROUTES = [
    Route("GET", "/agents", list_agents, "The agents and their figures", {200: views.AgentList}),
    Route("GET", "/livez", livez, "Whether the process is alive", {200: views.Alive}),
    Route(
        "GET",
        "/readyz",
        readyz,
        "Whether new work is accepted",
        {200: views.Alive},
        problems=(503,),
    ),
    Route("GET", "/health", health, "The state of the server and its gauges", {200: views.Health}),
]
