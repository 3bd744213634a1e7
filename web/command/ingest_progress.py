"""How `terzetto ingest` shows its progress and what came of it.

Rule: progress and problems go to stderr, where a terminal gets a bar and anything else a line now
and then; a web page gets a line in any case; the summary goes to stdout.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from web.command.exits import say
from web.command.ingest import FileOrUrl, Intake
from web.command.terminal import one_line

LINES = 20
"""About how many lines of progress a log gets, however many files there are."""
MOST_ROWS = 100
MOST_ENDINGS = 8


class IngestProgress:
    """A bar on a terminal, else about twenty lines in all."""

    def __init__(self, total: int, console: Console) -> None:
        self._every = max(total // LINES, 1)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("Reading", total=total)
        self._plain = not console.is_terminal

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, source: FileOrUrl, intake: Intake) -> None:
        """One more file or page is done with."""
        name = source.name if isinstance(source, Path) else source
        self._bar.update(self._task, completed=intake.done, description=one_line(name, 40))
        if not isinstance(source, Path):
            line = Text(f"{intake.done} of {intake.total}: {one_line(source, 1_000)}")
            self._bar.console.print(line, soft_wrap=True)
        elif self._plain and intake.done % self._every == 0:
            say(f"{intake.done} of {intake.total} files")


def tell_intake(intake: Intake, passed_over: Counter[str], console: Console) -> None:
    """The table of what could not be read and the summary."""
    if intake.unreadable:
        console.print(_unreadable_table(intake.unreadable))
    if passed_over:
        kinds = passed_over.most_common(MOST_ENDINGS)
        more = ", …" if len(passed_over) > MOST_ENDINGS else ""
        told = ", ".join(f"{count} {one_line(ending, 20)}" for ending, count in kinds)
        say(f"Passed over files of other kinds: {told}{more}")
    stopped = "Stopped. What was added stays: " if intake.interrupted else ""
    print(
        f"{stopped}added {intake.added:,}, unchanged {intake.unchanged:,}, "
        f"could not read {len(intake.unreadable):,}"
    )


def _unreadable_table(unreadable: list[tuple[FileOrUrl, str]]) -> Table:
    table = Table(title="Could not read", title_justify="left", box=None, pad_edge=False)
    table.add_column("Source", overflow="fold", style="bold")
    table.add_column("Why", overflow="fold")
    for source, reason in unreadable[:MOST_ROWS]:
        table.add_row(Text(one_line(str(source), 1_000)), Text(one_line(reason, 500)))
    if len(unreadable) > MOST_ROWS:
        table.add_row("…", f"and {len(unreadable) - MOST_ROWS:,} more")
    return table
