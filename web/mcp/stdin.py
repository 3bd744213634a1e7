"""The lines of stdin, read by a thread of their own.

A read of stdin cannot be interrupted, and a thread of Trio's is waited for: a signal would end the
command only once its client sends another line.

Rule: nobody waits for the thread. It ends with the process, or with stdin; a line that is longer
than any message may be ends it, too.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import Self

import trio

STDIN = 0
READ_BYTES = 65_536
MAX_LINE_BYTES = 4 * 1_048_576


class StdinLines:
    """An async iterator over the lines of stdin, as text."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[str](0)
        self._token = trio.lowlevel.current_trio_token()
        Thread(target=self._read, name="stdin", daemon=True).start()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return await self._receive.__anext__()

    def _read(self) -> None:
        # Not through `sys.stdin`: Python takes its lock when it ends, and this read would have it.
        begun = b""
        try:
            while len(begun) <= MAX_LINE_BYTES and (piece := os.read(STDIN, READ_BYTES)):
                *lines, begun = (begun + piece).split(b"\n")
                for line in lines:
                    text = line.decode("utf-8", errors="replace")
                    trio.from_thread.run(self._send.send, text, trio_token=self._token)
            trio.from_thread.run_sync(self._send.close, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled, trio.BrokenResourceError):
            pass  # The command has ended.
