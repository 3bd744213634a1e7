"""`Service` in the process of a command, without HTTP.

Rule: a command sees the same objects whether a server is running or not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from actors.fetching.fetcher import Page
from actors.library.parsing.media_types import media_type_of_file
from actors.system import System, open_system
from web.access.keys import LOCAL, Principal
from web.access.seen import check_seen
from web.api.views import (
    PassageView,
    added_view,
    as_view,
    document_view,
    sourced_view,
    task_view,
)
from web.service import Outcome, outcome_of
from web.settings.model import ServerSettings

PAGE_DOCUMENTS = 200


@asynccontextmanager
async def open_local(
    settings: ServerSettings, principal: Principal = LOCAL
) -> AsyncIterator[LocalService]:
    """A service over a system in this process; the caller holds the lock of the data folder."""
    async with open_system(settings) as system:
        yield LocalService(system, principal)


class LocalService:
    """A `Service` over the in-process API."""

    def __init__(self, system: System, principal: Principal = LOCAL) -> None:
        self._system = system
        self._principal = principal

    def acting_for(self, principal: Principal) -> LocalService:
        return LocalService(self._system, principal)

    async def create(
        self,
        description: str,
        *,
        deadline_s: float | None = None,
        context_task_id: str | None = None,
    ) -> str:
        if context_task_id is not None:
            await self._check(context_task_id)
        task = await self._system.create(
            description,
            deadline_s=deadline_s,
            context_task_id=context_task_id,
            owner=self._principal.name,
        )
        return task.task_id

    async def lines(self, task_id: str, after: int = 0) -> AsyncGenerator[bytes, None]:
        await self._check(task_id)
        await self._system.start(task_id)
        async for piece in await self._system.follow(task_id, after=after):
            for line in piece.lines.splitlines():
                yield line

    async def status(self, task_id: str) -> dict[str, Any]:
        await self._check(task_id)
        return task_view(await self._system.status(task_id))

    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        await self._check(task_id)
        return task_view(await self._system.cancel(task_id, reason))

    async def _check(self, task_id: str) -> None:
        if not self._principal.sees_all:
            await check_seen(self._system, self._principal, task_id)

    async def search(self, q: str, limit: int = 10) -> list[dict[str, Any]]:
        reader = self._principal.reader
        hits = await self._system.library.search(q, limit=limit, reader=reader)
        return [as_view(PassageView, passage) for passage in hits.passages]

    async def add(self, path: Path) -> tuple[dict[str, Any], Outcome]:
        body = await trio.Path(path).read_bytes()
        kind = media_type_of_file(path)
        return await self._add(body, kind, path.name, str(path.absolute()))

    async def add_page(self, page: Page) -> tuple[dict[str, Any], Outcome]:
        return await self._add(page.body, page.media_type, page.file_name, page.url)

    async def documents_from(self, source: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._system.library.documents(
                limit=PAGE_DOCUMENTS, cursor=cursor, source=source
            )
            found += map(sourced_view, page.documents)
            if (cursor := page.next_cursor) is None:
                return found

    async def forget_source(self, source: str) -> list[dict[str, Any]]:
        return [document_view(one) for one in await self._system.library.forget_source(source)]

    async def library_counts(self) -> dict[str, int]:
        return await self._system.library.counts()

    async def _add(
        self, body: bytes, media_type: str | None, file_name: str, source: str
    ) -> tuple[dict[str, Any], Outcome]:
        added = await self._system.library.add(
            body, media_type=media_type, file_name=file_name, source=source
        )
        document = added_view(added)
        return document, outcome_of(document, created=added.created)
