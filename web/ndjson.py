"""Reading NDJSON: from pieces of bytes to whole lines, and from a line to its event.

Rule: only `\\n` ends a line, and bytes without it at the end of a stream are not a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from actors.tasks import events
from web.service import UnexpectedAnswer

ENDINGS = frozenset(event.event_type for event in events.ENDINGS)


class LineSplitter:
    """Holds the beginning of the line that has not ended yet."""

    def __init__(self) -> None:
        self._begun = bytearray()

    @property
    def waiting(self) -> int:
        """The number of bytes of that line so far."""
        return len(self._begun)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes, each without its `\\n`."""
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield bytes(self._begun) + line
            self._begun.clear()
        self._begun += rest


def event_of(line: bytes) -> dict[str, Any]:
    """The event on this line; raises `UnexpectedAnswer` if there is none."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not (isinstance(event, dict) and isinstance(event.get("event_type"), str)):
        raise UnexpectedAnswer("A line of the stream is not an event.")
    return event


def is_ending(event: dict[str, Any]) -> bool:
    """Whether this event ends a run of the task."""
    return event["event_type"] in ENDINGS
