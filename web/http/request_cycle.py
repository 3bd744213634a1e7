"""One request and its response, as an ASGI app sees them: `receive` and `send`.

Rule: h11 decides what may follow what; this file request_gate its events into ASGI messages and back, and
puts bytes into the write_buffer. It never reads or writes the socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol, runtime_checkable
from urllib.parse import unquote

import h11

from web.api.problems import CONTENT_TYPE, KINDS, problem_body
from web.http.write_buffer import WriteBuffer

_ASGI = {"spec_version": "2.3", "version": "3.0"}

Headers = Callable[[], list[tuple[bytes, bytes]]]

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

UNREAD_BYTES = 64 * 1024
"""The app has so much of the body to read: the connection reads no more before it has."""

STREAM = "terzetto.stream"
"""Name of our extension of ASGI: `stream(body)` has the server send a `StreamBody`, after the app has
sent the head and returned. All that made the response is free by then, and a stream can be long."""

FEED = "terzetto.feed"
"""Name of another: `feed(sink)` hands over the body as it comes, without a task that receives it."""


class StreamBody(Protocol):
    """A body in parts. It is entered and left once, and iterated over inside."""

    async def __aenter__(self) -> AsyncIterable[bytes | str]: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> object: ...


@runtime_checkable
class Rereadable(Protocol):
    """A stream that can drop what it has read ahead, and read it again when asked for more."""

    def let_go(self) -> None:
        """Drop it."""


class BodySink(Protocol):
    """What takes in a body; Quart's `Body` is one, and bounds what it holds."""

    def append(self, data: bytes) -> None:
        """More of it."""

    def set_complete(self) -> None:
        """That was all."""


class RequestCycle:
    """The life of one request; `own_headers` are asked for when the head of the response leaves."""

    __slots__ = (
        *(
            "_bodiless",
            "_body",
            "_body_ended",
            "_body_told",
            "_half_closed",
            "_http",
            "_write_buffer",
        ),
        *("_own_headers", "_sink", "_stream", "abandoned", "begun", "must_close", "quiet"),
        "unread",
    )

    def __init__(
        self,
        http: h11.Connection,
        write_buffer: WriteBuffer,
        own_headers: Headers,
        *,
        head_only: bool = False,
    ) -> None:
        self.begun = False
        """Whether the head of the response has been sent."""
        self.abandoned = False
        """Whether the connection has given up on the app; what it sends is ignored."""
        self.must_close = False
        """Whether the response has to say that it is the last one."""
        self.quiet = False
        """Whether the app has sent nothing since somebody set this."""
        self.unread = 0
        """Bytes of the body that the app has not read yet."""
        self._http = http
        self._write_buffer = write_buffer
        self._own_headers = own_headers
        self._body: list[bytes] = []
        self._body_ended = False
        self._body_told = False
        self._half_closed = False
        self._bodiless = head_only
        self._sink: BodySink | None = None
        self._stream: StreamBody | None = None

    # --- the connection's side ----------------------------------------------------------------

    def scope_of(
        self, request: h11.Request, target: bytes, client: Any, server: Any
    ) -> dict[str, Any]:
        """The ASGI scope of a request for `target`, a path with or without a query."""
        path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "http_version": request.http_version.decode("ascii"),
            "asgi": _ASGI,
            "method": request.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": client,
            "server": server,
            "state": {},
            "extensions": {STREAM: self.stream, FEED: self.feed},
        }

    def body_came(self, data: bytes) -> None:
        """The client has sent more of the body."""
        if self._sink is not None:
            self._sink.append(data)
            return
        self._body.append(data)
        self.unread += len(data)
        self._write_buffer.moved.unpark_all()

    def body_ended(self) -> None:
        """The client has sent all of it."""
        self._body_ended = True
        if self._sink is not None:
            self._sink.set_complete()
            self._sink = None
        else:
            self._write_buffer.moved.unpark_all()

    def half_closed(self) -> None:
        """The client will send no more, and may have left."""
        self._half_closed = True
        self._write_buffer.moved.unpark_all()

    async def send_stream(self) -> None:
        """Send what the app left to be streamed, if anything."""
        if self._stream is None:
            return
        async with self._stream as parts:
            await (
                self._write_buffer.flush()
            )  # The first part can take its time, but the head is due.
            if not self._bodiless:  # A stream that is never read from could go on for ever.
                async for part in parts:
                    self.quiet = False
                    self._event(h11.Data(data=part.encode() if isinstance(part, str) else part))
                    del part  # A client that stalls holds only what is not sent yet.
                    await self._write_buffer.flush()
        self._event(h11.EndOfMessage())
        await self._write_buffer.flush()

    def let_go(self) -> None:
        """Drop what can be had again: the client takes nothing."""
        if isinstance(self._stream, Rereadable):
            self._stream.let_go()

    def answer(self, code: str, detail: str, path: str = "") -> None:
        """Answer with a problem in the app's place, and let the connection end."""
        body = problem_body(code, detail, path)
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        retry_after_s = KINDS[code].retry_after_s
        if retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % retry_after_s))
        self.must_close = True
        self._head(KINDS[code].status, headers)
        if not self._bodiless:
            self._event(h11.Data(data=body))
        self._event(h11.EndOfMessage())

    # --- the app's side -------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The next message. An app whose client has left for sure is cancelled, without any.

        One that asks on after the whole body wants to know more: it gets `http.disconnect` already
        when the client may have left.
        """
        await self._ask_for_body()
        while self._body_told or not (self._body or self._body_ended):
            if self._body_told and self._half_closed:
                return {"type": "http.disconnect"}
            await self._write_buffer.moved.park()
        body = b"".join(self._body)
        self._body.clear()
        self.unread = 0
        self._write_buffer.moved.unpark_all()
        self._body_told = self._body_ended
        return {"type": "http.request", "body": body, "more_body": not self._body_ended}

    async def feed(self, sink: BodySink) -> None:
        """See `FEED`."""
        await self._ask_for_body()
        for data in self._body:
            sink.append(data)
        self._body.clear()
        self.unread = 0
        if self._body_ended:
            sink.set_complete()
        else:
            self._sink = sink

    def stream(self, body: StreamBody) -> None:
        """See `STREAM`."""
        self._stream = body

    async def send(self, message: dict[str, Any]) -> None:
        """Send a part of the response, and wait until the kernel has taken it.

        The head waits for the first of the body, with which it leaves.
        """
        if self.abandoned:
            return
        self.quiet = False
        match message["type"]:
            case "http.response.start":
                self._head(message["status"], message.get("headers", ()))
            case "http.response.body":
                data = message.get("body", b"")
                if data and not self._bodiless:
                    self._event(h11.Data(data=data))
                if not message.get("more_body", False):
                    self._event(h11.EndOfMessage())
                await self._write_buffer.flush()
            case other:
                raise RuntimeError(f"an HTTP response has no {other}")

    async def _ask_for_body(self) -> None:
        if self._http.they_are_waiting_for_100_continue and not self.begun:
            self._event(h11.InformationalResponse(status_code=100, headers=[]))
            await self._write_buffer.flush()

    def _head(self, status: int, headers: Any) -> None:
        said = [*headers, *self._own_headers()]
        # What is left of a body that nobody reads would look like the next request.
        if self.must_close or self._http.their_state is h11.SEND_BODY:
            said.append((b"connection", b"close"))
        self._bodiless = self._bodiless or status in (204, 304)
        self.begun = True
        self._event(
            h11.Response(status_code=status, headers=said, reason=_PHRASES.get(status, b""))
        )

    def _event(self, event: Any) -> None:
        self._write_buffer.put(self._http.send(event) or b"")
