"""Terzetto's HTTP server: it listens, limits how many clients there are, and ends on time.

What it keeps of Hypercorn is the configuration, the sockets, the ASGI lifespan and the form of
`serve`. Where and why it differs is told in `web.http.connection`.

Rule: the number of connections is bounded. When it is reached, the one that rested longest goes;
only if none rests, the newcomer is told 503. It is accepted for that: a client left in the kernel's
queue would wait in the dark, and health checks with it.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import repr_socket_addr, wrap_app

from web.api.problems import CONTENT_TYPE, problem_body
from web.http.connection import READ_BYTES, Connection
from web.http.traffic import Traffic
from web.settings.model import ServerSettings

log = logging.getLogger(__name__)

CLOSING_S = 1.0
"""Time that responses get, once the server stops, to reach their clients."""

OTHER_FILES = 256
"""File descriptors kept for everything but connections: databases, listeners, child processes."""

ACCEPTED_AT_ONCE = 16
"""How many clients that wait are let in before others go first."""

NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

REFUSALS = 64
"""How many clients are told that the server is full at the same time; more are just closed."""


async def serve(
    app: Any,
    settings: ServerSettings,
    *,
    traffic: Traffic | None = None,
    shutdown_trigger: Callable[[], Awaitable[object]] = trio.sleep_forever,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI app until `shutdown_trigger` returns; started with the URLs it listens at."""
    config = config_of(settings)
    state: LifespanState = {}
    wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")
    lifespan = Lifespan(wrapped, config, state)
    server = Server(wrapped, config, settings, traffic or Traffic())
    async with trio.open_nursery() as living:
        await living.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        living.start_soon(server.traffic.request_gate.open_each_tick)
        living.start_soon(server.traffic.close_gate.open_each_tick)
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
    """Whoever is let in, and how it ends."""

    def __init__(
        self, app: Any, config: Config, settings: ServerSettings, traffic: Traffic
    ) -> None:
        self.traffic = traffic
        self._most = min(settings.max_connections, raise_file_limit(settings.max_connections))
        self._refusing = 0
        self._connection = partial(
            Connection,
            app,
            config,
            WorkerContext(None),
            ConnectionState({}),
            settings=settings,
            traffic=traffic,
        )

    async def admit(self, stream: trio.SocketStream) -> None:
        """Serve one client, or tell it that there is no room."""
        if len(self.traffic.open) < self._most or self.traffic.make_room():
            await self._connection(stream)
            return
        async with stream:
            if self._refusing < REFUSALS:
                self._refusing += 1
                try:
                    await self._refuse(stream)
                finally:
                    self._refusing -= 1

    async def _refuse(self, stream: trio.SocketStream) -> None:
        self.traffic.ended["refused"] += 1
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(CLOSING_S):
            await stream.send_all(_FULL)
            await stream.send_eof()
            while await stream.receive_some(READ_BYTES):
                pass

    def retire(self) -> None:
        """Let every connection end: at once what rests, within `CLOSING_S` what answers."""
        for connection in list(self.traffic.open):
            connection.retire(CLOSING_S)


def _full() -> bytes:
    body = problem_body("overloaded", "The server has as many clients as it can take.", "")
    head = (
        "HTTP/1.1 503 Service Unavailable\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_FULL = _full()


def config_of(settings: ServerSettings) -> Config:
    """Hypercorn's settings for a server like this."""
    found = Config()
    found.bind = [settings.bind]
    found.backlog = 1024
    found.loglevel = "WARNING"
    found.include_server_header = False
    return found


@contextmanager
def listening(config: Config) -> Iterator[list[socket.socket]]:
    """Sockets that listen, on every address that was asked for."""
    listeners: list[socket.socket] = config.create_sockets().insecure_sockets
    try:
        for listener in listeners:
            listener.setblocking(False)
            listener.listen(config.backlog)
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


async def accept(
    listener: socket.socket,
    admit: Callable[[trio.SocketStream], Awaitable[None]],
    connections: trio.Nursery,
) -> None:
    """Let clients in, for ever.

    `trio.serve_listeners` accepts one in each round of the loop. Under load, when a round takes long,
    newcomers would wait for minutes.
    """
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:  # Else it is the client's trouble, who has gone again.
                if error.errno in NO_MORE_FILES:
                    log.error("no client can be accepted at the moment: %s", error)
                    await trio.sleep(0.1)
                break
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
            connections.start_soon(admit, stream)
        else:
            await trio.lowlevel.checkpoint()


def _url(listener: socket.socket) -> str:
    return f"http://{repr_socket_addr(listener.family, listener.getsockname())}"


def raise_file_limit(connections: int) -> int:
    """Let this process open that many connections if it may; how many it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else max(soft - OTHER_FILES, 1)
