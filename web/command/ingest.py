"""`terzetto ingest`: add files, folders and web pages to the library.

Rule: documents that were added stay added, even if the command stops early. Each file or page that
cannot be read is listed with the reason. Any other error ends the command.

Progress and problems go to stderr, the summary to stdout.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from actors.errors import (
    ActorError,
    ExtraMissing,
    FetchFailed,
    FetchRefused,
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
from actors.fetching.fetcher import Fetcher, FetchLimits
from web.command.console import open_console
from web.command.document_files import FoundFiles, find_documents
from web.command.ingest_result import FileOrUrl, IngestResult, print_summary
from web.command.pruning import documents_of_folders, prune_folders
from web.command.services import OpenService, open_service
from web.service import Service
from web.settings.model import ServerSettings
from web.signals import receive_signals
from web.terminal import one_line, say

AT_A_TIME = 2
SOURCE_ERRORS = (
    ExtraMissing,
    FetchFailed,
    FetchRefused,
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
"""Errors of one file or page. The others still can be added."""
PROGRESS_LINES = 20
"""About how many progress lines are printed when stderr is not a terminal."""


class ProgressBar:
    """Progress on stderr: a bar on a terminal, else about `lines` lines in all."""

    def __init__(
        self, title: str, total: int, unit: str, console: Console, lines: int = PROGRESS_LINES
    ) -> None:
        self._total = total
        self._unit = unit
        self._every = max(total // lines, 1)
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
        self._row = self._bar.add_task(title, total=total)

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

    def update(self, done: int, name: str, line: str | None = None) -> None:
        """Show that `done` items are finished, `name` as the last; `line` is printed if given."""
        self._bar.update(self._row, completed=done, description=one_line(name, 40))
        if line is not None:
            self._bar.console.print(Text(line), soft_wrap=True)
        elif self._plain and done % self._every == 0:
            say(f"{done} of {self._total} {self._unit}")


def show_source(bar: ProgressBar, source: FileOrUrl, result: IngestResult) -> None:
    """Show that a file or page is finished. A page gets a line each, because fetching is slow."""
    if isinstance(source, Path):
        bar.update(result.done, source.name)
    else:
        line = f"{result.done} of {result.total}: {one_line(source, 1_000)}"
        bar.update(result.done, source, line)


async def ingest_sources(
    settings: ServerSettings, paths: list[Path], urls: list[str], *, prune: bool = False
) -> int:
    """Add the files under `paths` and the pages at `urls`. Returns the exit code.

    `prune` removes the documents whose files are gone, however many they are.
    """
    console = open_console(stderr=True)
    limit, check = settings.max_document_bytes, trio.from_thread.check_cancelled
    found = await trio.to_thread.run_sync(find_documents, paths, limit, check)
    found.urls += dict.fromkeys(urls)
    fetcher = Fetcher(FetchLimits.of(settings))
    result = IngestResult(prune=prune)
    try:
        with ProgressBar("Reading", found.total, "files", console) as bar:
            opening = partial(open_service, settings)
            await ingest_found(opening, fetcher, found, result, partial(show_source, bar))
    except BaseException:
        if result.done:  # The added documents stay, so the summary is due after any error.
            print_summary(result, found, console)
        raise
    print_summary(result, found, console)
    return result.exit_code(found.skipped.total())


async def ingest_found(
    opening: OpenService,
    fetcher: Fetcher,
    found: FoundFiles,
    result: IngestResult,
    show: Callable[[FileOrUrl, IngestResult], object],
) -> None:
    """Add the files and pages, two at a time, until all are done or a signal arrives.

    Then the documents whose files are gone from the folders are removed.
    """
    sources: list[FileOrUrl] = [*found.files, *found.urls]
    result.total = found.total
    result.unreadable += found.unreadable
    if not (sources or found.folders or found.missing):
        return
    with receive_signals() as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at_signal, signals, result, nursery.cancel_scope)
            async with opening() as service:
                known = await documents_of_folders(service, found)
                await _add_all(service, fetcher, sources, result, show)
                await prune_folders(service, found, known, result)
                result.outdated = (await service.library_counts()).get("to_rebuild", 0)
            nursery.cancel_scope.cancel()


async def _add_all(
    service: Service,
    fetcher: Fetcher,
    sources: list[FileOrUrl],
    result: IngestResult,
    show: Callable[[FileOrUrl, IngestResult], object],
) -> None:
    waiting = iter(sources)  # One iterator for all workers: each takes the next source.
    failure: list[ActorError] = []

    async def work(stop: trio.CancelScope) -> None:
        for source in waiting:
            try:
                await _add(service, fetcher, source, result)
            except ActorError as error:
                failure.append(error)
                stop.cancel()
                return
            show(source, result)

    async with trio.open_nursery() as workers:
        for _ in range(AT_A_TIME):
            workers.start_soon(work, workers.cancel_scope)
    if failure:
        raise failure[0]


async def _add(service: Service, fetcher: Fetcher, source: FileOrUrl, result: IngestResult) -> None:
    try:
        if isinstance(source, Path):
            document, outcome = await service.add(source)
        else:
            document, outcome = await service.add_page(await fetcher.fetch(source))
    except SOURCE_ERRORS as error:
        result.unreadable.append((source, error.message))
    except OSError as error:
        result.unreadable.append((source, error.strerror or str(error)))
    else:
        result.count(outcome)
        if outcome != "unchanged":
            result.notes += [(source, note) for note in document["notes"]]


async def _stop_at_signal(
    signals: AsyncIterator[int], result: IngestResult, scope: trio.CancelScope
) -> None:
    async for signum in signals:
        result.interrupted = 128 + signum
        scope.cancel()
