"""ASGI apps that are not ours: when their client leaves they get `http.disconnect` and time to return."""

from __future__ import annotations

import ast
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from command_fakes import FakeService
from http_raw import GOOD, GUARD_S, listening

import web.api
import web.http
from web.mcp.server import NO_CHECKS, PATH, mcp_server, open_shared

SESSIONS, CLIENTS = 60, 6


def posted(message: dict[str, object], session: str | None = None) -> bytes:
    """A JSON-RPC message as a request to an MCP server."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    named = f"Mcp-Session-Id: {session}\r\n" if session else ""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\n{named}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


HELLO = {
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def answer_to(address: tuple[str, int], request: bytes, end: bytes) -> bytes:
    """What comes before `end`; then the connection is closed at once."""
    with socket.create_connection(address, timeout=GUARD_S) as client:
        client.sendall(request)
        got = b""
        while end not in got:
            data = client.recv(65_536)
            if not data:
                break
            got += data
    return got


def keeps_its_session(address: tuple[str, int]) -> bool:
    head = answer_to(address, posted(HELLO), b'"result"').partition(b"\r\n\r\n")[0].decode()
    named = [line for line in head.split("\r\n") if line.lower().startswith("mcp-session-id:")]
    session = named[0].partition(":")[2].strip()
    begin = posted({"method": "notifications/initialized"}, session)
    tools = posted({"id": 2, "method": "tools/list"}, session)
    return b" 202 " in answer_to(address, begin, b"\r\n\r\n") and (
        b'"result"' in answer_to(address, tools, b'"result"')
    )


@asynccontextmanager
async def fake_service() -> AsyncIterator[Any]:
    yield FakeService()


async def test_clients_that_close_once_they_have_the_answer_keep_their_sessions():
    kept: list[bool] = []
    async with open_shared(fake_service) as shared:
        app = mcp_server(shared).streamable_http_app(
            streamable_http_path=PATH, transport_security=NO_CHECKS
        )
        async with listening(app, disconnect_grace_s=5) as server, trio.open_nursery() as nursery:

            async def client() -> None:
                for _ in range(SESSIONS // CLIENTS):
                    address = (server.host, server.port)
                    kept.append(await trio.to_thread.run_sync(keeps_its_session, address))

            for _ in range(CLIENTS):
                nursery.start_soon(client)

    assert kept == [True] * SESSIONS


class Finishing:
    """An app that sends once more after `http.disconnect` and needs `needs_s` to return."""

    def __init__(self, needs_s: float) -> None:
        self.needs_s = needs_s
        self.told, self.finished, self.cancelled = trio.Event(), trio.Event(), trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.told.set()
        try:
            await send({"type": "http.response.body", "body": b"late", "more_body": True})
            await trio.sleep(self.needs_s)
            self.finished.set()
        except trio.Cancelled:
            self.cancelled.set()
            raise


async def test_an_app_whose_client_leaves_gets_http_disconnect_and_returns_in_its_own_time():
    app = Finishing(needs_s=0.1)
    async with listening(app, disconnect_grace_s=GUARD_S) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
        with trio.fail_after(1):
            await app.told.wait()
        await server.connections(0)

        assert app.finished.is_set() and not app.cancelled.is_set()


async def test_an_app_that_does_not_return_in_its_grace_is_cancelled():
    app = Finishing(needs_s=3_600)
    async with listening(app, disconnect_grace_s=0.05) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
        await server.connections(0)

        assert app.told.is_set() and app.cancelled.is_set()


async def test_an_app_without_a_client_does_not_delay_the_shutdown():
    app = Finishing(needs_s=3_600)
    async with listening(app, disconnect_grace_s=3_600) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
        await app.told.wait()
        began = trio.current_time()
        server.closing.set()
        await server.connections(0)

        assert trio.current_time() - began < 2.5


@pytest.mark.parametrize("call", ["receive", "send"])
async def test_an_app_that_goes_on_without_its_client_does_not_block_the_loop(call):
    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while True:
            if call == "receive":
                await receive()
            else:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async with listening(deaf, disconnect_grace_s=0.05) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
        await server.connections(0)


def private_names(source: str) -> set[str]:
    """Names with an underscore that are taken from something other than `self`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
            found.add(node.attr)
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_nothing_private_of_the_web_framework_is_used():
    """Another Python resolves another version of it, in which such a name may be gone."""
    documented = {"_get_current_object"}
    used = {
        name
        for folder in (web.api, web.http)
        for file in Path(folder.__path__[0]).glob("*.py")
        for name in private_names(file.read_text())
    }
    assert used <= documented
