"""One client's connection: HTTP/1.1 over h11, between a socket and an ASGI app.

It is a `TCPServer` of Hypercorn's Trio worker, made anew inside. What was wrong with that one, and
how it is here:

- One client's fault could end the worker (an `Upgrade: h2c` with bad base64). Here nothing leaves
  `run` but a cancellation, and there is neither h2c nor HTTP/2: an upgrade is ignored, as RFC 9110
  allows.
- A client that stopped reading could hold up the shutdown, since sends were shielded. Nothing is
  shielded here, and who reads nothing for long is dropped.
- Idle connections never expired; `Connection: close` closed nothing; heads and bodies could take for
  ever. Here one cancel scope, around the wait for the next bytes, is the watchdog for all of them.
- `Content-Length` beside `Transfer-Encoding` was taken, which smuggles requests past a proxy.
- A pipelined request blocked the reader, so that nobody noticed the client leaving. Here reading
  goes on, up to a bound, while a request is answered.
- Each piece of a response cost a system call and a lock. Here they meet in the write_buffer.

The tasks of a connection: this one, which reads, and that of the app, which answers and writes, one
request after another. A stream of a thousand clients is paid for a thousand times: what one holds
while it waits is kept small, which is why a stream is sent by us once the app has returned.

    rest --head--> request --body--> answer --both complete--> rest, or the end

Rule: a client that is lost cancels the app, at once. TCP cannot tell a client that has gone from one
that only says that it will send no more (`nc -N`). The latter says so right after its request, so
before its answer begins it is believed, and gets the answer, until that pauses for `HALF_CLOSED_S`.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import h11
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from web.http.request_cycle import UNREAD_BYTES, RequestCycle
from web.http.traffic import Traffic
from web.http.write_buffer import ClientLost, WriteBuffer
from web.settings.model import ServerSettings

log = logging.getLogger(__name__)

READ_BYTES = 32 * 1024
"""The most that is read at a time, and how far a client may send ahead of what is answered."""

HEAD_BYTES = 32 * 1024
HEAD_FIELDS = 100

LINGER_S = 1.0
"""After the last response the client gets this long to close first, so that the answer reaches it:
a connection closed with unread bytes in it is reset, and takes what was sent along."""

LET_GO_S = 0.5
"""A client that takes nothing for so long is worth forgetting whatever can be had again."""

HALF_CLOSED_S = 0.2
MIN_BODY_RATE = 4 * 1024
"""Bytes per second that a body must come with on the whole, once its first time is over."""


class ClientStalled(Exception):
    """The client took nothing for as long as a client may."""


class BadRequest(Exception):
    """What the client sends is not HTTP that this server takes; the connection ends with it."""

    def __init__(self, detail: str, code: str = "bad_request") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class Connection(TCPServer):
    """Awaiting it serves the client until the connection is closed."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: ConnectionState,
        stream: trio.SocketStream,
        *,
        settings: ServerSettings,
        traffic: Traffic,
    ) -> None:
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type]
        self.send_lock = self.idle_task = None  # type: ignore[assignment]  # Not used here.
        self._settings = settings
        self._traffic = traffic
        self._write_buffer = WriteBuffer(stream.socket, traffic, self._watch)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._cycle: RequestCycle | None = None
        self._nursery: trio.Nursery | None = None
        self._client: Any = None
        self._server: Any = None
        self._waiting = trio.CancelScope()
        self._woken = False
        self._new = False
        self._over = False
        self._retired = False
        self._half_closed = False
        self._ahead = 0
        self._since = trio.current_time()
        self._received = 0
        self._send_by = math.inf
        self._let_go_for: float | None = None

    # --- for the server -------------------------------------------------------------------------

    def close_now(self) -> None:
        """End it, whatever it does."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def retire(self, patience_s: float) -> None:
        """End it as soon as it has answered what it was asked, or after so many seconds."""
        self._retired = True
        if self._cycle is None and self._write_buffer.empty:
            self.close_now()
        elif self._nursery is not None:
            self._nursery.cancel_scope.deadline = trio.current_time() + patience_s
            if self._cycle is not None:
                self._cycle.must_close = True

    async def run(self) -> None:
        """Serve the client. Raises nothing but cancellation."""
        self._traffic.entered(self)
        self._traffic.rests(self)
        try:
            socket = self.stream.socket
            self._client = parse_socket_addr(socket.family, socket.getpeername())
            self._server = parse_socket_addr(socket.family, socket.getsockname())
            async with trio.open_nursery() as self._nursery:
                # What leaves the block of a nursery makes a cycle with the tasks that it cancels.
                try:
                    await self._converse()
                except ClientStalled:
                    self._traffic.ended["stalled"] += 1
                except (OSError, trio.BrokenResourceError):
                    log.debug("a client is gone")
                self._nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("a client is gone")
        except* Exception as faults:
            log.warning("a connection has failed and is closed", exc_info=faults)
        finally:
            self._write_buffer.close()
            # It and the write_buffer know us: a cycle would wait for the collector.
            self._cycle = None
            self._traffic.left(self)
            await trio.aclose_forcefully(self.stream)

    # --- reading --------------------------------------------------------------------------------

    async def _converse(self) -> None:
        try:
            while not self._over:
                await self._next()
        except BadRequest as bad:
            self._refuse(bad)
        with trio.move_on_after(self._settings.write_timeout_s):
            await self._write_buffer.flush()
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(LINGER_S):
            await self.stream.send_eof()
            while not self._half_closed and await self.stream.receive_some(READ_BYTES):
                pass

    async def _next(self) -> None:
        """Do what the next event wants, or wait for one."""
        if self._new and self._cycle is None:
            await self._traffic.request_gate.admit()
        self._new = False
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                raise BadRequest("The head is too long.", "head_too_large") from None
            raise BadRequest(f"This is not HTTP: {error}.") from None
        match event:
            case h11.Request():
                self._begin(event)
            case h11.Data():
                await self._body_came(bytes(event.data))
            case h11.EndOfMessage():
                if self._cycle is not None:
                    self._cycle.body_ended()
            case h11.ConnectionClosed() if self._cycle is None:
                self._over = True
            case _:
                await self._wait()

    async def _body_came(self, data: bytes) -> None:
        self._received += len(data)
        cycle = self._cycle
        if cycle is not None:
            cycle.body_came(data)
            while cycle.unread >= UNREAD_BYTES and cycle is self._cycle:
                with trio.CancelScope(deadline=self._deadline()) as self._waiting:
                    await self._write_buffer.moved.park()
                if self._waiting.cancelled_caught:
                    self._out_of_time()

    async def _wait(self) -> None:
        """Wait for bytes, for the end of the cycle, or until the client has had its time."""
        in_body = self._http.their_state is h11.SEND_BODY
        self._ahead = 0 if in_body else len(self._http.trailing_data[0])
        with trio.CancelScope(deadline=self._deadline()) as self._waiting:
            if self._woken:
                pass
            elif self._half_closed or (self._cycle and self._ahead >= READ_BYTES):
                await trio.sleep_forever()
            else:
                # Waiting first makes a parked connection a kilobyte smaller.
                await trio.lowlevel.wait_readable(self.stream.socket)
                self._came(await self._received_some())
        if self._waiting.cancelled_caught and not self._woken:
            self._out_of_time()
        self._woken, self._new = False, True

    async def _received_some(self) -> bytes:
        """What the client has sent; nothing, if it will send no more."""
        try:
            data = bytes(await self.stream.receive_some(READ_BYTES))
        except trio.BrokenResourceError:
            await self._traffic.close_gate.admit()
            raise
        if not data:
            await self._traffic.close_gate.admit()
        return data

    def _came(self, data: bytes) -> None:
        self._http.receive_data(data)
        if not data:
            self._half_close()
        if not self._ahead and self._cycle is None:
            self._since = trio.current_time()
            self._traffic.works(self)

    def _half_close(self) -> None:
        self._half_closed = True
        begun = self._cycle is not None and self._cycle.begun
        if begun and self._http.our_state is h11.SEND_BODY and not self._ahead:
            raise ClientLost("the client has left")
        if self._cycle is not None:
            self._cycle.half_closed()

    def _wake(self) -> None:
        self._woken = True
        self._waiting.cancel()

    def _watch(self) -> None:
        """The client takes no more for now."""
        self._waiting.deadline = min(self._waiting.deadline, self._deadline_to_take())

    # --- the watchdog ---------------------------------------------------------------------------

    def _deadline(self) -> float:
        """When the client has had its time, as things stand."""
        self._send_by = self._deadline_to_send()
        return min(self._send_by, self._deadline_to_take())

    def _deadline_to_send(self) -> float:
        settings = self._settings
        if self._half_closed:
            return trio.current_time() + HALF_CLOSED_S
        if self._cycle is None:
            return self._since + (settings.request_head_s if self._ahead else settings.keep_alive_s)
        if self._http.their_state is h11.SEND_BODY and self._cycle.unread < UNREAD_BYTES:
            slowly = self._since + self._received / MIN_BODY_RATE
            return min(slowly, trio.current_time()) + settings.request_body_s
        return math.inf

    def _deadline_to_take(self) -> float:
        blocked_since = self._write_buffer.blocked_since
        if blocked_since is None:
            return math.inf
        if blocked_since != self._let_go_for:
            return blocked_since + min(LET_GO_S, self._settings.write_timeout_s)
        return blocked_since + self._settings.write_timeout_s

    def _out_of_time(self) -> None:
        now = trio.current_time()
        if now >= self._deadline_to_take():
            self._takes_nothing(now)
        elif self._half_closed:
            self._says_no_more()
        elif now >= self._send_by:
            self._sends_nothing()

    def _takes_nothing(self, now: float) -> None:
        blocked_since = self._write_buffer.blocked_since
        assert blocked_since is not None
        if now >= blocked_since + self._settings.write_timeout_s:
            raise ClientStalled("the client reads nothing")
        self._let_go_for = blocked_since
        if self._cycle is not None:
            self._cycle.let_go()

    def _says_no_more(self) -> None:
        cycle = self._cycle
        if cycle is not None and cycle.begun and self._write_buffer.empty:
            if cycle.quiet:
                raise ClientLost("the client has left")
            cycle.quiet = True

    def _sends_nothing(self) -> None:
        if self._cycle is None and not self._ahead:
            self._traffic.ended["idle"] += 1
            self._over = True
        else:
            self._traffic.ended["slow"] += 1
            part = "head" if self._cycle is None else "body"
            detail = f"The {part} of the request did not come in time."
            raise BadRequest(detail, "request_timeout")

    # --- answering ------------------------------------------------------------------------------

    def _begin(self, request: h11.Request) -> None:
        """Let the app answer a request."""
        self._traffic.works(self)
        self._since, self._received = trio.current_time(), 0
        cycle = self._cycle = RequestCycle(
            self._http, self._write_buffer, self._headers, head_only=request.method == b"HEAD"
        )
        cycle.must_close = self._retired
        target = _check(request)
        scope = cycle.scope_of(request, target, self._client, self._server)
        assert self._nursery is not None
        self._nursery.start_soon(self._answer, cycle, scope)

    async def _answer(self, cycle: RequestCycle, scope: dict[str, Any]) -> None:
        path = scope["path"]
        spawn, call = trio.to_thread.run_sync, trio.from_thread.run
        try:
            await self.app(scope, cycle.receive, cycle.send, spawn, call)  # type: ignore[arg-type]
            del scope  # A stream can be long.
            await cycle.send_stream()
        except* ClientLost:
            cycle.abandoned = True
            self.close_now()
        except* Exception as faults:
            log.error("a request failed: %s", path, exc_info=faults)
        if cycle.abandoned:
            return
        if not cycle.begun:
            detail = "The server has met a bug; its log says more."
            cycle.answer("internal_error", detail, path)
            await self._write_buffer.flush()
        self._recycle()

    def _recycle(self) -> None:
        """The cycle has ended: wait for the next request, or let the connection end."""
        cycle, self._cycle = self._cycle, None
        assert cycle is not None
        self._write_buffer.moved.unpark_all()
        done = self._http.our_state is self._http.their_state is h11.DONE
        if not done or self._retired:
            self._over = True
            self._wake()
            return
        self._http.start_next_cycle()
        self._since = trio.current_time()
        if self._ahead or self._half_closed:
            self._wake()
        else:
            self._traffic.rests(self)
            self._waiting.deadline = self._deadline()

    def _refuse(self, bad: BadRequest) -> None:
        """Say what is wrong, if it can still be said; the connection ends in any case."""
        cycle = self._cycle or RequestCycle(self._http, self._write_buffer, self._headers)
        cycle.abandoned = True
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            cycle.answer(bad.code, bad.detail)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return self.config.response_headers("h11")


def _check(request: h11.Request) -> bytes:
    """The path and query that a request is for; raises `BadRequest`."""
    names = [name for name, _ in request.headers]
    if len(names) > HEAD_FIELDS:
        raise BadRequest(f"A request may have {HEAD_FIELDS} header fields.", "head_too_large")
    if request.http_version not in (b"1.1", b"1.0"):
        raise BadRequest("This server speaks HTTP/1.1 and HTTP/1.0.")
    if b"transfer-encoding" in names and (
        b"content-length" in names or request.http_version == b"1.0"
    ):
        raise BadRequest("A body has a Content-Length or, in HTTP/1.1, a Transfer-Encoding.")
    target = request.target
    if target.startswith((b"http://", b"https://")):
        try:
            url = urlsplit(target)
        except ValueError:
            raise BadRequest("The request's target is no URL.") from None
        target = (url.path or b"/") + (b"?" + url.query if url.query else b"")
    if not target.startswith(b"/"):
        raise BadRequest("A request is for a path, which begins with a slash.")
    return target
