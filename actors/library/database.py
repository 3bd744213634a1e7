"""Where the library's statements run: in threads over a file, or inline in memory.

Rule: one transaction is one call. Writing has one thread, reading at most two with connections of
their own; a reader whose asker is cancelled is interrupted, a writer always finishes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from actors.errors import StorageUnavailable
from actors.library import schema

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

FILE_NAME = "library.db"
_READERS = 2
_LOOK_EVERY = 20_000
"""Virtual machine instructions between two looks whether the asker still waits: under 1 ms."""


class Database(Protocol):
    """A place for documents that can be read and written."""

    async def read(self, work: Work[T]) -> T: ...

    async def write(self, work: Work[T]) -> T: ...

    async def compute(self, work: Callable[[], T]) -> T:
        """What takes a while but needs no documents."""
        ...


class MemoryDatabase:
    """Documents in memory. Nothing here waits or uses a thread."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        schema.prepare(self.connection)

    async def read(self, work: Work[T]) -> T:
        return work(self.connection)

    async def write(self, work: Work[T]) -> T:
        return work(self.connection)

    async def compute(self, work: Callable[[], T]) -> T:
        return work()

    def close(self) -> None:
        self.connection.close()


class FileDatabase:
    """Documents in a file, durable when a write returns."""

    def __init__(self, writer: sqlite3.Connection, readers: list[sqlite3.Connection]) -> None:
        self._writer = writer
        self._readers = readers
        self._writing = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(len(readers))

    async def read(self, work: Work[T]) -> T:
        return await trio.to_thread.run_sync(self._read, work, limiter=self._reading)

    async def write(self, work: Work[T]) -> T:
        return await trio.to_thread.run_sync(_guarded, self._writer, work, limiter=self._writing)

    async def compute(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._reading)

    def _read(self, work: Work[T]) -> T:
        reader = self._readers.pop()  # There is one: no more threads get here than there are.
        try:
            return _interruptible(reader, work)
        finally:
            self._readers.append(reader)


@asynccontextmanager
async def open_database(folder: Path | None) -> AsyncIterator[Database]:
    """A database in `folder`, or in memory."""
    if folder is None:
        memory = MemoryDatabase()
        with closing(memory):
            yield memory
        return
    connections = await trio.to_thread.run_sync(_open_file, folder)
    try:
        yield FileDatabase(connections[0], connections[1:])
    finally:
        for connection in reversed(connections):
            connection.close()


def _open_file(folder: Path) -> list[sqlite3.Connection]:
    """A writer and the readers. Nothing is written before it is clear that the file is ours."""
    connections: list[sqlite3.Connection] = []
    try:
        with _clear_errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            uri = (folder / FILE_NAME).absolute().as_uri()
            connections.append(_connect(uri))
            schema.prepare(connections[0])
            connections[0].execute("PRAGMA journal_mode = WAL")
            connections[0].execute("PRAGMA synchronous = FULL")
            connections += [_connect(f"{uri}?mode=ro") for _ in range(_READERS)]
    except BaseException:
        for connection in connections:
            connection.close()
        raise
    return connections


def _connect(uri: str) -> sqlite3.Connection:
    """A connection in autocommit: transactions begin where the code says so."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _guarded(connection: sqlite3.Connection, work: Work[T]) -> T:
    with _clear_errors():
        return work(connection)


def _interruptible(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Work that stops soon after its asker was cancelled; runs in a thread of Trio's."""
    connection.set_progress_handler(_is_cancelled, _LOOK_EVERY)
    try:
        return _guarded(connection, work)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            trio.from_thread.check_cancelled()
        raise


def _is_cancelled() -> bool:
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return True
    return False


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Trouble with the disk in words, and whose move is next. Bugs pass as they are."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"The library cannot be opened: {error.strerror}.") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            raise StorageUnavailable(
                "library.db in the data folder is damaged or not a Terzetto library. Move it "
                "away and put back a copy. Nothing was changed."
            ) from error
        if code in _TROUBLE:
            raise StorageUnavailable(f"The library cannot be used now: {error}.") from error
        raise


_DAMAGE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)
