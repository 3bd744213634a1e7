"""Three ways to show a task while it runs: live on a terminal, in plain lines, as NDJSON.

Rule: a screen only shows. It writes to a pipe in a thread, because the reader of the pipe may stop
reading and must not block the event loop.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

import trio

from web.command.run.view import RunView, progress_line, retry_hint, summary_line
from web.terminal import escaped, printable, say

DRAWS_ANYWHERE = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which rich takes any output for a terminal."""


class Screen(Protocol):
    """Where a task is shown."""

    async def animate(self) -> None:
        """Redraw until cancelled."""
        ...

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """Show an event. The view has applied it already."""
        ...

    def say(self, message: str) -> None:
        """Show a message that is not in the task's log."""
        ...

    def leave(self) -> None:
        """Restore the terminal. May be called twice."""
        ...

    async def finish(self) -> None:
        """No more events come: show the final state."""
        ...


class JsonScreen:
    """The raw lines on stdout, flushed one by one."""

    async def animate(self) -> None:
        """Nothing is animated."""

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """The line as it came, but for control characters, which are escaped."""
        await _write(escaped(line.decode()) + "\n")

    def say(self, message: str) -> None:
        """On stderr."""
        say(message)

    def leave(self) -> None:
        """No terminal state was changed."""

    async def finish(self) -> None:
        """The last line shows how the task ended."""


class PlainScreen(JsonScreen):
    """Progress on stderr; on stdout only the text of the report as it grows."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._text = StreamedText()

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """A line of progress, or the new part of the text."""
        if progress := progress_line(event, self._view):
            say(progress)
        if event["event_type"] == "partial_output":
            await _write(printable(self._text.more(self._view.text)))

    async def finish(self) -> None:
        """The rest of the text, and how the task ended."""
        await _write(printable(self._text.last(self._view.text)))
        say_ending(self._view)


class StreamedText:
    """Splits a growing text into pieces that are printed once each.

    A new attempt may write the text again from its start. Nothing is printed while it repeats the
    printed text. If it differs, it is printed whole after a rule, because output to a pipe cannot
    be taken back.
    """

    RULE = "\n\n---\n\n"

    def __init__(self) -> None:
        self._printed = ""

    def more(self, text: str) -> str:
        """What to print now that the text is `text`."""
        if self._printed.startswith(text):
            return ""
        if text.startswith(self._printed):
            piece = text[len(self._printed) :]
        else:
            piece = self.RULE + text
        self._printed = text
        return piece

    def last(self, text: str) -> str:
        """What to print once the text is final: the rest, and a line feed if none ends it."""
        piece = self.more(text)
        return piece if not (self._printed + piece) or text.endswith("\n") else piece + "\n"


def choose_screen(view: RunView, *, json: bool) -> Screen:
    """The screen for this stdout."""
    if json:
        return JsonScreen()
    if sys.stdout.isatty() or any(map(os.environ.get, DRAWS_ANYWHERE)):
        from web.command.console import open_console  # For a pipe this takes too long to import.
        from web.command.run.live import LiveScreen

        console = open_console()
        if console.is_terminal and not console.is_dumb_terminal:
            return LiveScreen(view, console)
    return PlainScreen(view)


def say_ending(view: RunView) -> None:
    say(summary_line(view))
    if hint := retry_hint(view):
        say(hint)


async def _write(piece: str) -> None:
    if piece:
        await trio.to_thread.run_sync(_write_now, piece.encode())


def _write_now(piece: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
