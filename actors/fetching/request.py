"""One request and its answer, on a connection of its own.

Rule: when an exchange ends, in whatever way, its connection is closed.
"""

from __future__ import annotations

import ssl
from contextlib import aclosing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import NoReturn

import httpcore
import httpx
import trio

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.connections import CheckedBackend
from actors.fetching.decompression import Body
from actors.fetching.responses import REDIRECTS, check_kind, check_status, is_packed, kind_of

NAME = "Terzetto"
CONNECT_S = 5.0
_ACCEPT = (
    "text/html, application/xhtml+xml, text/markdown, text/plain, application/pdf, text/*;q=0.5"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server gave: a page, or in `location` where it is instead."""

    media_type: str | None
    body: bytes
    location: str | None = None


class Exchanges:
    """Asks servers for what is at a URL; `private` if those of private networks may be asked."""

    def __init__(self, trusted: ssl.SSLContext, *, private: bool) -> None:
        self._trusted = trusted
        self._private = private
        self._agent = f"{NAME}/{version('terzetto')}"

    async def get(self, url: httpx.URL, most: int, *, robots: bool = False) -> Answer:
        """What is at `url`, of at most `most` bytes; of a host's rules for `robots` the first ones.

        Raises `FetchRefused` and `FetchFailed`.
        """
        backend = CheckedBackend(private=self._private)
        async with aclosing(backend):
            try:
                return await self._get(url, most, robots, backend)
            except (
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.TimeoutException,
            ) as error:
                _tell(url, error)

    async def _get(
        self, url: httpx.URL, most: int, robots: bool, backend: CheckedBackend
    ) -> Answer:
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        http = httpcore.AsyncHTTPConnection(
            target.origin, ssl_context=self._trusted, network_backend=backend
        )
        timeouts = {"timeout": {"connect": CONNECT_S}}
        request = http.stream("GET", target, headers=self._headers(url), extensions=timeouts)
        async with request as response:
            headers = httpx.Headers(response.headers)
            if response.status in REDIRECTS and (location := headers.get("Location")):
                return Answer(None, b"", location)
            check_status(response.status, headers, url)
            if not robots:
                check_kind(headers, url)
            body = Body(most, packed=is_packed(headers, url), cut=robots)
            body.check_size(int(headers.get("Content-Length", 0)))
            await _read(response, body, backend)
            return Answer(kind_of(headers, url), body.whole())

    def _headers(self, url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
        return [
            ("Host", url.netloc),
            ("User-Agent", self._agent),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip"),
            ("Connection", "close"),
        ]


async def _read(response: httpcore.Response, body: Body, backend: CheckedBackend) -> None:
    """Read until the body ends, or is full."""
    chunks = response.aiter_stream()
    try:
        async for chunk in chunks:
            for _ in body.feed(chunk):
                await trio.lowlevel.checkpoint()
            if body.full:
                return
    finally:
        # httpcore nests generators and closes none. Read on, each meets the closed connection and
        # ends here, rather than whenever it is collected.
        await backend.aclose()
        with trio.CancelScope(shield=True), suppress(httpcore.NetworkError, httpcore.ProtocolError):
            async for _ in chunks:
                pass


def _tell(url: httpx.URL, error: Exception) -> NoReturn:
    """What went wrong with a connection, in words and as whose fault."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            raise FetchRefused(f"The certificate of {url.host} is not to be trusted: {why}.")
        cause = cause.__cause__
    match error:
        case httpcore.ConnectTimeout():
            raise FetchFailed(f"{url.host} could not be reached within {CONNECT_S:g} s.")
        case httpcore.ConnectError():
            raise FetchFailed(f"{url.host} could not be reached: {error}.")
        case httpcore.ProtocolError():
            raise FetchFailed(f"The answer of {url.host} broke off or is not HTTP.")
        case _:
            raise FetchFailed(f"The connection to {url.host} broke off.")
