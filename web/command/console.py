"""Where a command prints tables and colours: rich's console, also in a pipe.

Rule: in a pipe no line is broken, since the next program reads lines.
"""

from __future__ import annotations

from rich.console import Console

PIPE_WIDTH = 100_000
"""Wider than any line."""


def open_console(*, stderr: bool = False) -> Console:
    """The console of stdout or stderr."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)
