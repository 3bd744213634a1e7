"""The public names of `web`: a program that serves a system of its own."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from api_client import GUARD_S, Api, check_log
from scripted import scripted_system

from web import ServerSettings, create_app, serve


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(data_dir=tmp_path, bind="127.0.0.1:0")


async def test_a_program_serves_its_own_system_over_a_real_socket(settings):
    with trio.fail_after(GUARD_S):
        async with scripted_system() as system, trio.open_nursery() as nursery:
            urls = await nursery.start(partial(serve, create_app(system, settings), settings))

            async with httpx.AsyncClient(base_url=urls[0]) as http:
                api = Api(http)
                lines = await api.run(await api.create())
                health = (await http.get("/health")).json()

            nursery.cancel_scope.cancel()

    check_log(lines)
    assert health["gauges"]["connections"] >= 1


async def test_a_server_that_is_cancelled_refuses_further_connections(settings):
    with trio.fail_after(GUARD_S):
        async with scripted_system() as system:
            async with trio.open_nursery() as nursery:
                urls = await nursery.start(partial(serve, create_app(system, settings), settings))
                nursery.cancel_scope.cancel()

            url = httpx.URL(urls[0])
            with pytest.raises(OSError):
                await trio.open_tcp_stream(url.host, url.port or 0)


async def test_an_app_behind_other_middleware_is_served_as_well(settings):
    async with scripted_system() as system, trio.open_nursery() as nursery:
        app = create_app(system, settings)

        async def middleware(scope, receive, send):
            await app(scope, receive, send)

        urls = await nursery.start(partial(serve, middleware, settings))
        async with httpx.AsyncClient(base_url=urls[0]) as http:
            assert (await http.get("/livez")).status_code == 200
        nursery.cancel_scope.cancel()


def test_importing_the_package_loads_no_server():
    program = (
        "import sys, web; "
        "print(sorted({'quart', 'hypercorn', 'trio', 'pydantic'} & set(sys.modules))); "
        "print(type(vars(web)['app']).__name__)"  # Where Hypercorn looks for it.
    )

    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert out.stdout.splitlines() == ["[]", "App"]


def test_an_unknown_name_is_an_attribute_error():
    import web

    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        web.missing  # noqa: B018  # The access is what is tested.
