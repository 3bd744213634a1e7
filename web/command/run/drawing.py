"""A task as rich draws it: the plan as a tree, the report, its sources.

Rule: functions of the view, the time and the console's size; nothing here is remembered.
"""

from __future__ import annotations

import re
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from web.command.run.lines import result_in_words
from web.command.run.view import RUNNING, RunView, StepView
from web.command.terminal import one_line, printable

STATES = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "retrying": ("↻", "yellow"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
NOTES = 3
TAIL_CHARACTERS = 8_000
"""Of a long text only its end is laid out while it grows, so that a frame costs little."""
LEAST_TEXT_LINES = 6
_OWN_SOURCES = re.compile(r"^#+ *Sources *$", re.MULTILINE | re.IGNORECASE)
"""A report that ends with its list of sources needs no second one."""


class Picture:
    """One frame: the tree on top and under it as much of the text's end as the screen holds."""

    def __init__(self, view: RunView, now: datetime) -> None:
        self._view = view
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        room = max(console.size.height - 1, 4)
        tree = console.render_lines(plan_tree(self._view, self._now), options, pad=False)
        lines = tree
        if self._view.text:
            tail = console.render_lines(_markdown(_end_of(self._view.text)), options, pad=False)
            tree = tree[-max(room - LEAST_TEXT_LINES, 1) :]
            lines = [*tree, [], *tail[-max(room - len(tree) - 1, 1) :]]
        for line in lines[-room:]:
            yield from line
            yield Segment.line()


def final_picture(view: RunView, now: datetime) -> RenderableType:
    """What stays on the terminal: the tree, the whole report, its sources."""
    parts: list[RenderableType] = [plan_tree(view, now)]
    if view.text:
        parts += [Text(), _markdown(view.text)]
    if view.sources and not _OWN_SOURCES.search(view.text):
        parts += [Text(), sources_table(view)]
    return Group(*parts)


def plan_tree(view: RunView, now: datetime) -> Tree:
    """The plan. A step that waits for one other hangs under it, any other under the task."""
    title = Text(one_line(view.description) or "…", style="bold")
    title.append(f"  {view.state}", style=STATES.get(view.state, ("", "cyan"))[1])
    title.append("  degraded" if view.degraded else "", style="yellow")
    root = Tree(title, guide_style="dim")
    nodes: dict[str, Tree] = {}
    for step in view.steps.values():
        parent = nodes.get(step.depends_on[0]) if len(step.depends_on) == 1 else None
        node = nodes[step.step_id] = (root if parent is None else parent).add(_label(step, now))
        for note in step.notes[-NOTES:]:
            node.add(Text(one_line(note), style="yellow" if step.state != "failed" else "red"))
    return root


def sources_table(view: RunView) -> Table:
    """The passages that the report cites, by number."""
    table = Table(title="Sources", title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right", style="cyan", no_wrap=True)
    for name in ("Title", "Section", "Passage"):
        table.add_column(name, justify="right" if name == "Passage" else "left")
    for source in view.sources:
        cells = (f"[{source['n']}]", source["title"], source["section"], str(source["position"]))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _label(step: StepView, now: datetime) -> Text:
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
    if told := result_in_words(step):
        label.append(f"  {told}", style="dim")
    return label


def _time_s(step: StepView, now: datetime) -> float | None:
    if step.duration_s is not None or step.started_at is None:
        return step.duration_s
    return max((now - step.started_at).total_seconds(), 0.0) if step.state in RUNNING else None


def _markdown(text: str) -> Markdown:
    # A link is shown with its address: its text alone could pretend to be another.
    return Markdown(printable(text), hyperlinks=False)


def _end_of(text: str) -> str:
    if len(text) <= TAIL_CHARACTERS:
        return text
    paragraph = text.find("\n\n", len(text) - TAIL_CHARACTERS)
    return text[paragraph if paragraph >= 0 else -TAIL_CHARACTERS :]
