"""The protocol between the library and the child process that parses: frames over two pipes.

Rule: a frame is its length in four bytes and then that many bytes. To the child: the job as JSON,
then the document. From the child: JSON replies, each small, the last one with `end` or `error`. One with
`passages` or `excerpts` counts the cuts that the frame after it holds: see `cuts.py`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

LENGTH: Final = struct.Struct(">I")
LONGEST_REPLY: Final = 4 * 1024 * 1024
"""A longer reply means that the child is broken."""


@dataclass(frozen=True, slots=True)
class Job:
    """A document to parse. All but the bytes may be unknown."""

    body: bytes
    media_type: str | None = None
    title: str | None = None
    file_name: str | None = None

    @property
    def mebibytes(self) -> int:
        """Its size, rounded down."""
        return len(self.body) // (1024 * 1024)


def frame(payload: bytes) -> bytes:
    """A payload with its length before it."""
    return LENGTH.pack(len(payload)) + payload
