"""A task's log in slices that suit the client: the same bytes, however often they are read again.

The log is read in pieces of about 256 KiB, which a client that stalls must not hold. So a place in
the log is a seq and a number of bytes after its line; what has been read ahead of the client can be
dropped at any time, and is read again when the client goes on.

Rule: a stalled client costs its place and a slice.
"""

from __future__ import annotations

import re

from actors.journal.follower import Follower
from actors.journal.log import MAX_LINE_BYTES, PIECE_BYTES

SLICE_BYTES = 4 * 1024
"""What is sent at a time, and so about the most that waits for a client who stalls."""

PROVEN_BYTES = 256 * 1024
"""Who took so much does read: it is more than the kernel takes for a client who does not."""

PROVEN_SLICE_BYTES = 32 * 1024
"""What is sent at a time from then on."""

READ_AHEAD_BYTES = 4 * 1024 * 1024
"""While all streams together hold less than this, each keeps the whole piece that it has read."""

KEPT_BYTES = 16 * 1024
"""What each keeps else."""

_HEAD = re.compile(rb'\{"seq":(\d+),"event_type":"(\w+)"')


class LineCut(Exception):
    """The log has gone while a line of it was being sent: the connection can only be cut."""


class ReadAhead:
    """What all streams together have read ahead of their clients."""

    def __init__(self) -> None:
        self.bytes = 0

    def kept(self) -> int:
        """How much of a piece may be kept."""
        whole = 2 * (PIECE_BYTES + MAX_LINE_BYTES)  # Twice, as events for EventSource are longer.
        return whole if self.bytes < READ_AHEAD_BYTES else KEPT_BYTES


class LogChunks:
    """The bytes that a follower finds, as NDJSON or as server-sent events."""

    def __init__(self, follower: Follower, ahead: ReadAhead, *, sse: bool) -> None:
        self._follower = follower
        self._all_ahead = ahead
        self._sse = sse
        self._taken = 0
        self._from, self._past = follower.after, 0
        """The place: what was taken ends so many bytes after the line of this seq."""
        self._ahead, self._at = b"", 0
        """What has been read ahead, and how much of that has been taken."""
        self._next = (self._from, 0)
        """The place at the end of it."""

    @property
    def within_line(self) -> bool:
        """Whether what was taken ends within a line, as far as one can tell without reading on."""
        return self._past > 0

    async def take(self) -> bytes:
        """The next slice; raises `StopAsyncIteration` where the follower ends.

        Nothing is lost if it is cancelled.
        """
        while not self._ahead:
            await self._read()
        most = SLICE_BYTES if self._taken < PROVEN_BYTES else PROVEN_SLICE_BYTES
        part = self._ahead[self._at : self._at + most]
        self._at += len(part)
        self._taken += len(part)
        if self._at == len(self._ahead):
            self._keep(b"")
            self._from, self._past = self._next
        return part

    def let_go(self) -> None:
        """Drop what has been read ahead; the log has it."""
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
        text, end = (_as_sse(piece.lines), b"\n\n") if self._sse else (piece.lines, b"\n")
        if self._past >= len(text):  # Read again, the log can come in other pieces.
            self._from, self._past = piece.last_seq, self._past - len(text)
            return
        until = self._past + self._all_ahead.kept()
        self._keep(text[self._past : until])
        if until >= len(text):
            self._next = (piece.last_seq, 0)
        else:
            lines, last = text.count(end, 0, until), text.rfind(end, 0, until)
            self._next = (self._from + lines, until - (last + len(end) if lines else 0))

    def _keep(self, ahead: bytes) -> None:
        self._all_ahead.bytes += len(ahead) - len(self._ahead)
        self._ahead, self._at = ahead, 0


def _as_sse(lines: bytes) -> bytes:
    events = []
    for line in lines.splitlines():
        head = _HEAD.match(line)
        assert head is not None
        events.append(b"id: %b\nevent: %b\ndata: %b\n\n" % (*head.groups(), line))
    return b"".join(events)
