"""A tool server at a URL, spoken to over streamable HTTP.

Rule: no answer is longer than `MAX_ANSWER_BYTES`, and a session that the server has forgotten is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import trio
from mcp.client.streamable_http import streamable_http_client

MAX_ANSWER_BYTES = 4 * 1_048_576
"""Of the answer to one request, progress and all. An event in it may have 1 MiB: the SDK's bound."""

CONNECT_S = 10.0
_HERE = ("127.0.0.1", "localhost", "::1")


class AnswerTooLong(httpx2.StreamError):
    """More bytes than any answer may have."""


@asynccontextmanager
async def remote(
    url: str, headers: Mapping[str, str], over: trio.Event, answered: Callable[[int], None]
) -> AsyncIterator[Any]:
    """The streams of a session with the server at `url`; `over` is set when it knows it no more.

    `headers` go with each request, and nowhere but to its origin; `answered` is told the status of
    each answer.
    """

    async def watch(response: httpx2.Response) -> None:
        if response.status_code == 404 and "mcp-session-id" in response.request.headers:
            over.set()
        answered(response.status_code)
        response.headers.pop("content-encoding", None)  # It was asked for none, and has no bound.
        if response.request.method == "POST":
            response.stream = _Bounded(response.stream)

    is_here = httpx2.URL(url).host in _HERE
    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(CONNECT_S, read=None),  # Each call has a time limit of its own.
        event_hooks={"response": [watch]},
        headers={**headers, "Accept-Encoding": "identity"},
        trust_env=not is_here,  # No proxy is between this machine and itself.
    ) as http:
        async with streamable_http_client(url, http_client=http) as streams:
            yield streams


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer up to its bound."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._left = MAX_ANSWER_BYTES

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._left -= len(piece)
            if self._left < 0:
                raise AnswerTooLong(f"The answer has more than {MAX_ANSWER_BYTES} bytes.")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
