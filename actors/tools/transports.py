"""The two transports to a tool server: the pipes of a child process, and streamable HTTP.

The SDK has a transport over pipes, too, but with lines of any length, and its child process writes
to our stderr.

Rule: no message is longer than its bound. A child process and its own children are gone when the
block ends, on Linux also when this process is killed: first its stdin ends, then comes SIGTERM, then
SIGKILL to all that it started. A keeper (see `actors.tools.keeper`) is its parent and holds them
together; elsewhere SIGKILL goes to its process group.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from actors.http_client import BoundedBody, is_loopback
from actors.tools.catalog import on_one_line
from actors.tools.replies import Requests, reply_to
from actors.tools.secrets import Secrets

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 1_048_576
MAX_RESPONSE_BYTES = 4 * 1_048_576
"""Of the response to one request, with its progress. The SDK limits each event in it to 1 MiB."""

KEPT = sys.platform == "linux"

CONNECT_S = 10.0
EXIT_S = 2.0
"""Time to exit after stdin has ended, and again after SIGTERM."""
DRAIN_S = 0.2
"""Time to read the last output of a child that has exited."""
MAX_STDERR_LINES = 100
"""Lines of stderr that are logged for one process."""

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectReceiveStream[SessionMessage]


class LineTooLong(Exception):
    """The child sent a line of more than the maximum length."""


@asynccontextmanager
async def child_process(
    name: str, command: Sequence[str], secrets: Secrets, over: trio.Event
) -> AsyncIterator[Any]:
    """The streams of a session with a child process; `over` is set when it has ended.

    Raises `OSError` if there is no such program.
    """
    environment = {**get_default_environment(), **secrets.env}
    if not shutil.which(command[0], path=environment.get("PATH")):
        raise FileNotFoundError(f"there is no program {Path(command[0]).name} that can be run")
    with ExitStack() as lifeline:
        process = await _started(command, environment, lifeline)
        async with _session(name, process, secrets, over, lifeline) as streams:
            yield streams


async def _started(
    command: Sequence[str], environment: Mapping[str, str], lifeline: ExitStack
) -> trio.Process:
    """Start the command, on Linux below a keeper that kills it when `lifeline` is closed."""
    start = partial(
        trio.lowlevel.open_process,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    if not KEPT:
        return await start(list(command))
    theirs, ours = os.pipe()
    lifeline.callback(os.close, ours)
    try:
        keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))]
        return await start([*keeper, str(theirs), *command], pass_fds=(theirs,))
    finally:
        os.close(theirs)


@asynccontextmanager
async def _session(
    name: str, process: trio.Process, secrets: Secrets, over: trio.Event, lifeline: ExitStack
) -> AsyncIterator[Any]:
    """The streams of a session with this process, which is gone at the end of the block."""
    incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with trio.open_nursery() as nursery:
        requests = Requests()
        nursery.start_soon(_read, name, process, incoming, over, requests)
        nursery.start_soon(_write, process, outgoing, requests)
        nursery.start_soon(_log, name, process, secrets)
        nursery.start_soon(_watch, process, over)
        try:
            yield to_session, from_session
        finally:
            to_session.close()
            from_session.close()
            with trio.CancelScope(shield=True):
                await _end(process, lifeline)
            nursery.cancel_scope.cancel()


async def _read(
    name: str, process: trio.Process, incoming: Incoming, over: trio.Event, requests: Requests
) -> None:
    """Receive the child's messages. Other lines on stdout are a fault and are skipped."""
    assert process.stdout is not None
    try:
        async with incoming, aclosing(lines(process.stdout, MAX_LINE_BYTES)) as received:
            async for line in received:
                messages = list(requests.received(line))
                if not messages:
                    log.debug("tool server %s: a line on stdout is not used: %r", name, line[:200])
                for message in messages:
                    await incoming.send(SessionMessage(message))
    except LineTooLong:
        log.warning("the tool server %s sent a message of more than %d bytes", name, MAX_LINE_BYTES)
    except anyio.BrokenResourceError:
        pass  # The session has ended before the child.
    finally:
        over.set()


async def _write(process: trio.Process, outgoing: Outgoing, requests: Requests) -> None:
    """Send the session's messages; then the child's stdin ends."""
    assert process.stdin is not None
    # It no longer reads, or its pipe was closed at its end, which `_read` notices.
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async with outgoing, process.stdin:
            async for session_message in outgoing:
                requests.sent(session_message.message)
                line = session_message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send_all(line.encode() + b"\n")


async def _watch(process: trio.Process, over: trio.Event) -> None:
    """Set `over` at its exit: a child of its own may hold its stdout open."""
    await process.wait()
    await trio.sleep(DRAIN_S)
    over.set()


async def _log(name: str, process: trio.Process, secrets: Secrets) -> None:
    """Log the child's stderr, and go on reading it past the limit, so that it never blocks."""
    assert process.stderr is not None
    count = 0
    async with aclosing(lines(process.stderr, MAX_LINE_BYTES)) as found:
        with suppress(LineTooLong):
            async for line in found:
                count += 1
                if count <= MAX_STDERR_LINES:
                    text = secrets.hidden(line.decode(errors="replace"))
                    log.info("tool server %s: %s", name, on_one_line(text))
                elif count == MAX_STDERR_LINES + 1:
                    log.info("tool server %s: further lines on stderr are not logged", name)
    async for _ in process.stderr:
        pass


async def lines(stream: trio.abc.ReceiveStream, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The lines of a stream without their ends; raises `LineTooLong` at a longer line."""
    rest = bytearray()
    async for chunk in stream:
        *ended, begun = bytes(chunk).split(b"\n")
        for line in ended:
            yield bytes(rest) + line
            rest.clear()
        rest += begun
        if len(rest) > max_bytes:
            raise LineTooLong
    if rest:
        yield bytes(rest)


async def _end(process: trio.Process, lifeline: ExitStack) -> None:
    """End the process, and all that it has started."""
    assert process.stdin is not None
    await process.stdin.aclose()
    if not await _has_ended(process):
        _signal_group(process, signal.SIGTERM)
        if not await _has_ended(process):
            lifeline.close()
            await _has_ended(process)
    _signal_group(process, signal.SIGKILL)
    await process.wait()


async def _has_ended(process: trio.Process) -> bool:
    """Whether it ends within a while."""
    with trio.move_on_after(EXIT_S):
        await process.wait()
    return process.returncode is not None


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    """Signal its process group. The id of the group is not reused while a process is in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@asynccontextmanager
async def http(
    url: str, headers: Mapping[str, str], over: trio.Event, on_status: Callable[[int], None]
) -> AsyncIterator[Any]:
    """The streams of a session with the server at `url`; `over` is set when the session is gone.

    `headers` are sent with each request, to the origin of `url` only. `on_status` gets the status
    of each response.
    """

    async def watch(response: httpx2.Response) -> None:
        if response.status_code == 404 and "mcp-session-id" in response.request.headers:
            over.set()
        on_status(response.status_code)
        response.headers.pop("content-encoding", None)  # None was requested, and it has no bound.
        if response.request.method == "POST":
            response.stream = BoundedBody(response, MAX_RESPONSE_BYTES, too_long)
            request_id = json.loads(response.request.content).get("id")
            if request_id is not None and response.is_success and _is_json(response):
                response.stream = _Reply(response.stream, request_id)

    too_long = httpx2.StreamError(f"The response has more than {MAX_RESPONSE_BYTES} bytes.")
    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(CONNECT_S, read=None),  # Each call has its own timeout.
        event_hooks={"response": [watch]},
        headers={**headers, "Accept-Encoding": "identity"},
        trust_env=not is_loopback(url),
    ) as client:
        async with streamable_http_client(url, http_client=client) as streams:
            yield streams


def _is_json(response: httpx2.Response) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith("application/json")


class _Reply(httpx2.AsyncByteStream):
    """The body of a JSON response, as the reply to its request."""

    def __init__(self, body: httpx2.AsyncByteStream, request_id: types.RequestId) -> None:
        self._body = body
        self._request_id = request_id

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield reply_to(self._request_id, b"".join([chunk async for chunk in self._body]))

    async def aclose(self) -> None:
        """End the response."""
        await self._body.aclose()
