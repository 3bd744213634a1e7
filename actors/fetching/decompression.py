"""The body of an answer as it comes over the wire, unpacked and counted.

Rule: what is unpacked at once is a small piece, so that a few bytes that unpack to gigabytes meet
the limit after as many bytes as the limit, and not after gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from actors.errors import FetchFailed, FetchRefused

PIECE_BYTES = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class Body:
    """The bytes of a page so far; `packed` if they come as gzip.

    What is more than `most` bytes is refused, or `cut` there, and then the body is `full`.
    """

    def __init__(self, most: int, *, packed: bool, cut: bool) -> None:
        self.full = False
        self._most = most
        self._cut = cut
        self._bytes = bytearray()
        self._unpacker = zlib.decompressobj(_GZIP) if packed else None

    def feed(self, received: bytes) -> Iterator[None]:
        """Take bytes in, and yield after each piece; raises `FetchRefused` past the limit."""
        if self._unpacker is None:
            self._keep(received)
            yield
            return
        while received and not self.full:
            if self._unpacker.eof:  # A gzip file may be several, one after the other.
                self._unpacker = zlib.decompressobj(_GZIP)
            try:
                self._keep(self._unpacker.decompress(received, PIECE_BYTES))
            except zlib.error:
                raise FetchFailed("The page came damaged: it cannot be unpacked.") from None
            received = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            yield

    def whole(self) -> bytes:
        """The page; raises `FetchFailed` if its end is missing."""
        if self._unpacker is not None and not (self._unpacker.eof or self.full):
            raise FetchFailed("The page came only in part.")
        return bytes(self._bytes)

    def _keep(self, piece: bytes) -> None:
        self._bytes += piece
        if len(self._bytes) > self._most:
            self.check_size(len(self._bytes))
            del self._bytes[self._most :]
            self.full = True

    def check_size(self, size: int) -> None:
        """Raise `FetchRefused` if a page may not have so many bytes."""
        if size > self._most and not self._cut:
            raise FetchRefused(f"The page has more than {self._most:,} bytes, which is the limit.")
