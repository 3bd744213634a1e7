"""Text from elsewhere on a terminal: documents, models and servers may hold control characters.

Rule: nothing that came from outside reaches a terminal before `printable` has seen it.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without control characters: only line feeds and tabs stay."""
    return _CONTROL.sub("", text)


def one_line(text: str, width: int = 200) -> str:
    """The text on one line, cut with an ellipsis if it is longer than `width`."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
