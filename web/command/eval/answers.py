"""`terzetto eval answers`: how good the plans and reports are, by what people expect of them.

Each task runs in a system of this process as it would for the person: with their settings, and with
their library unless other documents are given. The time of a task is from its creation to its
ending, while up to three others run.

Rule: it changes nothing: the log of its tasks, and documents that are given, are kept in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio
from rich.console import Console

from actors.clock import wall_clock
from actors.errors import InvalidRequest
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.journal.memory import MemoryStore
from actors.library.library import Library, open_library
from actors.system import System, open_system
from actors.tasks.events import PlanCreated, TaskCompleted, TaskFailed
from actors.tasks.evidence import Source
from web.command.document_files import find_documents
from web.command.eval.answer_measures import Measures, Outcome, Overall, measured, overall
from web.command.eval.judged_tasks import JudgedTask, read_tasks
from web.command.eval.retrieval import own_library
from web.command.ingest import IngestResult, ProgressBar, ingest_found, show_source
from web.command.output import say
from web.local import LocalService
from web.settings.model import ServerSettings

AT_A_TIME = 4
PROGRESS_LINES = 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured, in the order of the file."""

    tasks: tuple[Measures, ...]
    overall: Overall


async def evaluate_file(
    settings: ServerSettings, path: Path, documents: Sequence[Path], only: str | None
) -> Evaluation:
    """Run the tasks of a file, or `only` one of them; raises `InvalidRequest` and `FolderHeld`."""
    tasks = read_tasks(path)
    if only is not None:
        tasks = [task for task in tasks if task.name == only]
        if not tasks:
            raise InvalidRequest(f"{path} has no task {only}.")
    async with _library(settings, documents) as library:
        async with open_system(settings, store=MemoryStore(), library=library) as system:
            if documents:
                await _ingest(system, documents, settings.max_document_bytes)
            with ProgressBar(
                "Running", len(tasks), "tasks", Console(stderr=True), PROGRESS_LINES
            ) as progress:
                return await evaluate(system, tasks, progress)


async def evaluate(
    system: System, tasks: Sequence[JudgedTask], progress: ProgressBar
) -> Evaluation:
    """Run the tasks, a few at a time, and measure what comes of each."""
    waiting = iter(tasks)  # One iterator for all workers: each takes the next task.
    found: dict[str, Measures] = {}

    async def work() -> None:
        for task in waiting:
            outcome = await _outcome(system, task)
            found[task.name] = await trio.to_thread.run_sync(measured, task, outcome)
            progress.update(len(found), task.name)

    async with trio.open_nursery() as workers:
        for _ in range(min(AT_A_TIME, system.settings.max_running_tasks)):
            workers.start_soon(work)
    every = tuple(found[task.name] for task in tasks)
    return Evaluation(every, overall(every))


async def _outcome(system: System, task: JudgedTask) -> Outcome:
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
    return Outcome(ended, trio.current_time() - started, questions, report, sources)


@asynccontextmanager
async def _library(settings: ServerSettings, documents: Sequence[Path]) -> AsyncIterator[Library]:
    if documents:
        async with open_library(None, now=wall_clock) as library:
            yield library
    else:
        async with own_library(settings.data_dir) as library:
            yield library


async def _ingest(system: System, documents: Sequence[Path], max_bytes: int) -> None:
    check = trio.from_thread.check_cancelled
    found = await trio.to_thread.run_sync(find_documents, documents, max_bytes, check)
    result = IngestResult()
    service = LocalService(system)
    fetcher = Fetcher(FetchLimits.of(system.settings))
    with ProgressBar("Reading", found.total, "files", Console(stderr=True)) as bar:
        show = partial(show_source, bar)
        await ingest_found(lambda: nullcontext(service), fetcher, found, result, show)
    if result.interrupted:
        raise KeyboardInterrupt
    for path, reason in result.unreadable:
        say(f"Could not read {path}: {reason}")
    if not result.added:
        raise InvalidRequest("Nothing could be read from the given documents.")
