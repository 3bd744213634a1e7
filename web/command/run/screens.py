"""Three ways to show a task while it runs: live on a terminal, in plain lines, as NDJSON.

Rule: a screen only shows. Writing to a pipe happens in a thread, because whoever reads it may stop
and must not stop the task with it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Protocol

import trio
from rich.console import Console
from rich.live import Live

from web.command.exits import say
from web.command.run.drawing import Picture, final_picture
from web.command.run.lines import StreamedText, going_on, progress_line, summary_line
from web.command.run.view import RunView
from web.command.terminal import printable

FRAME_S = 0.1


class Screen(Protocol):
    """Where a task is shown."""

    async def animate(self) -> None:
        """Keep what is shown fresh until cancelled."""
        ...

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """An event came, and the view has taken it in."""
        ...

    def say(self, message: str) -> None:
        """Tell the person something that is not in the task's log."""
        ...

    def leave(self) -> None:
        """Give the terminal back. May be called twice."""
        ...

    async def finish(self) -> None:
        """Nothing more comes: show what stays."""
        ...


class JsonScreen:
    """The raw lines on stdout, flushed one by one."""

    async def animate(self) -> None:
        """Nothing moves here."""

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """The line as it came."""
        await _write(line + b"\n")

    def say(self, message: str) -> None:
        """On stderr."""
        say(message)

    def leave(self) -> None:
        """There is no terminal to give back."""

    async def finish(self) -> None:
        """The last line has said it all."""


class PlainScreen(JsonScreen):
    """Progress on stderr; on stdout the text of the report as it grows, and nothing else."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._text = StreamedText()

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """A line of progress, or the new part of the text."""
        if progress := progress_line(event, self._view):
            say(progress)
        if event["event_type"] == "partial_output":
            await _write(self._text.more(self._view.text).encode())

    async def finish(self) -> None:
        """The rest of the text, and how it ended."""
        await _write(self._text.last(self._view.text).encode())
        _say_ending(self._view)


class LiveScreen:
    """The plan as a tree and the end of the text, redrawn while they change."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._lifetime = ExitStack()
        self._lifetime.enter_context(self._live)

    async def animate(self) -> None:
        """Ten frames a second."""
        while True:
            self._live.update(Picture(self._view, datetime.now(UTC)), refresh=True)
            await trio.sleep(FRAME_S)

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """The next frame shows it; a burst of events costs one frame."""

    def say(self, message: str) -> None:
        """Above the picture."""
        self._console.print(printable(message), markup=False, highlight=False)

    def leave(self) -> None:
        """Take the picture away."""
        self._lifetime.close()

    async def finish(self) -> None:
        """The picture for good, with the whole report, and how it ended."""
        self.leave()
        self._console.print(final_picture(self._view, datetime.now(UTC)))
        _say_ending(self._view)


def choose_screen(view: RunView, *, json: bool) -> Screen:
    """The screen for this stdout."""
    if json:
        return JsonScreen()
    console = Console()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveScreen(view, console)
    return PlainScreen(view)


def _say_ending(view: RunView) -> None:
    say(summary_line(view))
    if hint := going_on(view):
        say(hint)


async def _write(piece: bytes) -> None:
    if piece:
        await trio.to_thread.run_sync(_write_now, piece)


def _write_now(piece: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
