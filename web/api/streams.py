"""A task's log as a response: NDJSON lines or server-sent events, sent as fast as the client reads.

The log is read in pieces of about 256 KiB, which must not stay in memory for a client that stalls.
So a position in the log is a seq and a number of bytes after its line, and what has been read ahead
of the client can be dropped at any time; it is read again when the client continues.

Rule: a stalled client costs its connection, its position and one slice. The lines are the log's own
bytes; only heartbeat and stream_closing lines stand between them, without a seq.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Literal, Self

import trio

from actors.clock import rfc3339, wall_clock
from actors.errors import TaskUnreadable
from actors.journal.follower import Closing, Follower
from actors.journal.log import MAX_LINE_BYTES, PIECE_BYTES
from actors.system import System
from actors.tasks.events import encode_line
from web.api.exchange import ApiResponse
from web.api.problems import RequestProblem

log = logging.getLogger(__name__)

StreamType = Literal["application/x-ndjson", "text/event-stream"]
NDJSON: Final = "application/x-ndjson"
SSE: Final = "text/event-stream"

SLICE_BYTES = 4 * 1024
"""Bytes sent at a time, or a line that is longer: about what waits in memory for a stalled client."""

WHOLE_LINE_BYTES = 64 * 1024 + 256
"""A line of more bytes, or what is left of it, is sent in slices. What stands before a line of 64 KiB
in a server-sent event is included."""

PROVEN_BYTES = 256 * 1024
"""A client that took this many bytes is reading: the kernel buffers less for one that is not."""

PROVEN_SLICE_BYTES = 32 * 1024
"""Bytes sent at a time from then on."""

READ_AHEAD_BYTES = 4 * 1024 * 1024
"""While all streams together hold less than this, each keeps the whole piece that it has read."""

KEPT_BYTES = 16 * 1024
"""Bytes of a piece that each stream keeps otherwise."""

_HEAD = re.compile(rb'\{"seq":(\d+),"event_type":"(\w+)"')


class Readers:
    """The open streams of each task and of each client.

    A client, which is the peer's address, may have `most` streams open.
    """

    def __init__(self, system: System, most: int) -> None:
        self._system = system
        self._most = most
        self.ahead = ReadAhead()
        self._of_task: Counter[str] = Counter()
        self._of_client: Counter[str] = Counter()

    def join(self, task_id: str, client: str, *, cancels: bool) -> Reader:
        """Count a reader. If it `cancels`, the task is cancelled when this connection is lost while
        no other reader is left."""
        if self._of_client[client] >= self._most:
            raise RequestProblem(
                "too_many_requests", f"You have {self._most} streams open, which is the most."
            )
        self._of_task[task_id] += 1
        self._of_client[client] += 1
        return Reader(self, task_id, client, cancels)

    def leave(self, task_id: str, client: str, *, cancel: bool) -> None:
        """Stop counting a reader; cancel the task if `cancel` and no other reader is left."""
        for counter, key in ((self._of_task, task_id), (self._of_client, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if cancel and task_id not in self._of_task:
            self._system.cancel_soon(task_id, "The client disconnected.")

    def open_streams(self) -> int:
        """The number of open streams."""
        return self._of_task.total()


class Reader:
    """One connection that reads a task; it is counted until it leaves, exactly once."""

    def __init__(self, readers: Readers, task_id: str, client: str, cancels: bool) -> None:
        self.ahead = readers.ahead
        self._readers: Readers | None = readers
        self._task_id = task_id
        self._client = client
        self._cancels = cancels

    def leave(self, *, lost: bool) -> None:
        """`lost`: the connection closed before the server or the log ended the stream."""
        if self._readers is not None:
            readers, self._readers = self._readers, None
            readers.leave(self._task_id, self._client, cancel=lost and self._cancels)

    def __del__(self) -> None:  # A response can be dropped before its body is entered.
        self.leave(lost=True)


class EventStream:
    """The body of a streaming response. It ends when the client `may_read` no longer: at the next line
    or heartbeat."""

    def __init__(
        self,
        follower: Follower,
        reader: Reader,
        task_id: str,
        kind: StreamType,
        heartbeat_s: float,
        may_read: Callable[[], bool] = lambda: True,
    ) -> None:
        self._follower = follower
        self._chunks = LogChunks(follower, reader.ahead, sse=kind == SSE)
        self._reader = reader
        self._task_id = task_id
        self._sse = kind == SSE
        self._heartbeat_s = heartbeat_s
        self._may_read = may_read
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._chunks.let_go()
        self._reader.leave(lost=not self._ended)

    @property
    def ready(self) -> bool:
        """Whether the next part, or the end, will come without waiting."""
        if self._chunks.within_line:  # What comes next was dropped, if it is not here.
            return self._chunks.has_more
        return self._chunks.has_more or self._follower.ready

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            while True:
                within_line = self._chunks.within_line
                if not (within_line or self._may_read()):
                    return self._refused()
                if self.ready:  # A scope costs more than taking a slice.
                    return await self._chunks.take()
                with trio.move_on_after(self._heartbeat_s):
                    part = await self._chunks.take()
                    # The key may have ended while this waited for an event.
                    return part if within_line or self._may_read() else self._refused()
                if not self._chunks.within_line and self._may_read():
                    return b":heartbeat\n\n" if self._sse else self._line("heartbeat", {})
        except StopAsyncIteration:
            self._ended = True
            if self._follower.closing is None:
                raise
            return self._closing_line(self._follower.closing)
        except TaskUnreadable as damaged:
            if self._chunks.within_line:
                raise
            log.error("a stream ends early: %s", damaged.message)
            self._ended = True  # Who comes back gets the error as an answer.
            return self._closing_line(Closing("storage", self._follower.after))

    def let_go(self) -> None:
        """Drop what has been read ahead; it is read again when the client continues."""
        self._chunks.let_go()

    def _refused(self) -> bytes:
        self._ended = True
        return self._closing_line(Closing("unauthorized", None))

    def _closing_line(self, closing: Closing) -> bytes:
        data = {"reason": closing.reason, "resume_after": closing.resume_after}
        line = self._line("stream_closing", data)
        return b"event: stream_closing\ndata: " + line + b"\n" if self._sse else line

    def _line(self, event_type: str, data: Mapping[str, object]) -> bytes:
        at = rfc3339(wall_clock())
        names = ("event_type", "task_id", "timestamp", "data")
        return encode_line(dict(zip(names, (event_type, self._task_id, at, data), strict=True)))


def stream_response(body: EventStream, task_id: str, kind: StreamType) -> ApiResponse:
    """The response whose body is this stream."""
    headers = {
        "Content-Type": kind,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Task-ID": task_id,
    }
    return ApiResponse(200, body, headers)


# --- the bytes of the log -----------------------------------------------------------------------


class LineCut(Exception):
    """The task was deleted while a line of it was being sent; the connection has to be cut."""


class ReadAhead:
    """The bytes that all streams together have read ahead of their clients."""

    def __init__(self) -> None:
        self.bytes = 0

    def kept(self) -> int:
        """The number of bytes of a piece that a stream may keep."""
        whole = 2 * (
            PIECE_BYTES + MAX_LINE_BYTES
        )  # Server-sent events are longer than their lines.
        return whole if self.bytes < READ_AHEAD_BYTES else KEPT_BYTES


class LogChunks:
    """The bytes of a log in slices, as NDJSON or as server-sent events."""

    def __init__(self, follower: Follower, ahead: ReadAhead, *, sse: bool) -> None:
        self._follower = follower
        self._all_ahead = ahead
        self._sse = sse
        self._line_end = b"\n\n" if sse else b"\n"
        self._taken = 0
        self._from, self._past = follower.after, 0
        """The position: what was taken ends `_past` bytes after the line with the seq `_from`."""
        self._ahead, self._at = b"", 0
        """What has been read ahead, and how many bytes of that have been taken."""
        self._next = (self._from, 0)
        """The position at the end of what has been read ahead."""

    @property
    def within_line(self) -> bool:
        """Whether what was taken ends within a line, as far as is known without reading more."""
        return self._past > 0

    @property
    def has_more(self) -> bool:
        """Whether `take` will not wait, since more has been read already."""
        return bool(self._ahead)

    async def take(self) -> bytes:
        """The next slice; raises `StopAsyncIteration` where the follower ends.

        A cancelled call loses nothing.
        """
        while not self._ahead:
            await self._read()
        most = SLICE_BYTES if self._taken < PROVEN_BYTES else PROVEN_SLICE_BYTES
        end = _slice_end(self._ahead, self._at, most, self._line_end)
        part = self._ahead[self._at : end]
        self._at = end
        self._taken += len(part)
        if self._at == len(self._ahead):
            self._keep(b"")
            self._from, self._past = self._next
        return part

    def let_go(self) -> None:
        """Drop what has been read ahead; `take` reads it again."""
        self._past += self._at
        self._keep(b"")

    async def _read(self) -> None:
        self._follower.after = self._from
        try:
            piece = await self._follower.__anext__()
        except StopAsyncIteration:
            if self.within_line:
                raise LineCut(f"after seq {self._from}") from None
            raise
        text, end = _as_sse(piece.lines) if self._sse else piece.lines, self._line_end
        if self._past >= len(text):  # A log that is read again can come in other pieces.
            self._from, self._past = piece.last_seq, self._past - len(text)
            return
        until = _slice_end(text, self._past, self._all_ahead.kept(), end)
        self._keep(text[self._past : until])
        if until >= len(text):
            self._next = (piece.last_seq, 0)
        else:
            lines, last = text.count(end, 0, until), text.rfind(end, 0, until)
            self._next = (self._from + lines, until - (last + len(end) if lines else 0))

    def _keep(self, ahead: bytes) -> None:
        self._all_ahead.bytes += len(ahead) - len(self._ahead)
        self._ahead, self._at = ahead, 0


def _slice_end(text: bytes, at: int, most: int, line_end: bytes) -> int:
    """Where a slice of about `most` bytes that begins at `at` ends.

    It ends after whole lines. Within a line it ends only if more than `WHOLE_LINE_BYTES` of that are
    left, and never within a character.
    """
    last = text.rfind(line_end, at, at + most)
    if last < 0:
        last = text.find(line_end, at, at + max(most, WHOLE_LINE_BYTES))
    if last >= 0:
        return last + len(line_end)
    end = min(at + most, len(text))
    while at < end < len(text) and text[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _as_sse(lines: bytes) -> bytes:
    events = []
    for line in lines.splitlines():
        head = _HEAD.match(line)
        assert head is not None
        events.append(b"id: %b\nevent: %b\ndata: %b\n\n" % (*head.groups(), line))
    return b"".join(events)
