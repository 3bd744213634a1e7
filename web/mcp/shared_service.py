"""One `Service` for all calls of an MCP client, open only while calls use it.

An MCP client keeps `terzetto mcp` running for days. Holding the data folder all that time would lock
every other command out, and a server that starts later would never be used.

Rule: the service is open while a call uses it, and for `IDLE_S` after the last call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from actors.errors import ActorError
from web.data_folder import FolderHeld, FolderUnusable
from web.service import Service

IDLE_S = 3.0

Opening = Callable[[], AbstractAsyncContextManager[Service]]


class _Opened:
    """One opening of the service: its number of users, and the service or the error."""

    def __init__(self) -> None:
        self.ready = trio.Event()
        self.changed = trio.Event()
        self.users = 0
        self.service: Service | None = None
        self.error: Exception | None = None


class SharedService:
    """Get one from `open_shared`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._current: _Opened | None = None
        self._closing = False
        self._wanted, self._wanting = trio.open_memory_channel[_Opened](1)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Service]:
        """The service, opened if it is not. Raises what opening it raises."""
        if self._current is None:
            self._current = _Opened()
            self._wanted.send_nowait(self._current)  # At most one waits, while another closes.
        opened = self._current
        opened.users += 1
        opened.changed.set()
        try:
            await opened.ready.wait()
            if opened.error is not None:
                raise opened.error
            assert opened.service is not None
            yield opened.service
        finally:
            opened.users -= 1
            opened.changed.set()

    async def keep(self) -> None:
        """Open and close the service, until `close` is called and nobody uses it."""
        async for opened in self._wanting:
            try:
                async with self._opening() as opened.service:
                    opened.ready.set()
                    await self._idle(opened)
                    self._current = None
            except* (ActorError, FolderHeld, FolderUnusable) as refusals:
                if self._current is opened:  # It is not if closing it has failed.
                    self._current = None
                opened.error = _first(refusals)
                opened.ready.set()

    def close(self) -> None:
        """Make `keep` return once nobody uses the service."""
        self._closing = True
        self._wanted.close()
        if self._current is not None:
            self._current.changed.set()

    async def _idle(self, opened: _Opened) -> None:
        """Return once nobody has used the service for `IDLE_S`."""
        while True:
            opened.changed = trio.Event()
            if opened.users:
                await opened.changed.wait()
                continue
            if self._closing:
                return
            with trio.move_on_after(IDLE_S):
                await opened.changed.wait()
                continue
            return


@asynccontextmanager
async def open_shared(opening: Opening) -> AsyncIterator[SharedService]:
    """A service that is opened when it is used, and closed at the end of the block."""
    shared = SharedService(opening)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.keep)
        try:
            yield shared
        finally:
            shared.close()


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
