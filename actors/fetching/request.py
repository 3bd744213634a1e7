"""One GET request: its connection, the checks of its response, and its body.

Rule: when a request ends, in whatever way, its connection is closed. A failure that may pass is
`FetchFailed`, with the time to wait if the server sent one; any other response without a page is
`FetchRefused`. A gzip body is decompressed in small pieces, so that a few bytes that decompress to
gigabytes stop at the limit.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import NoReturn

import httpcore
import httpx
import trio

from actors.clock import parse_retry_after, wall_clock
from actors.errors import FetchFailed, FetchRefused
from actors.fetching.connections import CheckedBackend

USER_AGENT = "Terzetto"
CONNECT_S = 5.0
PIECE_BYTES = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_ACCEPT = (
    "text/html, application/xhtml+xml, text/markdown, text/plain, application/pdf, text/*;q=0.5"
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429})
_OTHER_MEDIA_TYPES = frozenset(
    {
        "application/pdf",
        "application/x-pdf",
        "application/xhtml+xml",
        # These say nothing; the library inspects the bytes.
        "",
        "application/octet-stream",
        "binary/octet-stream",
    }
)


@dataclass(frozen=True, slots=True)
class Response:
    """A page, or in `location` the target of a redirect."""

    media_type: str | None
    body: bytes
    location: str | None = None


class PageClient:
    """Sends GET requests; to private networks only if `private` is set."""

    def __init__(self, tls: ssl.SSLContext, *, private: bool) -> None:
        self._tls = tls
        self._private = private
        self._agent = f"{USER_AGENT}/{version('terzetto')}"

    async def get(self, url: httpx.URL, max_bytes: int, *, robots: bool = False) -> Response:
        """The response at `url`; raises `FetchRefused` and `FetchFailed`.

        A page of more than `max_bytes` is refused; with `robots`, it is a robots.txt, which is cut.
        """
        backend = CheckedBackend(private=self._private)
        async with aclosing(backend):
            try:
                return await self._get(url, max_bytes, robots, backend)
            except (
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.TimeoutException,
            ) as error:
                _raise_for(url, error)

    async def _get(
        self, url: httpx.URL, max_bytes: int, robots: bool, backend: CheckedBackend
    ) -> Response:
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        http = httpcore.AsyncHTTPConnection(
            target.origin, ssl_context=self._tls, network_backend=backend
        )
        timeouts = {"timeout": {"connect": CONNECT_S}}
        request = http.stream("GET", target, headers=self._headers(url), extensions=timeouts)
        async with request as response:
            headers = httpx.Headers(response.headers)
            if response.status in _REDIRECTS and (location := headers.get("Location")):
                return Response(None, b"", location)
            _check_status(response.status, headers, url)
            if not robots:
                _check_media_type(headers, url)
            body = BodyReader(max_bytes, gzip=_is_gzip(headers, url), cut=robots)
            body.check_size(int(headers.get("Content-Length", 0)))
            await _read(response, body, backend)
            return Response(_media_type(headers, url), body.whole())

    def _headers(self, url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
        return [
            ("Host", url.netloc),
            ("User-Agent", self._agent),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip"),
            ("Connection", "close"),
        ]


async def _read(response: httpcore.Response, body: BodyReader, backend: CheckedBackend) -> None:
    """Read until the body ends, or is full."""
    chunks = response.aiter_stream()
    try:
        async for chunk in chunks:
            for _ in body.feed(chunk):
                await trio.lowlevel.checkpoint()
            if body.full:
                return
    finally:
        # httpcore nests async generators and closes none. Reading on ends each of them here, at the
        # closed connection, rather than at some garbage collection.
        await backend.aclose()
        with trio.CancelScope(shield=True), suppress(httpcore.NetworkError, httpcore.ProtocolError):
            async for _ in chunks:
                pass


def _raise_for(url: httpx.URL, error: Exception) -> NoReturn:
    """Raise the error for a failed connection."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
            raise FetchRefused(f"The certificate of {url.host} is not trusted: {reason}.")
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


def _check_status(status: int, headers: httpx.Headers, url: httpx.URL) -> None:
    """Raise the error for a status that is no success."""
    if 200 <= status < 300:
        return
    message = f"{url} answered {status} {_phrase(status)}".rstrip() + "."
    if status >= 500 or status in _TRANSIENT:
        error = FetchFailed(message)
        error.retry_after_s = parse_retry_after(headers.get("Retry-After", ""), wall_clock)
        raise error
    raise FetchRefused(message)


def _check_media_type(headers: httpx.Headers, url: httpx.URL) -> None:
    """Raise `FetchRefused`, before the body is read, if it is not text, Markdown, HTML or PDF."""
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not media_type.startswith("text/") and media_type not in _OTHER_MEDIA_TYPES:
        raise FetchRefused(
            f"{url} is {media_type}. The library reads text, Markdown, HTML and PDF."
        )


def _media_type(headers: httpx.Headers, url: httpx.URL) -> str | None:
    """The media type of the body; a file with Markdown's ending is Markdown, not plain text."""
    given: str | None = headers.get("Content-Type")
    base, semicolon, parameters = (given or "").partition(";")
    if base.strip().lower() == "text/plain" and url.path.lower().endswith((".md", ".markdown")):
        return f"text/markdown{semicolon}{parameters}"
    return given


def _is_gzip(headers: httpx.Headers, url: httpx.URL) -> bool:
    """Whether the body is gzip; raises `FetchRefused` for any other content coding."""
    coding: str = headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise FetchRefused(f"{url} has the content coding {coding}, which was not requested.")
    return coding.endswith("gzip")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class BodyReader:
    """The bytes of a page so far, decompressed if they are `gzip`.

    A page of more than `max_bytes` is refused; with `cut` it ends there, and is `full`.
    """

    def __init__(self, max_bytes: int, *, gzip: bool, cut: bool) -> None:
        self.full = False
        self._max_bytes = max_bytes
        self._cut = cut
        self._bytes = bytearray()
        self._decompressor = zlib.decompressobj(_GZIP) if gzip else None

    def feed(self, received: bytes) -> Iterator[None]:
        """Add bytes, and yield after each piece; raises `FetchRefused` past the limit."""
        if self._decompressor is None:
            self._append(received)
            yield
            return
        while received and not self.full:
            if self._decompressor.eof:  # A gzip file may have several members.
                self._decompressor = zlib.decompressobj(_GZIP)
            try:
                self._append(self._decompressor.decompress(received, PIECE_BYTES))
            except zlib.error:
                raise FetchFailed("The page is damaged: it cannot be decompressed.") from None
            received = self._decompressor.unconsumed_tail or self._decompressor.unused_data
            yield

    def whole(self) -> bytes:
        """The complete page; raises `FetchFailed` if its end is missing."""
        if self._decompressor is not None and not (self._decompressor.eof or self.full):
            raise FetchFailed("The page is incomplete: its end is missing.")
        return bytes(self._bytes)

    def _append(self, piece: bytes) -> None:
        self._bytes += piece
        if len(self._bytes) > self._max_bytes:
            self.check_size(len(self._bytes))
            del self._bytes[self._max_bytes :]
            self.full = True

    def check_size(self, size: int) -> None:
        """Raise `FetchRefused` if so many bytes are too many."""
        if size > self._max_bytes and not self._cut:
            raise FetchRefused(
                f"The page has more than {self._max_bytes:,} bytes, which is the limit."
            )
