"""A tool server as a child process: messages over its stdin and stdout, one a line.

The SDK has the same, but takes lines of any length and gives the child our stderr.

Rule: no line is longer than `MAX_LINE_BYTES`, what the child says on stderr is logged within bounds,
and the child and its children are gone when the block ends: it is asked by the end of its stdin,
then told, then killed, and with it whatever it leaves behind.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import anyio
import mcp_types as types
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from actors.tools.results import on_one_line
from actors.tools.secrets import Secrets

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 1_048_576
PATIENCE_S = 2.0
"""Time to end after stdin has ended, and again after SIGTERM."""
LAST_WORDS_S = 0.2
"""Time to read what a child has said before it ended."""
STDERR_LINES = 100
"""Lines of stderr that are logged of one process; after them, one word on the rest."""

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectReceiveStream[SessionMessage]


class LineTooLong(Exception):
    """The child sent a line that is longer than any message may be."""


@asynccontextmanager
async def child(
    name: str, command: Sequence[str], secrets: Secrets, over: trio.Event
) -> AsyncIterator[Any]:
    """The streams of a session with a child process; `over` is set when it speaks no more.

    Raises `OSError` if there is no such program.
    """
    process = await trio.lowlevel.open_process(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**get_default_environment(), **secrets.env},
        start_new_session=True,
    )
    incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read, name, process, incoming, over)
        nursery.start_soon(_write, process, outgoing)
        nursery.start_soon(_log, name, process, secrets)
        nursery.start_soon(_watch, process, over)
        try:
            yield to_session, from_session
        finally:
            to_session.close()
            from_session.close()
            with trio.CancelScope(shield=True):
                await _end(process)
            nursery.cancel_scope.cancel()


async def _read(name: str, process: trio.Process, incoming: Incoming, over: trio.Event) -> None:
    """Take the child's messages. Other lines on stdout are a bug of the child, and passed over."""
    assert process.stdout is not None
    try:
        async with incoming, aclosing(lines(process.stdout, MAX_LINE_BYTES)) as found:
            async for line in found:
                try:
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError:
                    log.debug("tool server %s: no message on stdout: %r", name, line[:200])
                    continue
                await incoming.send(SessionMessage(message))
    except LineTooLong:
        log.warning("the tool server %s sent a message of more than %d bytes", name, MAX_LINE_BYTES)
    except anyio.BrokenResourceError:
        pass  # The session has ended before the child.
    finally:
        over.set()


async def _write(process: trio.Process, outgoing: Outgoing) -> None:
    """Send the session's messages; then the child's stdin ends."""
    assert process.stdin is not None
    with suppress(trio.BrokenResourceError):  # It reads no more; `_read` sees its end.
        async with outgoing, process.stdin:
            async for sent in outgoing:
                line = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send_all(line.encode() + b"\n")


async def _watch(process: trio.Process, over: trio.Event) -> None:
    """Notice that it has ended: a child of its own may hold its stdout open for ever."""
    await process.wait()
    await trio.sleep(LAST_WORDS_S)
    over.set()


async def _log(name: str, process: trio.Process, secrets: Secrets) -> None:
    """Log what the child says on stderr, and read on when it has said enough."""
    assert process.stderr is not None
    said = 0
    async with aclosing(lines(process.stderr, MAX_LINE_BYTES)) as found:
        with suppress(LineTooLong):
            async for line in found:
                said += 1
                if said <= STDERR_LINES:
                    text = secrets.hidden(line.decode(errors="replace"))
                    log.info("tool server %s: %s", name, on_one_line(text))
                elif said == STDERR_LINES + 1:
                    log.info("tool server %s: it says more, which is not logged", name)
    async for _ in process.stderr:
        pass


async def lines(stream: trio.abc.ReceiveStream, most: int) -> AsyncGenerator[bytes, None]:
    """The lines of a stream without their ends; raises `LineTooLong` after the first such line."""
    begun = bytearray()
    async for piece in stream:
        *whole, rest = bytes(piece).split(b"\n")
        for line in whole:
            yield bytes(begun) + line
            begun.clear()
        begun += rest
        if len(begun) > most:
            raise LineTooLong
    if begun:
        yield bytes(begun)


async def _end(process: trio.Process) -> None:
    """Let it end, or end it; and whatever it has started."""
    assert process.stdin is not None
    await process.stdin.aclose()
    for told in (None, signal.SIGTERM, signal.SIGKILL):
        if told is not None:
            _tell_group(process, told)
        with trio.move_on_after(PATIENCE_S):
            await process.wait()
            break
    _tell_group(process, signal.SIGKILL)
    await process.wait()


def _tell_group(process: trio.Process, told: signal.Signals) -> None:
    """It leads a group, whose id is its own and stays taken for as long as anybody is in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, told)
