"""Text for people on a terminal, in a log or in a pipe.

Rule: text from documents, tasks, models and servers may contain control characters, which a terminal
obeys: it goes through `printable` or `escaped` before it is printed. A message that cannot be printed
is no reason to stop: the terminal may be closed, or the disk full.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without control characters, except line feeds and tabs."""
    return _CONTROL.sub("", text)


def escaped(json: str) -> str:
    """The same JSON with its control characters escaped; they can only stand in its strings."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def one_line(text: str, width: int = 200) -> str:
    """The text on one line, cut with an ellipsis if it is longer than `width`."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def say(message: str) -> None:
    """Print a message on stderr, so that stdout carries only the result."""
    with suppress(OSError):
        print(printable(message), file=sys.stderr, flush=True)


def log_to_terminal(level: int) -> None:
    """Print what this process logs on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
