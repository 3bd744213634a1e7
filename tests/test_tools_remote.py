"""Tool servers over HTTP: headers, secrets, bounds and warnings."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from test_tools import GUARD_S, sdk

from actors import open_system
from actors.errors import ToolFailed
from actors.settings import Settings
from actors.tools import Tools, open_tools
from actors.tools.secrets import UnusableToolServer
from web.server import serve
from web.settings.model import ServerSettings

SECRET = "hush-hush-4711"
BEARER = {"Authorization": "Bearer ${POND_TOKEN}", "X-Pond": "plain"}
ENVIRONMENT = {"POND_TOKEN": SECRET, "EMPTY": ""}

App = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serve this app; its URL."""
    closing = trio.Event()
    given = ServerSettings(bind="127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        (url, *_) = await nursery.start(partial(serve, app, given, shutdown_trigger=closing.wait))
        yield f"{url}/mcp"
        closing.set()


@asynccontextmanager
async def started(
    environment: Mapping[str, str] = ENVIRONMENT, **given: Any
) -> AsyncIterator[Tools]:
    settings = Settings.model_validate({"tools": {"pond": given}})
    with trio.fail_after(GUARD_S):
        async with open_tools(settings, environment) as tools:
            await tools.wait_started()
            yield tools


class Guarded:
    """A tool server that needs a token, sends it back in a refusal, and records the requests."""

    def __init__(self, token: str = SECRET) -> None:
        from mcp.server.mcpserver import Context, MCPServer
        from mcp.server.mcpserver.exceptions import ToolError

        server = MCPServer("pond", log_level="ERROR")

        @server.tool()
        def search(query: str) -> str:
            return f"Found {query}."

        async def grow(query: str, ctx: Any) -> str:
            server.add_tool(search, name="dive")
            await ctx.notify_tools_changed()
            return "grown"

        grow.__annotations__["ctx"] = Context  # Not as a string: it is no global name.
        server.add_tool(grow)

        @server.tool()
        def gossip(query: str) -> str:
            raise ToolError(f"the token {SECRET} is odd")

        self.token = token
        self.sent: list[dict[str, str]] = []
        self._app = server.streamable_http_app()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.sent.append(headers)
        if headers.get("authorization") == f"Bearer {self.token}":
            return await self._app(scope, receive, send)
        await answered(send, 401, f"no: {headers.get('authorization')}".encode())


async def answered(send: Any, status: int, body: bytes, **headers: str) -> None:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def test_headers_are_sent_with_the_variables_of_the_environment() -> None:
    guarded = Guarded()
    async with served(guarded) as url:
        async with started(url=url, allowed=["search"], headers=BEARER) as tools:
            result = await tools.call("pond/search", {"query": "frogs"}, "k")

    assert result.text == "Found frogs."
    assert all(sent["x-pond"] == "plain" for sent in guarded.sent)
    assert all(sent["authorization"] == f"Bearer {SECRET}" for sent in guarded.sent)


async def test_a_change_of_tools_over_http_is_received() -> None:
    async with served(Guarded()) as url:
        allowed = ["grow", "dive"]
        async with started(url=url, allowed=allowed, headers=BEARER) as tools:
            assert len(tools.catalog()) == 1
            await tools.call("pond/grow", {"query": ""}, "k")
            while len(tools.catalog()) == 1:
                await trio.sleep(0.01)


async def test_the_warning_for_a_refusal_says_what_to_check_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(Guarded("another")) as url:
        async with started(url=url, allowed=["search"], headers=BEARER) as tools:
            assert tools.catalog() == ()

    (told,) = (r.getMessage() for r in caplog.records if r.name == "actors.tools.server")
    assert told == (
        "the tool server pond cannot be used: it refuses access (HTTP 401). "
        "Check its headers in the settings"
    )
    assert SECRET not in caplog.text


async def test_a_token_that_is_refused_later_fails_the_call() -> None:
    guarded = Guarded()
    async with served(guarded) as url:
        async with started(url=url, allowed=["search"], headers=BEARER) as tools:
            guarded.token = "another"
            with pytest.raises(ToolFailed, match=r"refuses access \(HTTP 401\). Check its headers"):
                await tools.call("pond/search", {"query": "frogs"}, "k")


async def test_a_secret_that_is_sent_back_is_hidden() -> None:
    async with served(Guarded()) as url:
        async with started(url=url, allowed=["gossip"], headers=BEARER) as tools:
            result = await tools.call("pond/gossip", {"query": "frogs"}, "k")

    assert result.error.endswith("the token *** is odd")
    assert SECRET not in repr(result) + repr(tools)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"url": "http://127.0.0.1:9/mcp", "headers": {"Authorization": "${NOT_THERE}"}},
            "tools.pond.headers.Authorization needs the environment variable NOT_THERE",
        ),
        (
            {"command": ["x"], "env": {"TOKEN": "a${EMPTY}b"}},
            "tools.pond.env.TOKEN needs the environment variable EMPTY",
        ),
        (
            {"url": "http://127.0.0.1:9/mcp", "headers": {"X-A": "hush-hush\r\nX-B: c"}},
            "tools.pond.headers.X-A has characters that no header may have",
        ),
    ],
    ids=["a header", "a variable", "two lines"],
)
async def test_a_missing_variable_is_an_error_before_anything_starts(given: Any, told: str) -> None:
    with pytest.raises(UnusableToolServer) as raised:
        async with started(**given):
            pass

    assert raised.value.message.startswith(told)
    assert "hush" not in raised.value.message


async def test_the_variables_of_a_program_come_from_our_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POND_TOKEN", SECRET)
    pond: dict[str, Any] = {
        "command": sdk(),
        "allowed": ["key"],
        "env": {"TOKEN": "<${POND_TOKEN}>"},
    }
    async with open_system(Settings.model_validate({"tools": {"pond": pond}})):
        pass
    async with started(**pond) as tools:
        result = await tools.call("pond/key", {"query": ""}, "k")

    assert result.text == f"k <{SECRET}> None"


async def test_a_server_on_this_machine_is_not_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with served(Guarded()) as url:
        async with started(url=url, allowed=["search"], headers=BEARER) as tools:
            assert tools.catalog()


async def test_a_compressed_response_is_not_decompressed() -> None:
    async def bomb(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lived(receive, send)
        body = await received(receive)
        asked = json.loads(body) if body else {}
        if asked.get("method") == "initialize":
            version = asked["params"]["protocolVersion"]
            about = {"protocolVersion": version, "capabilities": {"tools": {}},
                     "serverInfo": {"name": "bomb", "version": "1"}}  # fmt: skip
            said = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": about}).encode()
            await answered(send, 200, said, content_type="application/json")
        elif asked.get("method") == "tools/list":
            text = "frogs " * 2_000_000
            schema = {"type": "object"}
            tool = {"name": "search", "description": text, "inputSchema": schema}
            result = {"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": [tool]}}
            packed = gzip.compress(json.dumps(result).encode())
            await answered(
                send, 200, packed, content_type="application/json", content_encoding="gzip"
            )
        else:
            await answered(send, 202 if "id" not in asked else 404, b"")

    async with served(bomb) as url, started(url=url, allowed=["search"]) as tools:
        assert tools.catalog() == ()


async def lived(receive: Any, send: Any) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


async def received(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message["body"]
        if not message.get("more_body"):
            return body


# --- replies that are none ------------------------------------------------------------------------


def odd_server(odd: Callable[[int], bytes]) -> App:
    """A tool server that answers with JSON; a call of its tool is answered by `odd`."""
    tool = {"name": "search", "inputSchema": {"type": "object"}}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # It has no lifespan.
        sent = b""
        more = True
        while more:
            event = await receive()
            sent, more = sent + event.get("body", b""), event.get("more_body", False)
        message = json.loads(sent) if scope["method"] == "POST" else {}
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"},
            },
            "tools/list": {"tools": [tool]},
        }
        if message.get("method") == "tools/call":
            await answered(send, 200, odd(message["id"]), content_type="application/json")
        elif message.get("method") in results:
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}
            await answered(send, 200, json.dumps(reply).encode(), content_type="application/json")
        else:
            await answered(send, 202 if "id" not in message else 404, b"")

    return app


FOUND = b'{"content":[{"type":"text","text":"Frogs \\ud800 sing."}]}'


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (lambda n: b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (n + 7, FOUND), "was not sent"),
        (lambda n: b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (n - 1, FOUND), "was not sent"),
        (lambda n: b'{"jsonrpc":"2.0","id":null,"result":%s}' % FOUND, "does not follow"),
        (lambda n: b'{"jsonrpc":"2.0","method":"notifications/message"}', "does not follow"),
        (lambda n: b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % n, "does not follow"),
        (lambda n: b'[{"jsonrpc":"2.0","id":%d,"result":%s}]' % (n, FOUND), "does not follow"),
        (lambda n: b"no JSON", "does not follow"),
        (lambda n: b"", "does not follow"),
        (
            lambda n: b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no frogs"}}',
            "no frogs",
        ),
    ],
)
async def test_a_json_response_that_is_no_reply_fails_its_call_at_once(
    odd: Callable[[int], bytes], told: str
) -> None:
    async with served(odd_server(odd)) as url:
        async with started(url=url, allowed=["search"], timeout_s=40) as tools:
            with trio.fail_after(20), pytest.raises(ToolFailed, match=told):
                await tools.call("pond/search", {"query": "frogs"}, "k")


@pytest.mark.parametrize("number", ["%d", '"%d"'])
async def test_a_json_reply_with_a_lone_surrogate_or_its_id_as_text_is_read(number: str) -> None:
    def odd(request_id: int) -> bytes:
        return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (number.encode() % request_id, FOUND)

    async with served(odd_server(odd)) as url:
        async with started(url=url, allowed=["search"], timeout_s=40) as tools:
            result = await tools.call("pond/search", {"query": "frogs"}, "k")
    assert result.text == "Frogs ? sing."
