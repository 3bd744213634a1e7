"""`terzetto ingest` from the walk to the summary.

Rule: the walk comes first, so that the bar knows how much there is to do.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
from rich.console import Console

from actors.fetching.fetcher import Fetcher, FetchLimits
from web.command.document_files import find_documents
from web.command.ingest import Intake, ingest_found
from web.command.ingest_progress import IngestProgress, tell_intake
from web.command.services import open_service
from web.settings.model import ServerSettings


async def ingest_sources(settings: ServerSettings, paths: list[Path], urls: list[str]) -> int:
    """Add what is found under `paths` and at `urls`; the exit code."""
    console = Console(stderr=True)
    limit, check = settings.max_document_bytes, trio.from_thread.check_cancelled
    found = await trio.to_thread.run_sync(find_documents, paths, limit, check)
    found.urls += dict.fromkeys(urls)
    fetcher = Fetcher(FetchLimits.of(settings))
    intake = Intake()
    total = len(found.files) + len(found.urls) + len(found.unreadable)
    try:
        with IngestProgress(total, console) as progress:
            opening = partial(open_service, settings)
            await ingest_found(opening, fetcher, found, intake, progress)
    except BaseException:
        if intake.done:  # What was added stays, so it is told whatever stopped the rest.
            tell_intake(intake, found.passed_over, console)
        raise
    tell_intake(intake, found.passed_over, console)
    return intake.exit_code()
