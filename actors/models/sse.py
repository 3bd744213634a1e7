"""The stream of an answer as both kinds of servers write it: a JSON object after each `data:`.

Read here and not by the SDKs, whose streams leave generators behind at their end, or at garbage:
Trio complains of each, and finishes them some time later.

Rule: a stream is read to the end of its response, so that the connection can be used again.
"""

from __future__ import annotations

import json
from typing import Any, Self

import httpx2
import trio

from actors.models.http import AnswerTooBig

MOST_LINE = 2 * 1024 * 1024
"""Bytes of a line, which is read at once; a server may put a whole answer into one."""
_DATA = b"data:"
_DONE = b"[DONE]"
"""How a chat completion ends; messages just end."""
_END_S = 1.0
"""How long the end of the response may take after `[DONE]`; some servers forget about it."""


class ServerSentEvents:
    """The objects of one stream. Raises `ValueError` for what is none."""

    def __init__(self, response: httpx2.Response) -> None:
        self._parts = response.aiter_bytes()
        self._unread = bytearray()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            # Many lines may have come at once. Whoever is cancelled is to be told in the read below.
            await trio.lowlevel.cancel_shielded_checkpoint()
            line = await self._line()
            if not line.startswith(_DATA):
                continue  # A comment, a name, or the empty line between two events.
            data = line.removeprefix(_DATA).strip()
            if data != _DONE:
                return json.loads(data)
            with trio.move_on_after(_END_S):
                async for _ in self._parts:
                    pass

    async def _line(self) -> bytes:
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > MOST_LINE:
                self._unread.clear()  # Whoever reads on is to come to the response's own end.
                raise AnswerTooBig
            self._unread += await anext(self._parts)
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line
