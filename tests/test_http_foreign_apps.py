"""ASGI apps that are not ours: when their client leaves they get `http.disconnect` and time to return."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from command_fakes import FakeService
from http_raw import GUARD_S, listening

from web.mcp.server import LOCAL, PATH, mcp_server
from web.mcp.service import open_shared

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
            streamable_http_path=PATH, transport_security=LOCAL
        )
        async with listening(app, disconnect_grace_s=5) as server, trio.open_nursery() as nursery:

            async def client() -> None:
                for _ in range(SESSIONS // CLIENTS):
                    address = (server.host, server.port)
                    kept.append(await trio.to_thread.run_sync(keeps_its_session, address))

            for _ in range(CLIENTS):
                nursery.start_soon(client)

    assert kept == [True] * SESSIONS
