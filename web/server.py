"""The server of one data folder: it owns the folder, the system and the sockets, in that order.

Rule: the system is opened before the server and closed after it, so that HTTP never answers for actors
that are gone. The first signal drains, the second ends at once (`web.signals`).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from actors.errors import ActorError, leaf_errors
from actors.sqlite_errors import database_failed
from actors.system import System, open_system
from web.access.audit import audited
from web.access.keys import Keys
from web.api.app import create_app
from web.api.problems import CONTENT_TYPE, KINDS, problem_body
from web.api.routing import CONNECTIONS
from web.data_folder import FolderLost, FolderUnusable, announce, hold, watched
from web.gc_policy import Collector, return_large_blocks, run_collector
from web.http.connection_table import ConnectionTable
from web.http.limits import Limits
from web.http.request_cycle import ErrorResponse
from web.http.server import serve as serve_asgi
from web.kept_handlers import kept_handlers
from web.settings.model import ServerSettings
from web.settings.problems import SettingProblem, SettingsError
from web.signals import receive_signals, second_signal
from web.terminal import log_to_terminal, say

log = logging.getLogger(__name__)

SWITCH_S = 0.001
"""How long a busy event loop keeps a thread waiting that has returned from SQLite. A commit returns
several times, and many requests wait for it."""

DISCONNECT_GRACE_S = 5.0
"""How long an app may run after its client has left. It is there for apps that are not ours: the MCP
SDK's discards a session whose first request is cancelled."""

END_S = 15.0
"""Seconds past the grace in which everything must have stopped; tools take up to 6 s."""

LEAVE_S = 3.0
"""For the exit handlers of other people's code, when the server has ended."""

FAILED = 1
"""Exit code of a system that ended by itself."""


OpenSystem = Callable[[ServerSettings], AbstractAsyncContextManager[System]]


def run(settings: ServerSettings, *, opens: OpenSystem = open_system) -> int:
    """Serve until a signal comes; the exit code. Raises `FolderHeld` and `FolderUnusable`.

    `opens` opens the system to serve; tests pass one with scripted agents.
    """
    log_to_terminal(logging.INFO)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # It logs each call of a model.
    sys.setswitchinterval(SWITCH_S)
    return_large_blocks()
    code = _run(settings, opens)
    _leave_processes(code)
    _leave_threads(code)
    return code


def _run(settings: ServerSettings, opens: OpenSystem) -> int:
    with hold(settings.data_dir), audited(settings.data_dir):
        keys = Keys(settings.data_dir)
        check_bind(settings, keys)
        try:
            return trio.run(_serve, settings, keys, partial(kept_handlers, opens))
        except* (OSError, ActorError, FolderLost, FolderUnusable) as problems:
            for problem in leaf_errors(problems):
                say(f"terzetto: {problem}")
        except* Exception as failure:
            if failed := database_failed(failure):
                say(f"terzetto: {failed}")
            else:
                log.critical("the system has failed and ends", exc_info=failure)
    return FAILED


def check_bind(settings: ServerSettings, keys: Keys) -> None:
    """Raises `SettingsError` if other machines could use a server without keys."""
    if settings.address.is_loopback or keys.required:
        return
    if not settings.insecure:
        hint = (
            "Other machines could use this server, and it has no keys. Add one with `terzetto keys "
            "add NAME --scope admin`, or say --insecure to let everyone do everything."
        )
        raise SettingsError([SettingProblem("bind", settings.bind, "no keys", hint)])
    log.warning(
        "INSECURE: there are no keys, so everyone who reaches %s may read, change and delete "
        "everything",
        settings.bind,
    )


async def _serve(settings: ServerSettings, keys: Keys, opens: OpenSystem) -> int:
    with ExitStack() as ends, receive_signals() as signals:
        async with opens(settings) as system, trio.open_nursery() as watching:
            closing = trio.Event()
            app = create_app(system, settings, keys)
            listening = partial(serve, app, settings, shutdown_trigger=closing.wait)
            async with trio.open_nursery() as nursery:
                (url, *_) = await nursery.start(listening)
                collector = Collector()
                collector.begin()
                watching.start_soon(run_collector, collector)
                with announce(settings.data_dir, url, keys.token), ExitStack() as announced:
                    watch_scope = await watching.start(_watch_folder, settings.data_dir, ends)
                    announced.callback(watch_scope.cancel)  # Then `announce` removes its file.
                    say(f"Terzetto listens at {url} (Ctrl-C stops it)")
                    await anext(signals)
                    watching.start_soon(_end_at_once, signals)
                    ends.enter_context(_at_most(settings.grace_s + END_S))
                    say(
                        "Terzetto stops. Running steps may finish; a second Ctrl-C ends it at once."
                    )
                    await system.drain(settings.grace_s)
                closing.set()
            watching.cancel_scope.cancel()
    return 0


async def serve(
    app: Any,
    settings: ServerSettings,
    *,
    connections: ConnectionTable | None = None,
    disconnect_grace_s: float = DISCONNECT_GRACE_S,
    shutdown_trigger: Callable[[], Awaitable[object]] = trio.sleep_forever,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI app until `shutdown_trigger` returns; started with the URLs it listens at.

    The limits are those of the settings; errors of the server itself are problems (RFC 9457).
    `connections` defaults to the table of `create_app`, which /health shows.
    """
    await serve_asgi(
        app,
        settings.bind,
        limits=Limits(
            max_connections=settings.max_connections,
            keep_alive_s=settings.keep_alive_s,
            request_head_s=settings.request_head_s,
            request_body_s=settings.request_body_s,
            write_timeout_s=settings.write_timeout_s,
            disconnect_grace_s=disconnect_grace_s,
        ),
        render_error=_as_problem,
        table=connections or getattr(app, "extensions", {}).get(CONNECTIONS),
        shutdown_trigger=shutdown_trigger,
        task_status=task_status,
    )


def _as_problem(code: str, detail: str, path: str) -> ErrorResponse:
    body, kind = problem_body(code, detail, path), KINDS[code]
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    if kind.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % kind.retry_after_s))
    return ErrorResponse(kind.status, headers, body)


async def _watch_folder(
    folder: Path, ends: ExitStack, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Started with the scope that ends it."""
    try:
        with trio.CancelScope() as scope:
            async with watched(folder):
                task_status.started(scope)
                await trio.sleep_forever()
    except* FolderLost:
        ends.enter_context(_at_most(END_S))
        raise


async def _end_at_once(signals: AsyncIterator[int]) -> None:
    """This loses nothing: what clients were told is in the log."""
    number = await second_signal(signals)
    say("Terzetto ends at once. Unfinished tasks go on at the next start.")
    os._exit(128 + number)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """End the process if the block takes longer: a thread that cannot be cancelled may hold it up."""
    timer = threading.Timer(seconds, _give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up() -> None:
    say(
        "Terzetto ends at once: work of an agent or a tool does not stop. It is resumed at the start."
    )
    os._exit(FAILED)


def _leave_processes(code: int) -> None:
    """Kill processes that Python would wait for at its end, and bound what else it does there."""
    if library := sys.modules.get("multiprocessing"):
        for child in library.active_children():
            child.kill()
    timer = threading.Timer(LEAVE_S, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _leave_threads(code: int) -> None:
    """End the process if threads of other people's code would keep it from ending, perhaps for good."""
    left = [one.name for one in threading.enumerate() if not one.daemon]
    if len(left) > 1:  # The main thread is one.
        say(f"Terzetto does not wait for threads of agents: {', '.join(left[1:])}")
        os._exit(code)
