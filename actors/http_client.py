"""What the HTTP clients for models and for tool servers share.

Rule: no response body is unbounded, and a server on this machine is never reached through a proxy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return httpx2.URL(url).host in _LOOPBACK


class BoundedBody(httpx2.AsyncByteStream):
    """The body of a response; raises `error` once more than `max_bytes` have come."""

    def __init__(self, response: httpx2.Response, max_bytes: int, error: Exception) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._body = response.stream
        self._chunks = aiter(self._body)
        self._left = max_bytes
        self._error = error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self  # No generator, which a reader that leaves early would leave behind.

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        self._left -= len(chunk)
        if self._left < 0:
            raise self._error
        return chunk

    async def aclose(self) -> None:
        """End the response."""
        await self._body.aclose()
