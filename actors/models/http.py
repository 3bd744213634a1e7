"""What both SDKs are told about HTTP: no waits and repeats of their own, and a bound on an answer.

Rule: an SDK never waits, retries or buffers without end; times are the reader's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

NO_KEY = "none"
"""Sent to servers that ask for no key; the SDKs want to send one."""

_KEPT = 32
_HERE = ("127.0.0.1", "localhost", "::1")

MOST_BYTES = 16 * 1024 * 1024
"""Of one answer, as it comes over the wire: a token takes some hundreds of bytes."""

FAULTS = (
    httpx2.HTTPError,
    httpx2.StreamError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""What an SDK raises besides its own errors: what HTTP's does, and what garbage does to it."""


class AnswerTooBig(ValueError):
    """More bytes than any answer needs."""


def http_options(url: str, *, keep_alive: bool = True) -> dict[str, Any]:
    """Arguments for the SDKs' HTTP clients.

    A server on this machine is not asked through a proxy, and no key follows a redirect.
    """
    is_here = httpx2.URL(url).host in _HERE
    return {
        "event_hooks": {"response": [_bound]},
        "headers": {"Accept-Encoding": "identity"},
        "follow_redirects": False,
        "limits": httpx2.Limits(max_keepalive_connections=_KEPT if keep_alive else 0),
        "timeout": None,
        "trust_env": not is_here,
        "verify": not (is_here and url.startswith("http:")),  # Certificates take 100 ms to load.
    }


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer up to a limit."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body
        self._parts = aiter(body)
        self._bytes = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await anext(self._parts)
        self._bytes += len(part)
        if self._bytes > MOST_BYTES:
            raise AnswerTooBig
        return part

    async def aclose(self) -> None:
        await self._body.aclose()


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)
