"""A fake of OpenAI's and Anthropic's servers with scripted answers and faults.

    async with scripted_models() as server:
        server.will(Says("Hello", " world"))         # for the next request; the last one repeats
        ...
        assert server.requests[0].body["model"] == "m"

It records whether a client closed the connection before the end of its answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import trio

STALL = "stall"
CUT = "cut"
PAUSE_S = 0.02

Step = str | bytes
"""A text to stream, or bytes to send as they are; `STALL` waits, `CUT` closes the connection."""


class Says:
    """A streamed answer: its steps one by one, then its end.

    Without `ends`, the response stays open after that.
    """

    def __init__(
        self,
        *steps: Step,
        usage: tuple[int, int] | None = (7, 3),
        finish: str | None = "stop",
        ends: bool = True,
    ) -> None:
        self.ends = ends
        self.steps = steps
        self.usage = usage
        self.finish = finish


@dataclass(frozen=True)
class Refuses:
    """An answer with this status; `said` is a JSON body, or text."""

    status: int
    said: Any = ""
    headers: dict[str, str] = field(default_factory=dict)


class HangsUp:
    """No answer at all: the connection is closed."""


class Silent:
    """No answer at all, and the connection stays open."""


Reply = Says | Refuses | HangsUp | Silent


@dataclass(frozen=True)
class Asked:
    """A request as received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ModelServer:
    """The requests so far, and the script of answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Asked] = []
        self.connections = 0
        self.hang_ups = 0
        self.answers = 0
        self._script: list[Reply] = []
        self._changed = trio.Event()

    def will(self, *replies: Reply) -> None:
        """Answer the next requests with these; the last one is repeated."""
        self._script = list(replies)

    async def wait_until(self, holds: Callable[[ModelServer], bool]) -> None:
        """Wait until this holds, checked after each change of the server's state."""
        with trio.fail_after(30):
            while not holds(self):
                await self._changed.wait()

    def note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def next_reply(self) -> Reply:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]


@asynccontextmanager
async def scripted_models() -> AsyncIterator[ModelServer]:
    """The server on a free port of 127.0.0.1."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    server = ModelServer(f"http://127.0.0.1:{port}")
    async with trio.open_nursery() as nursery:

        async def connected(stream: trio.SocketStream) -> None:
            server.connections += 1
            try:
                async with stream:
                    await _serve(server, stream)
            except (trio.BrokenResourceError, h11.RemoteProtocolError):
                pass
            finally:
                server.connections -= 1
                server.note()

        nursery.start_soon(trio.serve_listeners, connected, [listener])
        yield server
        nursery.cancel_scope.cancel()


async def _serve(server: ModelServer, stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65_536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        assert request is not None
        headers = {name.decode(): value.decode() for name, value in request.headers}
        server.requests.append(Asked(request.target.decode(), headers, json.loads(body)))
        server.note()
        if not await _answer_or_hang_up(server, connection, stream):
            return
        connection.start_next_cycle()


async def _answer_or_hang_up(
    server: ModelServer, connection: h11.Connection, stream: trio.SocketStream
) -> bool:
    """Whether the connection can be used again."""
    answered = False
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            try:
                data = await stream.receive_some(1)
            except trio.BrokenResourceError:
                data = b""
            assert not data, "a client must wait for its answer"
            server.hang_ups += 1
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            answered = await _answer(server, connection, stream)
        except trio.BrokenResourceError:
            server.hang_ups += 1
        server.answers += answered
        nursery.cancel_scope.cancel()
    server.note()
    return answered


async def _answer(
    server: ModelServer, connection: h11.Connection, stream: trio.SocketStream
) -> bool:
    asked = server.requests[-1]
    match server.next_reply():
        case HangsUp():
            return False
        case Silent():
            await trio.sleep_forever()
        case Refuses(status, said, headers):
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            kind = "text/plain" if isinstance(said, str) else "application/json"
            fields = [("content-type", kind), ("content-length", str(len(body))), *headers.items()]
            await _send(connection, stream, h11.Response(status_code=status, headers=fields))
            await _send(connection, stream, h11.Data(body))
        case Says() as says:
            head = h11.Response(status_code=200, headers=[("content-type", "text/event-stream")])
            await _send(connection, stream, head)
            for line in _anthropic(says) if "messages" in asked.path else _openai(says):
                if line is STALL:
                    await trio.sleep_forever()
                if line is CUT:
                    return False
                assert isinstance(line, bytes)
                await _send(connection, stream, h11.Data(line))
                await trio.sleep(PAUSE_S)
            if not says.ends:
                await trio.sleep_forever()
    await _send(connection, stream, h11.EndOfMessage())
    return True


async def _send(connection: h11.Connection, stream: trio.SocketStream, event: Any) -> None:
    await stream.send_all(connection.send(event) or b"")


def _openai(says: Says) -> Iterable[Step]:
    def chunk(**values: Any) -> bytes:
        about = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        return b"data: " + json.dumps({**about, **values}).encode() + b"\n\n"

    def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    yield chunk(choices=choice({"role": "assistant", "content": ""}))
    for step in says.steps:
        plain = isinstance(step, bytes) or step in (STALL, CUT)
        yield step if plain else chunk(choices=choice({"content": str(step)}))
    if says.finish:
        yield chunk(choices=choice({}, says.finish))
        if says.usage:
            read, written = says.usage
            yield chunk(choices=[], usage={"prompt_tokens": read, "completion_tokens": written})
        yield b"data: [DONE]\n\n"


def _anthropic(says: Says) -> Iterable[Step]:
    def event(kind: str, **values: Any) -> bytes:
        data = json.dumps({"type": kind, **values})
        return f"event: {kind}\ndata: {data}\n\n".encode()

    read, written = says.usage or (0, 0)
    message: dict[str, Any] = {
        "id": "1", "type": "message", "role": "assistant", "content": [], "model": "m",
        "stop_reason": None, "usage": {"input_tokens": read, "output_tokens": 1},
    }  # fmt: skip
    yield event("message_start", message=message)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for step in says.steps:
        plain = isinstance(step, bytes) or step in (STALL, CUT)
        delta = {"type": "text_delta", "text": step}
        yield step if plain else event("content_block_delta", index=0, delta=delta)
    if says.finish:
        yield event("content_block_stop", index=0)
        stop = {"stop": "end_turn"}.get(says.finish, says.finish)
        yield event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": written})
        yield event("message_stop")
