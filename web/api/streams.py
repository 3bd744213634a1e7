"""A task's log as a response: NDJSON lines, or server-sent events, as long as the client reads.

Rule: a stream costs its connection and a cursor. The lines are the log's own bytes; only heartbeat
and stream_closing stand between them, without a seq. They leave in slices, and what is read ahead of
a client that does not read is dropped and read again when it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from actors.clock import rfc3339, wall_clock
from actors.journal.follower import Follower
from actors.system import System
from actors.tasks.events import encode_line
from web.api.log_chunks import LogChunks, ReadAhead
from web.api.problems import RequestProblem

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
StreamType = Literal["application/x-ndjson", "text/event-stream"]


class Readers:
    """Who reads which task over HTTP, so that the last one to leave can be told.

    A client, which without keys is a peer's address, may have `most` streams open.
    """

    def __init__(self, system: System, most: int) -> None:
        self._system = system
        self._most = most
        self.ahead = ReadAhead()
        self._of_task: Counter[str] = Counter()
        self._of_client: Counter[str] = Counter()

    def join(self, task_id: str, client: str, *, cancels: bool) -> Reader:
        """One more reader; if it `cancels`, losing it as the last one cancels the task."""
        if self._of_client[client] >= self._most:
            raise RequestProblem(
                "too_many_requests", f"You have {self._most} streams open, which is the most."
            )
        self._of_task[task_id] += 1
        self._of_client[client] += 1
        return Reader(self, task_id, client, cancels)

    def leave(self, task_id: str, client: str, *, cancel: bool) -> None:
        """One reader less."""
        for counter, key in ((self._of_task, task_id), (self._of_client, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if cancel and task_id not in self._of_task:
            self._system.cancel_soon(task_id, "The client disconnected.")

    def open_streams(self) -> int:
        """How many streams are open."""
        return self._of_task.total()


class Reader:
    """One connection's interest in a task, given up exactly once."""

    def __init__(self, readers: Readers, task_id: str, client: str, cancels: bool) -> None:
        self.ahead = readers.ahead
        self._readers: Readers | None = readers
        self._task_id = task_id
        self._client = client
        self._cancels = cancels

    def leave(self, *, lost: bool) -> None:
        """`lost`: the connection went, and not the server or the end of the stream ended it."""
        if self._readers is not None:
            readers, self._readers = self._readers, None
            readers.leave(self._task_id, self._client, cancel=lost and self._cancels)

    def __del__(self) -> None:  # A response can be dropped before its body is ever entered.
        self.leave(lost=True)


class EventStream(ResponseBody):
    """The body of a streaming response."""

    def __init__(
        self, follower: Follower, reader: Reader, task_id: str, kind: StreamType, heartbeat_s: float
    ) -> None:
        self._follower = follower
        self._slices = LogChunks(follower, reader.ahead, sse=kind == SSE)
        self._reader = reader
        self._task_id = task_id
        self._sse = kind == SSE
        self._heartbeat_s = heartbeat_s
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._slices.let_go()
        self._reader.leave(lost=not self._ended)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            while True:
                with trio.move_on_after(self._heartbeat_s):
                    return await self._slices.take()
                if not self._slices.within_line:
                    return b":heartbeat\n\n" if self._sse else self._line("heartbeat", {})
        except StopAsyncIteration:
            self._ended = True
            if self._follower.closing is None:
                raise
            return self._closing_line()

    def let_go(self) -> None:
        """Drop what has been read ahead; it can be read again."""
        self._slices.let_go()

    def _closing_line(self) -> bytes:
        closing = self._follower.closing
        assert closing is not None
        data = {"reason": closing.reason, "resume_after": closing.resume_after}
        line = self._line("stream_closing", data)
        return b"event: stream_closing\ndata: " + line + b"\n" if self._sse else line

    def _line(self, event_type: str, data: Mapping[str, object]) -> bytes:
        at = rfc3339(wall_clock())
        names = ("event_type", "task_id", "timestamp", "data")
        return encode_line(dict(zip(names, (event_type, self._task_id, at, data), strict=True)))


def stream_response(body: EventStream, task_id: str, kind: StreamType) -> Response:
    """The response around a stream."""
    response = Response(body, 200, content_type=kind)
    response.timeout = None  # Quart would cut the stream, silently, after a minute.
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["X-Task-ID"] = task_id
    return response
