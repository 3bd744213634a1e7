"""An HTTP server for one ASGI app: it listens, bounds the number of clients, and ends on time.

Of Hypercorn it uses the creation of the sockets and the ASGI lifespan. Where and why the rest differs
is said in `web.http.connection`.

Rule: the number of connections is bounded. At the bound the connection that has been idle longest is
closed for a new one. If none is idle the new client is answered 503. It is accepted for that: in the
kernel's queue it would wait without an answer, and health checks with it.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.typing import LifespanState
from hypercorn.utils import repr_socket_addr, wrap_app

from actors.runtime.fairness import ACCEPTS_PER_TICK
from web.http.connection import READ_BYTES, Connection
from web.http.connection_table import ConnectionTable
from web.http.limits import Limits
from web.http.request_cycle import RenderError

log = logging.getLogger(__name__)

BACKLOG = 1024

CLOSING_S = 1.0
"""Time that responses get, once the server stops, to reach their clients."""

ANSWER_S = 12.0
"""Time that apps get, once the server stops, to answer requests that have come in whole. A task may be
stored, though its client has no answer yet: the log may be locked by a backup, for example."""

OTHER_FILES = 256
"""File descriptors kept for everything but connections: databases, listeners, child processes."""

CLIENT_OPTIONS = {"TCP_NODELAY": 1, "TCP_NOTSENT_LOWAT": 16 * 1024}
"""Small pieces leave at once, and the kernel takes little ahead of what the client reads.
`trio.SocketStream` does the same, and takes a kilobyte for each client."""

NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

REFUSALS = 64
"""How many clients at a time are answered that the server is full; more are just closed."""


async def serve(
    app: Any,
    bind: str,
    *,
    limits: Limits,
    render_error: RenderError,
    table: ConnectionTable | None = None,
    shutdown_trigger: Callable[[], Awaitable[object]] = trio.sleep_forever,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI app until `shutdown_trigger` returns; started with the URLs it listens at."""
    config = Config()
    config.bind = [bind]
    state: LifespanState = {}
    lifespan = Lifespan(wrap_app(app, config.wsgi_max_body_size, "asgi"), config, state)
    server = Server(app, limits, render_error, table or ConnectionTable())
    async with trio.open_nursery() as living:
        await living.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        living.start_soon(server.table.requests.run)
        living.start_soon(server.table.closes.run)
        async with trio.open_nursery() as connections:
            with listening(config) as listeners:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(accept, listener, server.admit, connections)
                    task_status.started([_url(listener) for listener in listeners])
                    await shutdown_trigger()
                    accepting.cancel_scope.cancel()
            server.retire()
        await lifespan.wait_for_shutdown()
        living.cancel_scope.cancel()


class Server:
    """Which clients are served, and how their connections end."""

    def __init__(
        self, app: Any, limits: Limits, render_error: RenderError, table: ConnectionTable
    ) -> None:
        self.table = table
        self._app = app
        self._limits = limits
        self._render_error = render_error
        self._most = min(limits.max_connections, raise_file_limit(limits.max_connections))
        self._refusing = 0

    async def admit(self, client: trio.socket.SocketType) -> None:
        """Serve one client, or answer that there is no room."""
        if len(self.table.open) < self._most or self.table.make_room():
            connection = Connection(
                self._app,
                client,
                limits=self._limits,
                render_error=self._render_error,
                table=self.table,
            )
            await connection.run()
            return
        async with trio.SocketStream(client) as stream:
            if self._refusing < REFUSALS:
                self._refusing += 1
                try:
                    await self._refuse(stream)
                finally:
                    self._refusing -= 1

    async def _refuse(self, stream: trio.SocketStream) -> None:
        self.table.ended["refused"] += 1
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(CLOSING_S):
            await stream.send_all(self._full())
            await stream.send_eof()
            while await stream.receive_some(READ_BYTES):
                pass

    def _full(self) -> bytes:
        status, headers, body = self._render_error(
            "overloaded", "The server has as many clients as it can take.", ""
        )
        lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join([*lines, b"connection: close", b"", body])

    def retire(self) -> None:
        """Let every connection end: at once if it is idle, else within `CLOSING_S` or `ANSWER_S`."""
        for connection in list(self.table.open):
            connection.retire(CLOSING_S, ANSWER_S)


class CannotListen(OSError):
    """The address cannot be listened at. The person's move: another address, or end what uses it."""

    def __init__(self, bind: str, error: OSError) -> None:
        match error.errno:
            case errno.EADDRINUSE:
                why = "Another program uses this address. End it, or choose another port."
            case errno.EACCES:
                why = "Only root may use this port. Choose one from 1024."
            case _:
                why = f"{error.strerror or error}. Choose another address."
        super().__init__(f"Cannot listen at {bind}: {why}")


@contextmanager
def listening(config: Config) -> Iterator[list[socket.socket]]:
    """Sockets that listen, on every address of `bind`. Raises `CannotListen`."""
    with ExitStack() as closing:
        try:
            listeners: list[socket.socket] = config.create_sockets().insecure_sockets
            for listener in listeners:
                closing.enter_context(listener)
                listener.setblocking(False)
                listener.listen(BACKLOG)
        except OSError as error:
            raise CannotListen(", ".join(config.bind), error) from None
        yield listeners


async def accept(
    listener: socket.socket,
    admit: Callable[[trio.socket.SocketType], Awaitable[None]],
    connections: trio.Nursery,
) -> None:
    """Accept clients, for ever; see `ACCEPTS_PER_TICK`."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(ACCEPTS_PER_TICK):
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:  # Other errors mean that the client has gone again.
                if error.errno in NO_MORE_FILES:
                    log.error("no client can be accepted at the moment: %s", error)
                    await trio.sleep(0.1)
                break
            _prepare(client)
            connections.start_soon(admit, trio.socket.from_stdlib_socket(client))
        else:
            await trio.lowlevel.checkpoint()


def _prepare(client: socket.socket) -> None:
    for name, value in CLIENT_OPTIONS.items():
        with suppress(OSError, AttributeError):  # Unix sockets and other systems do not have it.
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _url(listener: socket.socket) -> str:
    return f"http://{repr_socket_addr(listener.family, listener.getsockname())}"


def raise_file_limit(connections: int) -> int:
    """Let this process open that many connections if it may; returns how many it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else max(soft - OTHER_FILES, 1)
