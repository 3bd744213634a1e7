"""`terzetto ingest`: add files and folders to the library.

Rule: what was added stays added, whatever happens to the rest, and each file that could not be read
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
    InvalidRequest,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
from web.command.document_files import FoundFiles
from web.command.exits import Exit
from web.service import Service

AT_A_TIME = 2
FAULTS_OF_THE_FILE = (InvalidRequest, TooLarge, UnreadableDocument, UnsupportedMediaType)


@dataclass(slots=True)
class Intake:
    """What has become of the files so far."""

    total: int = 0
    added: int = 0
    unchanged: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    interrupted: int | None = None

    @property
    def done(self) -> int:
        """Files that need no more work."""
        return self.added + self.unchanged + len(self.unreadable)

    def exit_code(self) -> int:
        """Bad only if nothing at all could be read where something should have been."""
        if self.interrupted:
            return self.interrupted
        readable = self.added + self.unchanged
        return Exit.OK if readable or not self.unreadable else Exit.FAILED


class ProgressReport(Protocol):
    """Where the progress of an intake is shown."""

    def step(self, path: Path, intake: Intake) -> None:
        """One more file is done with."""
        ...


Opening = Callable[[], AbstractAsyncContextManager[Service]]


async def ingest_files(
    opening: Opening, found: FoundFiles, intake: Intake, progress: ProgressReport
) -> None:
    """Add the files, two at a time, until they are done or the person has enough."""
    intake.total = len(found.files) + len(found.unreadable)
    intake.unreadable += found.unreadable
    if not found.files:
        return
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, intake, nursery.cancel_scope)
            async with opening() as service:
                await _add_all(service, found.files, intake, progress)
            nursery.cancel_scope.cancel()


async def _add_all(
    service: Service, files: list[Path], intake: Intake, progress: ProgressReport
) -> None:
    waiting = iter(files)  # One iterator for all workers: each takes the next file.
    failure: list[ActorError] = []

    async def work(stop: trio.CancelScope) -> None:
        for path in waiting:
            try:
                await _add(service, path, intake)
            except ActorError as error:
                failure.append(error)
                stop.cancel()
                return
            progress.step(path, intake)

    async with trio.open_nursery() as workers:
        for _ in range(AT_A_TIME):
            workers.start_soon(work, workers.cancel_scope)
    if failure:
        raise failure[0]


async def _add(service: Service, path: Path, intake: Intake) -> None:
    try:
        _, created = await service.add(path)
    except FAULTS_OF_THE_FILE as error:
        intake.unreadable.append((path, error.message))
    except OSError as error:
        intake.unreadable.append((path, error.strerror or str(error)))
    else:
        intake.added += created
        intake.unchanged += not created


async def _obey(signals: AsyncIterator[int], intake: Intake, scope: trio.CancelScope) -> None:
    async for signum in signals:
        intake.interrupted = 128 + signum
        scope.cancel()
