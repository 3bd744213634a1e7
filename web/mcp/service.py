"""The service that a client of the Model Context Protocol works with, open only while it does.

Such a client keeps `terzetto mcp` running for days. Holding the data folder all that time would keep
every other command out, and a server that was started later would never be noticed.

Rule: the service is open while somebody uses it, and for `IDLE_S` after that.
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
    """One opening of the service: who uses it, and what came of it."""

    def __init__(self) -> None:
        self.ready = trio.Event()
        self.moved = trio.Event()
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
            self._wanted.send_nowait(self._current)  # One waits at most, while one is closed.
        opened = self._current
        opened.users += 1
        opened.moved.set()
        try:
            await opened.ready.wait()
            if opened.error is not None:
                raise opened.error
            assert opened.service is not None
            yield opened.service
        finally:
            opened.users -= 1
            opened.moved.set()

    async def keep(self) -> None:
        """Open and close the service, until `close` is called and nobody uses it."""
        async for opened in self._wanting:
            try:
                async with self._opening() as opened.service:
                    opened.ready.set()
                    await self._idle(opened)
                    self._current = None
            except* (ActorError, FolderHeld, FolderUnusable) as refusals:
                if self._current is opened:  # Not if it has failed while it closed.
                    self._current = None
                opened.error = _first(refusals)
                opened.ready.set()

    def close(self) -> None:
        """Let `keep` end."""
        self._closing = True
        self._wanted.close()
        if self._current is not None:
            self._current.moved.set()

    async def _idle(self, opened: _Opened) -> None:
        """Returns once nobody has used it for a while."""
        while True:
            opened.moved = trio.Event()
            if opened.users:
                await opened.moved.wait()
                continue
            if self._closing:
                return
            with trio.move_on_after(IDLE_S):
                await opened.moved.wait()
                continue
            return


@asynccontextmanager
async def open_shared(opening: Opening) -> AsyncIterator[SharedService]:
    """A service that is opened when it is used; at the end it is closed in an orderly way."""
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
