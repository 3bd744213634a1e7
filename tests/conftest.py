"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from actors.system import System
from web.app import create_app
from web.http_server import serve
from web.http_traffic import Traffic
from web.server_settings import ServerSettings

Served = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def serving(system: System, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A real server on a free port of 127.0.0.1 over `system`, and a client for it."""
    chosen = ServerSettings(bind="127.0.0.1:0", **settings)
    closing = trio.Event()
    traffic = Traffic()
    app = create_app(system, chosen, traffic)
    async with trio.open_nursery() as nursery:
        start = partial(serve, app, chosen, traffic=traffic, shutdown_trigger=closing.wait)
        (url, *_) = await nursery.start(start)
        limits = httpx.Limits(max_connections=None)
        http = httpx.AsyncClient(base_url=url, limits=limits, timeout=30, verify=False)
        async with http as client:
            yield client
        closing.set()


@pytest.fixture
def served() -> Served:
    """`async with served(system) as client`."""
    return serving
