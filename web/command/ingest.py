"""`terzetto ingest`: add files, folders and web pages to the library.

Rule: what was added stays added, whatever happens to the rest, and each file or page that could not be read
is named with the reason. Trouble that is not the file's ends the command.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import trio

from actors.errors import (
    ActorError,
    FetchFailed,
    FetchRefused,
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
from actors.fetching.fetcher import Fetcher
from web.command.document_files import FoundFiles
from web.command.exits import Exit
from web.service import Service

AT_A_TIME = 2
FAULTS_OF_THE_SOURCE = (
    FetchFailed,
    FetchRefused,
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)

FileOrUrl = Path | str


@dataclass(slots=True)
class Intake:
    """What has become of the files and pages so far."""

    total: int = 0
    added: int = 0
    unchanged: int = 0
    unreadable: list[tuple[FileOrUrl, str]] = field(default_factory=list)
    interrupted: int | None = None

    @property
    def done(self) -> int:
        """Files and pages that need no more work."""
        return self.added + self.unchanged + len(self.unreadable)

    def exit_code(self) -> int:
        """Bad only if nothing at all could be read where something should have been."""
        if self.interrupted:
            return self.interrupted
        readable = self.added + self.unchanged
        return Exit.OK if readable or not self.unreadable else Exit.FAILED


class ProgressReport(Protocol):
    """Where the progress of an intake is shown."""

    def step(self, source: FileOrUrl, intake: Intake) -> None:
        """One more file or page is done with."""
        ...


Opening = Callable[[], AbstractAsyncContextManager[Service]]


async def ingest_found(
    opening: Opening,
    fetcher: Fetcher,
    found: FoundFiles,
    intake: Intake,
    progress: ProgressReport,
) -> None:
    """Add the files and pages, two at a time, until they are done or the person has enough."""
    sources: list[FileOrUrl] = [*found.files, *found.urls]
    intake.total = len(sources) + len(found.unreadable)
    intake.unreadable += found.unreadable
    if not sources:
        return
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, intake, nursery.cancel_scope)
            async with opening() as service:
                await _add_all(service, fetcher, sources, intake, progress)
            nursery.cancel_scope.cancel()


async def _add_all(
    service: Service,
    fetcher: Fetcher,
    sources: list[FileOrUrl],
    intake: Intake,
    progress: ProgressReport,
) -> None:
    waiting = iter(sources)  # One iterator for all workers: each takes the next source.
    failure: list[ActorError] = []

    async def work(stop: trio.CancelScope) -> None:
        for source in waiting:
            try:
                await _add(service, fetcher, source, intake)
            except ActorError as error:
                failure.append(error)
                stop.cancel()
                return
            progress.step(source, intake)

    async with trio.open_nursery() as workers:
        for _ in range(AT_A_TIME):
            workers.start_soon(work, workers.cancel_scope)
    if failure:
        raise failure[0]


async def _add(service: Service, fetcher: Fetcher, source: FileOrUrl, intake: Intake) -> None:
    try:
        if isinstance(source, Path):
            _, created = await service.add(source)
        else:
            _, created = await service.add_page(await fetcher.fetch(source))
    except FAULTS_OF_THE_SOURCE as error:
        intake.unreadable.append((source, error.message))
    except OSError as error:
        intake.unreadable.append((source, error.strerror or str(error)))
    else:
        intake.added += created
        intake.unchanged += not created


async def _obey(signals: AsyncIterator[int], intake: Intake, scope: trio.CancelScope) -> None:
    async for signum in signals:
        intake.interrupted = 128 + signum
        scope.cancel()
