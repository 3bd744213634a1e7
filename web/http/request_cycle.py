"""One request and its response, as an ASGI app sees them: `receive` and `send`.

Rule: h11 decides what may follow what. This file translates its events into ASGI messages and back,
and puts bytes into the write buffer. It never reads or writes the socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from time import time
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit
from wsgiref.handlers import format_date_time

import h11
import trio

from web.http.write_buffer import ClientLost, WriteBuffer

_ASGI = {"spec_version": "2.3", "version": "3.0"}
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

UNREAD_BYTES = 64 * 1024
"""The connection stops reading while so much of the body has come that the app has not received."""

HEAD_FIELDS = 100

TOGETHER_BYTES = 4 * 1024
"""Parts of a stream that are there at once are written together up to this."""

STREAM = "terzetto.stream"
"""Name of our extension of ASGI. `stream(body)` makes the server send a `StreamBody` after the app has
sent the head and returned. All that made the response is free by then, and a stream can be long."""


class StreamBody(Protocol):
    """A body in parts. It is entered and left once, and iterated over inside."""

    @property
    def ready(self) -> bool:
        """Whether the next part, or the end, will come without waiting."""

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
        """Drop what has been read ahead."""


class ErrorResponse(NamedTuple):
    """A response that the server gives in the app's place."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


RenderError = Callable[[str, str, str], ErrorResponse]
"""Makes the response from a code, a sentence, and the path of the request. The codes are `bad_request`,
`head_too_large`, `request_timeout`, `overloaded` and `internal_error`."""


class BadRequest(Exception):
    """What the client sends is not HTTP that this server takes; the connection ends with it."""

    def __init__(self, detail: str, code: str = "bad_request") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class Target(NamedTuple):
    """The path and query of a request, and its host if the target was a whole URL."""

    path: bytes
    host: bytes | None = None


class Upload(Enum):
    """How much of the request's body has come, and what the app knows of it."""

    COMING = auto()
    COMPLETE = auto()  # All has come; the app has not received the end of it.
    RECEIVED = auto()


class RequestCycle:
    """The life of one request. `on_lost` is called if a write shows that the client is gone."""

    __slots__ = (
        *("_body", "_bodiless", "_chunked", "_half_closed", "_http", "_on_lost", "_render_error"),
        *(
            "_stream",
            "_upload",
            "_write_buffer",
            "begun",
            "disconnected",
            "must_close",
            "quiet",
            "returned",
        ),
        "unread",
    )

    def __init__(
        self,
        http: h11.Connection,
        write_buffer: WriteBuffer,
        render_error: RenderError,
        on_lost: Callable[[], None],
        *,
        head_only: bool = False,
    ) -> None:
        self.begun = False
        """Whether the head of the response has been sent."""
        self.disconnected = False
        """Whether the client is lost or was refused. What the app sends is ignored."""
        self.must_close = False
        """Whether the response has to say that it is the last one."""
        self.quiet = False
        """Whether the app has sent nothing since the connection set this."""
        self.returned = False
        """Whether the app has returned. A stream may still be sent."""
        self.unread = 0
        """Bytes of the body that the app has not received yet."""
        self._http = http
        self._write_buffer = write_buffer
        self._render_error = render_error
        self._on_lost = on_lost
        self._body: list[bytes] = []
        self._upload = Upload.COMING
        self._half_closed = False
        self._bodiless = head_only
        self._chunked = False
        self._stream: StreamBody | None = None

    # --- the connection's side ----------------------------------------------------------------

    def scope_of(
        self, request: h11.Request, target: Target, client: Any, server: Any
    ) -> dict[str, Any]:
        """The ASGI scope of a request for `target`, a path with or without a query."""
        path, _, query = target.path.partition(b"?")
        headers = list(request.headers)
        if target.host is not None:  # It counts, whatever the Host header says.
            headers = [header for header in headers if header[0] != b"host"]
            headers.append((b"host", target.host))
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
            "headers": headers,
            "client": client,
            "server": server,
            "state": {},
            "extensions": {STREAM: self.stream},
        }

    def body_came(self, data: bytes) -> None:
        """The client has sent more of the body."""
        self._body.append(data)
        self.unread += len(data)
        self._write_buffer.moved.unpark_all()

    def body_ended(self) -> None:
        """The client has sent all of the body."""
        self._upload = Upload.COMPLETE
        self._write_buffer.moved.unpark_all()

    def half_closed(self) -> None:
        """The client will send no more, and may have left."""
        self._half_closed = True
        self._write_buffer.moved.unpark_all()

    def disconnect(self) -> None:
        """The app gets `http.disconnect`, and what it sends from now on is ignored."""
        self.disconnected = True
        self._write_buffer.moved.unpark_all()

    async def send_stream(self) -> None:
        """Send the stream that the app has left, if any. Raises `ClientLost`."""
        if self._stream is None:
            return
        async with self._stream as parts:
            # What comes at once leaves with what was put before it: a system call costs as much as
            # making a part. What has to be waited for keeps nothing back.
            if not self._stream.ready:
                await self._write_buffer.flush()
            if not self._bodiless:  # A stream that is never read from could go on for ever.
                async for part in parts:
                    self.quiet = False
                    self._put_part(part.encode() if isinstance(part, str) else part)
                    del part  # A client that stalls holds only what is not sent yet.
                    if not self._stream.ready or self._write_buffer.size >= TOGETHER_BYTES:
                        await self._write_buffer.flush()
        self._event(h11.EndOfMessage())
        await self._write_buffer.flush()

    def release(self) -> None:
        """Drop what can be read again: the client takes nothing."""
        if isinstance(self._stream, Rereadable):
            self._stream.let_go()

    def answer(self, code: str, detail: str, path: str = "") -> None:
        """Answer with an error in the app's place, and let the connection end."""
        status, headers, body = self._render_error(code, detail, path)
        self.must_close = True
        self._head(status, headers)
        if not self._bodiless:
            self._event(h11.Data(data=body))
        self._event(h11.EndOfMessage())

    # --- the app's side -------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The next message.

        An app that calls this again after the whole body wants to know when its client leaves: it
        gets `http.disconnect` already when the client may have left.
        """
        if self._http.they_are_waiting_for_100_continue and not self.begun:
            self._event(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                await self._write_buffer.flush()
            except ClientLost:
                self._lost()
        while not self._has_message():
            await self._write_buffer.moved.park()
        if self.disconnected or self._upload is Upload.RECEIVED:
            await trio.lowlevel.checkpoint()  # An app that calls this in a loop must not block.
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self.unread = 0
        self._write_buffer.moved.unpark_all()
        if self._upload is Upload.COMPLETE:
            self._upload = Upload.RECEIVED
        more = self._upload is Upload.COMING
        return {"type": "http.request", "body": body, "more_body": more}

    def _has_message(self) -> bool:
        match self._upload:
            case Upload.COMING:
                return bool(self._body) or self.disconnected
            case Upload.COMPLETE:
                return True
            case Upload.RECEIVED:
                return self._half_closed or self.disconnected

    def stream(self, body: StreamBody) -> None:
        """See `STREAM`."""
        self._stream = body

    async def send(self, message: dict[str, Any]) -> None:
        """Send a part of the response, and wait until the kernel has taken it.

        The head waits for the first part of the body and leaves with it.
        """
        if self.disconnected:
            await trio.lowlevel.checkpoint()  # An app that sends in a loop must not block.
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
                try:
                    await self._write_buffer.flush()
                except ClientLost:
                    self._lost()
            case other:
                raise RuntimeError(f"an HTTP response has no message {other!r}")

    def _lost(self) -> None:
        self.disconnect()
        self._on_lost()

    def _head(self, status: int, headers: Any) -> None:
        all_headers = [*headers, (b"date", _date(int(time())))]
        # What is left of a body that nobody reads would look like the next request.
        if self.must_close or self._http.their_state is h11.SEND_BODY:
            all_headers.append((b"connection", b"close"))
        self._bodiless = self._bodiless or status in (204, 304)
        measured = any(name.lower() == b"content-length" for name, _ in all_headers)
        self._chunked = self._http.their_http_version == b"1.1" and not measured
        self.begun = True
        phrase = _PHRASES.get(status, b"")
        self._event(h11.Response(status_code=status, headers=all_headers, reason=phrase))

    def _put_part(self, part: bytes) -> None:
        """A part of a stream. h11 would take longer to frame it than we to make it.

        Its state is the same after any number of parts.
        """
        if self._chunked:
            self._write_buffer.put(b"%x\r\n%b\r\n" % (len(part), part))
        else:
            self._event(h11.Data(data=part))

    def _event(self, event: Any) -> None:
        self._write_buffer.put(self._http.send(event) or b"")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return format_date_time(second).encode()


def target_of(request: h11.Request) -> Target:
    """What a request is for; raises `BadRequest`."""
    names = [name for name, _ in request.headers]
    if len(names) > HEAD_FIELDS:
        raise BadRequest(f"A request may have {HEAD_FIELDS} header fields.", "head_too_large")
    if request.http_version not in (b"1.1", b"1.0"):
        raise BadRequest("This server speaks HTTP/1.1 and HTTP/1.0.")
    if b"transfer-encoding" in names and (
        b"content-length" in names or request.http_version == b"1.0"
    ):
        raise BadRequest("A body has a Content-Length or, in HTTP/1.1, a Transfer-Encoding.")
    target = Target(request.target)
    if target.path.lower().startswith((b"http://", b"https://")):
        try:
            url = urlsplit(target.path)
            host = url.netloc.rpartition(b"@")[2]
        except ValueError:
            host = b""
        if not host:
            raise BadRequest("The target of the request is no URL.")
        target = Target((url.path or b"/") + (b"?" + url.query if url.query else b""), host)
    if not target.path.startswith(b"/"):
        raise BadRequest("The target of a request is a path, which begins with a slash.")
    return target
