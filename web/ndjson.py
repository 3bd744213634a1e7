"""Reading a stream of NDJSON: bytes in any pieces, whole lines out.

Rule: only `\\n` ends a line, and a line that was cut before it is no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from web.service import UnexpectedAnswer

ENDINGS = frozenset({"task_completed", "task_failed", "task_cancelled"})


class LineSplitter:
    """Holds the beginning of the line that has not ended yet."""

    def __init__(self) -> None:
        self._begun = bytearray()

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
    """Whether a run of the task ends with this event."""
    return event["event_type"] in ENDINGS
