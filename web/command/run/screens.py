"""Three ways to show a task while it runs: live on a terminal, in plain lines, as NDJSON.

Rule: a screen only shows. It writes to a pipe in a thread, because the reader of the pipe may stop
reading and must not block the event loop.
"""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import trio
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from web.command.console import open_console
from web.command.run.view import (
    RUNNING,
    RunStep,
    RunView,
    progress_line,
    result_counts,
    retry_hint,
    summary_line,
)
from web.terminal import escaped, one_line, printable, say

FRAME_S = 0.1
STATES = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "retrying": ("↻", "yellow"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MAX_NOTES = 3
TAIL_CHARACTERS = 8_000
"""A frame lays out only the end of a long text, to stay cheap."""
MIN_TEXT_LINES = 6
_SOURCES_HEADING = re.compile(r"^#+ *Sources *$", re.MULTILINE | re.IGNORECASE)
"""A report that contains its list of sources needs no second one."""


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
        _say_ending(self._view)


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


class LiveScreen:
    """The plan as a tree and the end of the text, redrawn as they change."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._lifetime = ExitStack()
        self._lifetime.enter_context(self._live)

    async def animate(self) -> None:
        """Draw ten frames per second."""
        while True:
            self._live.update(Frame(self._view, datetime.now(UTC)), refresh=True)
            await trio.sleep(FRAME_S)

    async def show(self, line: bytes, event: dict[str, Any]) -> None:
        """The next frame shows it, so that a burst of events costs one frame."""

    def say(self, message: str) -> None:
        """Above the frame."""
        with suppress(OSError):
            self._console.print(printable(message), markup=False, highlight=False)

    def leave(self) -> None:
        """Remove the frame."""
        with suppress(OSError):
            self._lifetime.close()

    async def finish(self) -> None:
        """The tree, the whole report, and how the task ended."""
        self.leave()
        self._console.print(final_picture(self._view, datetime.now(UTC)))
        _say_ending(self._view)


def choose_screen(view: RunView, *, json: bool) -> Screen:
    """The screen for this stdout."""
    if json:
        return JsonScreen()
    console = open_console()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveScreen(view, console)
    return PlainScreen(view)


def _say_ending(view: RunView) -> None:
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


# --- Drawing: functions of the view, the time and the size of the console ------------------------


class Frame:
    """One frame: the tree, and below it as much of the end of the text as fits on the screen."""

    def __init__(self, view: RunView, now: datetime) -> None:
        self._view = view
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Implement rich's protocol."""
        room = max(console.size.height - 1, 4)
        tree = console.render_lines(plan_tree(self._view, self._now), options, pad=False)
        lines = tree
        if self._view.text:
            tail = console.render_lines(_markdown(_tail(self._view.text)), options, pad=False)
            tree = tree[-max(room - MIN_TEXT_LINES, 1) :]
            lines = [*tree, [], *tail[-max(room - len(tree) - 1, 1) :]]
        for line in lines[-room:]:
            yield from line
            yield Segment.line()


def final_picture(view: RunView, now: datetime) -> RenderableType:
    """What stays on the terminal: the tree, the whole report, its sources."""
    parts: list[RenderableType] = [plan_tree(view, now)]
    if view.text:
        parts += [Text(), _markdown(view.text)]
    if view.sources and not _SOURCES_HEADING.search(view.text):
        parts += [Text(), _sources_table(view)]
    return Group(*parts)


def plan_tree(view: RunView, now: datetime) -> Tree:
    """The plan. A step that depends on one other is below that, any other below the task."""
    title = Text(one_line(view.description) or "…", style="bold")
    title.append(f"  {view.state}", style=STATES.get(view.state, ("", "cyan"))[1])
    title.append("  degraded" if view.degraded else "", style="yellow")
    root = Tree(title, guide_style="dim")
    nodes: dict[str, Tree] = {}
    for step in view.steps.values():
        parent = nodes.get(step.depends_on[0]) if len(step.depends_on) == 1 else None
        node = nodes[step.step_id] = (root if parent is None else parent).add(_label(step, now))
        for note in step.notes[-MAX_NOTES:]:
            node.add(Text(one_line(note), style="yellow" if step.state != "failed" else "red"))
    return root


def _sources_table(view: RunView) -> Table:
    table = Table(title="Sources", title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right", style="cyan", no_wrap=True)
    for name in ("Title", "Section", "Passage"):
        table.add_column(name, justify="right" if name == "Passage" else "left")
    for source in view.sources:
        cells = (f"[{source['n']}]", source["title"], source["section"], str(source["position"]))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _label(step: RunStep, now: datetime) -> Text:
    icon, style = STATES[step.state]
    if step.state in RUNNING:
        icon = SPINNER[int(now.timestamp() * 10) % len(SPINNER)]
    label = Text.assemble((f"{icon} ", style), (step.step, "bold"), " ", one_line(step.description))
    if (time_s := _time_s(step, now)) is not None:
        label.append(f"  {time_s:.1f} s", style="dim")
    if step.attempts > 1:
        label.append(f"  attempt {step.attempts}", style="yellow")
    if step.degraded:
        label.append("  degraded", style="yellow")
    if counts := result_counts(step):
        label.append(f"  {counts}", style="dim")
    return label


def _time_s(step: RunStep, now: datetime) -> float | None:
    if step.duration_s is not None or step.started_at is None:
        return step.duration_s
    return max((now - step.started_at).total_seconds(), 0.0) if step.state in RUNNING else None


def _markdown(text: str) -> Markdown:
    # Each link is shown with its address: the text of a link alone could name another one.
    return Markdown(printable(text), hyperlinks=False)


def _tail(text: str) -> str:
    if len(text) <= TAIL_CHARACTERS:
        return text
    paragraph = text.find("\n\n", len(text) - TAIL_CHARACTERS)
    return text[paragraph if paragraph >= 0 else -TAIL_CHARACTERS :]
