"""A task drawn live on a terminal: the plan as a tree, and the text below it."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import trio
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from web.command.run.screens import say_ending
from web.command.run.view import RUNNING, RunStep, RunView, result_counts
from web.terminal import one_line, printable

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
        say_ending(self._view)


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
