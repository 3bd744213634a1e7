"""Parse documents in child processes, which are killed on a timeout, a cancellation or shutdown.

Rule: a child is idle or works for exactly one caller. A caller that does not receive the last reply
kills its child, and the next document gets a new one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from actors.errors import CODES, Overloaded, UnreadableDocument, error_with_code
from actors.library.documents import ParsedText
from actors.library.parsing.cuts import Part, SentCuts, decode_excerpt, decode_passage
from actors.library.parsing.frames import LENGTH, LONGEST_REPLY, Job, frame

PARSE_S = 30.0
MORE_S = 20.0
"""Seconds more for each MiB of a document. The slowest parser, rst, needs about 15 for one."""

MOST_CHILDREN = 2
CHILD = (sys.executable, "-P", "-m", "actors.library.parsing.child")


class Parser(Protocol):
    """Turns the bytes of a document into passages."""

    async def parse(self, job: Job) -> ParsedText: ...


@asynccontextmanager
async def open_parser(
    limit_s: float = PARSE_S, command: Sequence[str] = CHILD
) -> AsyncIterator[Parser]:
    """A parser whose children start when they are first needed and end with this block."""
    parser = ProcessParser(limit_s, command)
    try:
        yield parser
    finally:
        await parser.kill()


class ProcessParser:
    """At most two children, each started when one is needed and none is idle."""

    def __init__(self, limit_s: float, command: Sequence[str]) -> None:
        self._limit_s = limit_s
        self._command = command
        self._places = trio.CapacityLimiter(MOST_CHILDREN)
        self._idle: list[_Child] = []

    async def parse(self, job: Job) -> ParsedText:
        """The title, text and passages of a document; a failure is `UnreadableDocument`."""
        limit_s = self._limit_s + job.mebibytes * MORE_S
        async with self._places:
            child = await self._child()
            parsed: ParsedText | None = None
            try:
                with trio.move_on_after(limit_s):
                    parsed = await child.parse(job)
            except _Refused as refused:
                self._idle.append(child)
                raise refused.error from None
            except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
                await child.kill()
                raise UnreadableDocument(
                    "Parsing this document failed. Open it in its program and save it anew."
                ) from None
            except BaseException:
                await child.kill()
                raise
            if parsed is None:
                await child.kill()
                raise UnreadableDocument(
                    f"Parsing this document took longer than {limit_s:g} s. "
                    "Send it in smaller parts."
                )
            self._idle.append(child)
            return parsed

    async def _child(self) -> _Child:
        """An idle child that is still alive (the system may have killed it), or a new one."""
        while self._idle:
            child = self._idle.pop()
            if child.is_alive():
                return child
            await child.kill()
        return await _Child.start(self._command)

    async def kill(self) -> None:
        """End the idle children; the others end with their callers."""
        while self._idle:
            await self._idle.pop().kill()


class _Refused(Exception):
    """The child refused the document, and can parse the next one."""

    def __init__(self, code: str, message: str) -> None:
        self.error = error_with_code(code if code in CODES else UnreadableDocument.code, message)


class _Child:
    """One process and the two pipes to it."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._to, self._from = process, process.stdin, process.stdout
        self._unread = bytearray()

    @classmethod
    async def start(cls, command: Sequence[str]) -> _Child:
        """A new process; raises `Overloaded` if the system has no room for one."""
        try:
            with trio.CancelScope(
                shield=True
            ):  # A process that is half started would never be ended.
                process = await trio.lowlevel.open_process(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        except OSError as error:
            raise Overloaded(f"No process to read documents could be started: {error}.") from error
        return cls(process)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def parse(self, job: Job) -> ParsedText:
        about = {
            "media_type": job.media_type,
            "title": job.title,
            "file_name": job.file_name,
        }
        await self._to.send_all(frame(json.dumps(about).encode()))
        await self._to.send_all(LENGTH.pack(len(job.body)))
        await self._to.send_all(job.body)
        texts = list[str]()
        passages, excerpts = list[Part](), list[Part]()
        while True:
            reply = json.loads(await self._frame())
            if "error" in reply:
                raise _Refused(reply["error"], reply["message"])
            if "end" in reply:
                text = "".join(texts)
                return ParsedText(
                    reply["title"],
                    text,
                    SentCuts(passages, text, decode_passage),
                    SentCuts(excerpts, text, decode_excerpt),
                    tuple(reply["notes"]),
                    reply["language"],
                )
            if "text" in reply:
                texts.append(reply["text"])
            for parts, name in ((passages, "passages"), (excerpts, "excerpts")):
                if name in reply:
                    parts.append(Part(reply[name], await self._frame()))
            await trio.lowlevel.checkpoint()

    async def kill(self) -> None:
        with trio.CancelScope(shield=True):
            self._process.kill()
            await self._process.wait()
            await self._to.aclose()
            await self._from.aclose()

    async def _frame(self) -> bytes:
        (length,) = LENGTH.unpack(await self._exactly(LENGTH.size))
        if length > LONGEST_REPLY:
            raise EOFError
        return await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            received = await self._from.receive_some()
            if not received:
                raise EOFError
            self._unread += received
        wanted = bytes(self._unread[:count])
        del self._unread[:count]
        return wanted
