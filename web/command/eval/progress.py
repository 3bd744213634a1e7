"""How `terzetto eval answers` shows its progress.

Rule: on stderr, where a terminal gets a bar and anything else a line now and then.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from web.command.exits import say
from web.command.terminal import one_line

LINES = 10
"""About how many lines of progress a log gets, however many tasks there are."""


class TaskProgress:
    """A bar on a terminal, else about ten lines in all."""

    def __init__(self, total: int, console: Console) -> None:
        self._total = total
        self._done = 0
        self._every = max(total // LINES, 1)
        self._plain = not console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=self._plain,
        )
        self._row = self._bar.add_task("Running", total=total)

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

    def step(self, name: str) -> None:
        """One more task is done with."""
        self._done += 1
        self._bar.update(self._row, completed=self._done, description=one_line(name, 40))
        if self._plain and self._done % self._every == 0:
            say(f"{self._done} of {self._total} tasks")
