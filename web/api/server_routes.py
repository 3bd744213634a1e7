"""The routes about the server itself: agents and health."""

from __future__ import annotations

from importlib.metadata import version

import trio
from quart import Response

from actors.errors import ActorError
from web.api import views
from web.api.problems import RequestProblem
from web.api.routing import RequestContext, Route, render

READY_S = 1.0
"""Within so many seconds journal and supervisor must answer for the server to be ready."""

VERSION = version("terzetto")


async def agents(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    return render(200, {"agents": [views.agent_view(agent) for agent in x.system.agents()]})


async def livez(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    return render(200, {"status": "ok"})


async def readyz(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    if x.system.draining:
        raise RequestProblem("draining", "The server is about to stop.")
    try:
        with trio.fail_after(READY_S):
            await x.system.ping()
    except (trio.TooSlowError, ActorError):
        raise RequestProblem("overloaded", "The actors do not answer in time.") from None
    return render(200, {"status": "ok"})


async def health(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    status = "draining" if x.system.draining else "ok"
    streams = {
        "streams": x.readers.open_streams(),
        "read_ahead_bytes": x.readers.ahead.bytes,
    }
    gauges = {**x.system.gauges(), **streams, **x.connections.gauges()}
    return render(200, {"status": status, "version": VERSION, "gauges": gauges})


ROUTES = [
    Route("GET", "/agents", agents, "The agents and their figures", {200: views.AgentList}),
    Route("GET", "/livez", livez, "Whether the process lives", {200: views.Alive}),
    Route(
        "GET",
        "/readyz",
        readyz,
        "Whether new work is taken",
        {200: views.Alive},
        problems=(503,),
    ),
    Route("GET", "/health", health, "How the server is", {200: views.Health}),
]
