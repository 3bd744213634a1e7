"""One client's connection: HTTP/1.1 over h11, between a socket and an ASGI app.

It takes the place of Hypercorn's connection class. Each fault of that one has a test in
`tests/test_http_faults.py`. Here:

- No client's fault leaves `run`. There is neither h2c nor HTTP/2: an upgrade is ignored, as RFC 9110
  allows.
- Nothing is shielded from cancellation, and a client that reads nothing for long is dropped, so no
  client can hold up the shutdown.
- Every wait for the client has a deadline (`web.http.limits`), in one cancel scope.
- `Content-Length` beside `Transfer-Encoding` is refused, since it smuggles requests past a proxy.
- Reading goes on, up to a bound, while a request is answered, so that a client's departure is noticed
  although it has pipelined a request.
- The pieces of a response meet in the write buffer and leave in one system call.

A connection has two tasks: this one, which reads, and that of the app, which answers and writes, one
request after another. What a connection holds while it waits is kept small, since there may be
thousands. That is why a stream is sent by the server once the app has returned.

    idle --head--> request --body--> response --both complete--> idle, or the end

Rule: a client that is lost ends a stream at once. An app that still runs gets `http.disconnect` and
`disconnect_grace_s` to return, and is cancelled then. TCP cannot tell a client that has gone from one
that has only closed its side (`nc -N`). The latter does that right after its request: before the
response begins, or within `AT_ONCE_S`, it counts as present until the response pauses for `HALF_CLOSED_S`.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from enum import Enum, auto
from socket import SHUT_WR
from typing import Any, assert_never

import h11
import trio

from web.http.connection_table import ConnectionTable
from web.http.limits import (
    AT_ONCE_S,
    NEVER,
    ClientState,
    Expiry,
    Limits,
    Reading,
    Writing,
    read_deadline,
    write_deadline,
)
from web.http.request_cycle import (
    UNREAD_BYTES,
    BadRequest,
    RenderError,
    RequestCycle,
    target_of,
)
from web.http.write_buffer import ClientLost, WriteBuffer

log = logging.getLogger(__name__)

READ_BYTES = 32 * 1024
"""The most that is read at a time, and how far a client may send ahead of what is answered."""

HEAD_BYTES = 32 * 1024
"""The most bytes of a request's head, its last empty line included."""

_HEAD_END = re.compile(rb"\n\r?\n")

LINGER_S = 1.0
"""After the last response the client gets this long to close first, so that the response reaches it:
closing a socket with unread bytes in it resets the connection and discards what was sent."""

LONGEST_LINGER_S = 10.0
"""A client that still sends a body, which was refused, gets up to this long to come to its end: many
clients read no response before that."""


class ClientStalled(Exception):
    """The client took nothing for as long as a client may."""


class Phase(Enum):
    """The life of a connection. It only moves down."""

    OPEN = auto()
    RETIRING = auto()  # The response that is under way is the last one.
    CLOSING = auto()  # The last response is complete.
    LOST = auto()  # The client is gone.


class Connection:
    """Serves one client until the connection is closed."""

    def __init__(
        self,
        app: Any,
        socket: trio.socket.SocketType,
        *,
        limits: Limits,
        render_error: RenderError,
        table: ConnectionTable,
    ) -> None:
        self._app = app
        self._socket = socket
        self._limits = limits
        self._render_error = render_error
        self._table = table
        self._write_buffer = WriteBuffer(socket, table, self._write_blocked)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._cycle: RequestCycle | None = None
        self._nursery: trio.Nursery | None = None
        self._client: Any = None
        self._server: Any = None
        self._phase = Phase.OPEN
        self._waiting = trio.CancelScope()
        self._woken = False
        self._half_closed = False
        self._ahead = 0
        self._since = trio.current_time()
        self._received = 0
        self._read_due = NEVER
        self._released_for: float | None = None

    # --- for the server -------------------------------------------------------------------------

    def close_now(self) -> None:
        """End it, whatever it does."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def retire(self, within_s: float, answer_s: float) -> None:
        """End it after the response that is under way, or after so many seconds.

        An app that works on a whole request gets `answer_s`, as what it does may be done already.
        """
        if self._phase is Phase.OPEN:
            self._phase = Phase.RETIRING
        if self._cycle is None and self._write_buffer.empty:
            self.close_now()
        elif self._nursery is not None:
            cycle = self._cycle
            waits = cycle is not None and not (cycle.begun or cycle.disconnected)
            whole = self._http.their_state is not h11.SEND_BODY
            self._end_within(answer_s if waits and whole else within_s)
            if cycle is not None:
                cycle.must_close = True

    async def run(self) -> None:
        """Serve the client. Raises nothing but cancellation."""
        self._table.add(self)
        try:
            self._client = _address(self._socket.getpeername())
            self._server = _address(self._socket.getsockname())
            async with trio.open_nursery() as self._nursery:
                # What leaves the block of a nursery makes a cycle with the tasks that it cancels.
                try:
                    await self._converse()
                except ClientStalled:
                    self._table.ended["stalled"] += 1
                except (OSError, trio.BrokenResourceError):
                    log.debug("a client is gone")
                self._end_app()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("a client is gone")
        except* Exception as faults:
            log.warning("a connection has failed and is closed", exc_info=faults)
        finally:
            self._write_buffer.close()
            # It and the write buffer refer to us: a cycle would wait for the collector.
            self._cycle = None
            self._table.remove(self)
            self._socket.close()

    def _end_app(self) -> None:
        """The connection is over. An app that runs gets `http.disconnect` and some time."""
        cycle = self._cycle
        if cycle is None or cycle.returned:
            self.close_now()
            return
        cycle.disconnect()
        self._write_buffer.close()
        self._socket.close()
        self._end_within(self._limits.disconnect_grace_s)

    def _end_within(self, seconds: float) -> None:
        assert self._nursery is not None
        scope = self._nursery.cancel_scope
        scope.deadline = min(scope.deadline, trio.current_time() + seconds)

    # --- reading --------------------------------------------------------------------------------

    async def _converse(self) -> None:
        try:
            while self._phase in (Phase.OPEN, Phase.RETIRING):
                await self._next()
        except BadRequest as bad:
            self._refuse(bad)
        if self._phase is Phase.LOST:
            return
        with trio.move_on_after(self._limits.write_timeout_s):
            await self._write_buffer.flush()
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(LONGEST_LINGER_S):
            self._socket.shutdown(SHUT_WR)
            with trio.move_on_after(LINGER_S) as linger:
                while not self._half_closed and await self._socket.recv(READ_BYTES):
                    linger.deadline = trio.current_time() + LINGER_S

    async def _next(self) -> None:
        """Handle the next event, or wait for one."""
        if self._http.their_state is h11.IDLE:
            # h11 has no bound for a head that is complete when it comes.
            come = self._http.trailing_data[0]
            if len(come) > HEAD_BYTES and not _HEAD_END.search(come, 0, HEAD_BYTES):
                raise _too_long()
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                raise _too_long() from None
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
                self._phase = Phase.CLOSING
            case _:
                await self._wait()

    async def _body_came(self, data: bytes) -> None:
        self._received += len(data)
        cycle = self._cycle
        if cycle is None:
            return
        cycle.body_came(data)
        while cycle.unread >= UNREAD_BYTES and cycle is self._cycle and not self._woken:
            with trio.CancelScope(deadline=self._deadline()) as self._waiting:
                await self._write_buffer.moved.park()
            if self._waiting.cancelled_caught:
                self._out_of_time()

    async def _wait(self) -> None:
        """Wait for bytes, for the end of the cycle, or until a deadline of the client."""
        in_body = self._http.their_state is h11.SEND_BODY
        self._ahead = 0 if in_body else len(self._http.trailing_data[0])
        with trio.CancelScope(deadline=self._deadline()) as self._waiting:
            if self._woken:
                pass
            elif self._half_closed or (self._cycle and self._ahead >= READ_BYTES):
                await trio.sleep_forever()
            else:
                # Waiting first makes a parked connection a kilobyte smaller.
                await trio.lowlevel.wait_readable(self._socket)
                self._came(await self._received_some())
        if self._waiting.cancelled_caught and not self._woken:
            self._out_of_time()
        self._woken = False
        if self._cycle is None and self._phase is Phase.OPEN:
            await self._table.requests.acquire()

    async def _received_some(self) -> bytes:
        """What the client has sent; nothing, if it will send no more."""
        # `recv` would wait for the next tick, as if nobody had waited before.
        data = None
        while data is None:
            try:
                data = os.read(self._socket.fileno(), READ_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
            except OSError:
                await self._table.closes.acquire()
                raise
        if not data:
            await self._table.closes.acquire()
        return data

    def _came(self, data: bytes) -> None:
        self._http.receive_data(data)
        if not data:
            self._half_close()
        if not self._ahead and self._cycle is None:
            self._since = trio.current_time()
            self._table.mark_busy(self)

    def _half_close(self) -> None:
        self._half_closed = True
        begun = self._cycle is not None and self._cycle.begun
        late = trio.current_time() >= self._since + AT_ONCE_S
        if begun and late and self._http.our_state is h11.SEND_BODY and not self._ahead:
            raise ClientLost("the client has left")
        if self._cycle is not None:
            self._cycle.half_closed()

    def _wake(self) -> None:
        """End the reading task's wait, or its next one."""
        self._woken = True
        self._waiting.cancel()

    # --- deadlines ------------------------------------------------------------------------------

    def _state(self) -> ClientState:
        blocked_since = self._write_buffer.blocked_since
        if blocked_since is None:
            writing = Writing.FLOWING
        elif blocked_since == self._released_for:
            writing = Writing.RELEASED
        else:
            writing = Writing.BLOCKED
        return ClientState(
            trio.current_time(),
            self._reading(),
            self._since,
            self._received,
            writing,
            blocked_since or 0.0,
        )

    def _reading(self) -> Reading:
        if self._half_closed:
            return Reading.CLOSED
        if self._cycle is None:
            return Reading.HEAD if self._ahead else Reading.IDLE
        if self._http.their_state is h11.SEND_BODY and self._cycle.unread < UNREAD_BYTES:
            return Reading.BODY
        return Reading.NOTHING

    def _deadline(self) -> float:
        """When the client has had its time, as things stand."""
        state = self._state()
        self._read_due = read_deadline(state, self._limits)
        return min(self._read_due.at, write_deadline(state, self._limits).at)

    def _write_blocked(self) -> None:
        """The client takes no more for now."""
        due = write_deadline(self._state(), self._limits)
        self._waiting.deadline = min(self._waiting.deadline, due.at)

    def _out_of_time(self) -> None:
        state = self._state()
        for due in (write_deadline(state, self._limits), self._read_due):
            if due.then is not None and state.now >= due.at:
                self._expired(due.then)
                return

    def _expired(self, expiry: Expiry) -> None:
        cycle = self._cycle
        match expiry:
            case Expiry.CLOSE_IDLE:
                self._table.ended["idle"] += 1
                self._phase = Phase.CLOSING
            case Expiry.REFUSE_HEAD | Expiry.REFUSE_BODY:
                self._table.ended["slow"] += 1
                part = "head" if expiry is Expiry.REFUSE_HEAD else "body"
                detail = f"The {part} of the request did not come in time."
                raise BadRequest(detail, "request_timeout")
            case Expiry.CHECK_CLIENT:
                if cycle is not None and cycle.begun and self._write_buffer.empty:
                    if cycle.quiet:
                        raise ClientLost("the client has left")
                    cycle.quiet = True
            case Expiry.RELEASE:
                self._released_for = self._write_buffer.blocked_since
                if cycle is not None:
                    cycle.release()
            case Expiry.CLOSE_STALLED:
                raise ClientStalled("the client reads nothing")
            case _:
                assert_never(expiry)

    # --- answering ------------------------------------------------------------------------------

    def _begin(self, request: h11.Request) -> None:
        """Let the app answer a request."""
        self._table.mark_busy(self)
        self._since, self._received = trio.current_time(), 0
        cycle = self._cycle = self._new_cycle(head_only=request.method == b"HEAD")
        cycle.must_close = self._phase is Phase.RETIRING
        target = target_of(request)
        scope = cycle.scope_of(request, target, self._client, self._server)
        assert self._nursery is not None
        self._nursery.start_soon(self._answer, cycle, scope)

    def _new_cycle(self, *, head_only: bool) -> RequestCycle:
        return RequestCycle(
            self._http,
            self._write_buffer,
            self._render_error,
            self._client_lost,
            head_only=head_only,
        )

    def _client_lost(self) -> None:
        self._phase = Phase.LOST
        self._wake()

    async def _answer(self, cycle: RequestCycle, scope: dict[str, Any]) -> None:
        path = scope["path"]
        try:
            await self._app(scope, cycle.receive, cycle.send)
            del scope  # A stream can be long.
            cycle.returned = True
            await cycle.send_stream()
        except* ClientLost:
            cycle.disconnect()
            self._client_lost()
        except* Exception as faults:
            level = logging.DEBUG if cycle.disconnected else logging.ERROR
            log.log(level, "a request failed: %s", path, exc_info=faults)
        cycle.returned = True
        if cycle.disconnected:
            return
        if not cycle.begun:
            detail = "The server has met a bug; its log says more."
            cycle.answer("internal_error", detail, path)
            await self._write_buffer.flush()
        self._recycle()

    def _recycle(self) -> None:
        """The cycle has ended: wait for the next request, or let the connection end."""
        self._cycle = None
        self._write_buffer.moved.unpark_all()
        done = self._http.our_state is self._http.their_state is h11.DONE
        if not done or self._phase is not Phase.OPEN:
            if self._phase is not Phase.LOST:
                self._phase = Phase.CLOSING
            self._wake()
            return
        self._http.start_next_cycle()
        self._since = trio.current_time()
        if self._ahead or self._half_closed:
            self._wake()
        else:
            self._table.mark_idle(self)
            self._waiting.deadline = self._deadline()

    def _refuse(self, bad: BadRequest) -> None:
        """Say what is wrong, if it can still be said; the connection ends in any case."""
        cycle = self._cycle or self._new_cycle(head_only=False)
        cycle.disconnect()
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            cycle.answer(bad.code, bad.detail)


def _too_long() -> BadRequest:
    return BadRequest(f"The head has more than {HEAD_BYTES:,} bytes.", "head_too_large")


def _address(name: Any) -> tuple[str, int] | None:
    """A socket's address as ASGI wants it; None if it has neither host nor port."""
    return (name[0], name[1]) if isinstance(name, tuple) else None
