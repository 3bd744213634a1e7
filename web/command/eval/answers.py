"""`terzetto eval answers`: measure plans and reports on tasks with known good answers.

Each task runs in a system in this process with the person's settings, and with their library unless
other documents are given. The time of a task runs from its creation to its end, while up to three
other tasks run.

Rule: the data folder is not changed: the log, and documents that are given, are kept in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from actors.clock import wall_clock
from actors.errors import InvalidRequest
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.journal.memory import MemoryStore
from actors.library.encoders.encoder import encoder_loader
from actors.library.library import Library, open_library
from actors.system import System, open_system
from actors.tasks.events import PlanCreated, TaskCompleted, TaskFailed
from actors.tasks.evidence import Source
from web.command.console import open_console
from web.command.document_files import find_documents
from web.command.eval.answer_measures import (
    AnswerMeasures,
    AnswerTotals,
    TaskOutcome,
    answer_totals,
    measure_answer,
)
from web.command.eval.judged_files import JudgedTask, read_tasks
from web.command.eval.retrieval import own_library
from web.command.ingest import ProgressBar, ingest_found, show_source
from web.command.ingest_result import IngestResult
from web.local import LocalService
from web.settings.model import ServerSettings
from web.terminal import say

AT_A_TIME = 4
PROGRESS_LINES = 10


@dataclass(frozen=True, slots=True)
class AnswerEvaluation:
    """The measures of each task, in the order of the file, and of all."""

    tasks: tuple[AnswerMeasures, ...]
    overall: AnswerTotals


async def evaluate_task_file(
    settings: ServerSettings, path: Path, documents: Sequence[Path], only: str | None
) -> AnswerEvaluation:
    """Run the tasks of a file, or `only` one of them. Raises `InvalidRequest` and `FolderHeld`."""
    tasks = read_tasks(path)
    if only is not None:
        tasks = [task for task in tasks if task.name == only]
        if not tasks:
            raise InvalidRequest(f"{path} has no task {only}.")
    async with _library(settings, documents) as library:
        async with open_system(settings, store=MemoryStore(), library=library) as system:
            if documents:
                await _ingest(system, documents, settings.max_document_bytes)
            await library.encode_all()
            console = open_console(stderr=True)
            with ProgressBar("Running", len(tasks), "tasks", console, PROGRESS_LINES) as bar:
                return await _evaluate(system, tasks, bar)


async def _evaluate(
    system: System, tasks: Sequence[JudgedTask], bar: ProgressBar
) -> AnswerEvaluation:
    waiting = iter(tasks)  # One iterator for all workers: each takes the next task.
    found: dict[str, AnswerMeasures] = {}

    async def work() -> None:
        for task in waiting:
            outcome = await _outcome(system, task)
            found[task.name] = await trio.to_thread.run_sync(measure_answer, task, outcome)
            bar.update(len(found), task.name)

    async with trio.open_nursery() as workers:
        for _ in range(min(AT_A_TIME, system.settings.max_running_tasks)):
            workers.start_soon(work)
    every = tuple(found[task.name] for task in tasks)
    return AnswerEvaluation(every, answer_totals(every))


async def _outcome(system: System, task: JudgedTask) -> TaskOutcome:
    started = trio.current_time()
    try:
        created = await system.create(task.text)
    except InvalidRequest as error:
        raise InvalidRequest(f"Task {task.name}: {error.message}") from None
    questions: tuple[str, ...] = ()
    ended, report = "cancelled", ""
    sources: tuple[Source, ...] = ()
    async for stamped in system.execute(created.task_id):
        match stamped.event:
            case PlanCreated(steps):
                questions = tuple(s.description for s in steps if s.step == "retrieval")
            case TaskCompleted(final_output=report, sources=sources, degraded=degraded):
                ended = "degraded" if degraded else "completed"
            case TaskFailed(error=failure):
                ended = failure.code
    return TaskOutcome(ended, trio.current_time() - started, questions, report, sources)


@asynccontextmanager
async def _library(settings: ServerSettings, documents: Sequence[Path]) -> AsyncIterator[Library]:
    encoder = encoder_loader(settings.encoder, settings.encoder_model)
    if documents:
        async with open_library(None, now=wall_clock, encoder=encoder) as library:
            yield library
    else:
        async with own_library(settings.data_dir, encoder) as library:
            yield library


async def _ingest(system: System, documents: Sequence[Path], max_bytes: int) -> None:
    check = trio.from_thread.check_cancelled
    found = await trio.to_thread.run_sync(find_documents, documents, max_bytes, check)
    result = IngestResult()
    service = LocalService(system)
    fetcher = Fetcher(FetchLimits.of(system.settings))
    with ProgressBar("Reading", found.total, "files", open_console(stderr=True)) as bar:
        show = partial(show_source, bar)
        await ingest_found(lambda: nullcontext(service), fetcher, found, result, show)
    if result.interrupted:
        raise KeyboardInterrupt
    for path, reason in result.unreadable:
        say(f"Could not read {path}: {reason}")
    if not result.added:
        raise InvalidRequest("None of the given documents could be read.")
