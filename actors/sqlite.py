"""SQLite as the log and the library use it: open, migrate, write, read, and map every error.

Rule: a transaction is one call in one thread, and nothing abandons it. One connection writes; the
connections that read cannot. While another program holds a lock, an operation is tried again from
the event loop, so that cancellation, draining and reading go on.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import trio

from actors.errors import StorageUnavailable
from actors.sqlite_errors import (
    NO_ROOM,
    Busy,
    Meaning,
    UnusableDatabase,
    explained,
    has_room,
    is_full,
    meaning_of,
    no_room,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

READERS = 2
"""How many reads run at once, each on its own connection."""

INSTRUCTIONS_PER_CHECK = 20_000
"""Virtual machine instructions between two checks for cancellation: under 1 ms."""

INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` is then."""

BUSY_TIMEOUT_S = 0.1
"""How long SQLite itself waits for a lock, in the thread."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of database: the noun for error texts, its mark in the file, and its migrations.

    A released step never changes; the next form is one more step. With `fatal_writes` a write that
    fails for good raises `DatabaseFailed`, which ends the process.
    """

    noun: str
    application_id: int
    steps: tuple[str, ...]
    fatal_writes: bool = False


@dataclass(frozen=True, slots=True)
class BusyWait:
    """How long an operation waits for another program's lock, and the pause between two attempts.

    Backups and database shells hold a lock for seconds, seldom longer.
    """

    total_s: float = 30.0
    pause_s: float = 0.1


BUSY_WAIT = BusyWait()
NO_WAIT = BusyWait(0)


class Database(Protocol):
    """Where statements run."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads; it is interrupted if its asker is cancelled."""

    async def write(self, work: Work[T], *, references: bool = True) -> T:
        """Run work as one transaction, durable when this returns.

        Without `references`, rows may be deleted whose damaged dependants cannot be. Raises
        `StorageUnavailable`, with nothing written.
        """

    async def compute(self, work: Callable[[], T]) -> T:
        """Run work that takes long and needs no connection, where reads run."""

    async def check(self) -> None:
        """Raise `StorageUnavailable` if there is no room, or writes are refused, as the last was."""

    async def give_back(self) -> None:
        """Give the room of deleted rows back, and leave nothing of them in the files."""


def transaction(connection: sqlite3.Connection, work: Work[T], *, references: bool = True) -> T:
    """Run work as one transaction, which is rolled back if the work raises."""
    if references:
        return _transaction(connection, work)
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        return _transaction(connection, work)
    finally:  # Not before each transaction: SQLite prepares all statements anew after it.
        connection.execute("PRAGMA foreign_keys = ON")


def _transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        return work(connection)


class MemoryDatabase:
    """A database in memory. Nothing here waits or uses a thread."""

    def __init__(self, schema: Schema) -> None:
        self._connection = _connect(":memory:")
        prepare(self._connection, Path(":memory:"), schema)

    async def read(self, work: Work[T]) -> T:
        return work(self._connection)

    async def write(self, work: Work[T], *, references: bool = True) -> T:
        return transaction(self._connection, work, references=references)

    async def compute(self, work: Callable[[], T]) -> T:
        return work()

    async def check(self) -> None:
        pass

    async def give_back(self) -> None:
        pass

    def read_now(self, work: Work[T]) -> T:
        """As `read`, for callers that are not async."""
        return work(self._connection)

    def write_now(self, work: Work[T]) -> T:
        """As `write`, for callers that are not async."""
        return transaction(self._connection, work)

    def close(self) -> None:
        self._connection.close()


class FileDatabase:
    """A database in a file. Open it with `open_database`."""

    def __init__(
        self, file: Path, schema: Schema, connections: list[sqlite3.Connection], busy: BusyWait
    ) -> None:
        self._file = file
        self._schema = schema
        self._writer, *self._readers = connections
        self._writing = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(len(self._readers))
        self._busy = busy
        self._refused: StorageUnavailable | None = None

    async def read(self, work: Work[T]) -> T:
        return await _when_free(partial(self._read, work), self._reading, self._busy, self._file)

    async def write(self, work: Work[T], *, references: bool = True) -> T:
        return await self._written(partial(self._write, work, references), self._busy)

    async def compute(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._reading)

    async def check(self) -> None:
        refused = self._refused
        full = await trio.to_thread.run_sync(is_full, self._file)
        if full or (refused and not await trio.to_thread.run_sync(has_room, self._file)):
            raise StorageUnavailable(no_room(self._schema.noun))
        if refused:
            try:
                await self._written(partial(self._write, _touch, True), NO_WAIT)
            except StorageUnavailable:
                self._refused = refused  # It says more than that there was a lock just now.
                raise refused from None

    async def give_back(self) -> None:
        await self._written(self._give_back, self._busy)

    async def _written(self, attempt: Callable[[], T], busy: BusyWait) -> T:
        try:
            result = await _when_free(attempt, self._writing, busy, self._file)
        except StorageUnavailable as refused:
            self._refused = refused
            raise
        self._refused = None
        return result

    def _give_back(self) -> None:
        with explained(self._file, self._schema.noun):
            _give_back(self._writer)

    def _write(self, work: Work[T], references: bool) -> T:
        with explained(self._file, self._schema.noun, fatal=self._schema.fatal_writes):
            return transaction(self._writer, work, references=references)

    def _read(self, work: Work[T]) -> T:
        reader = self._readers.pop()  # There is one: the limiter admits no more threads than that.
        try:
            with explained(self._file, self._schema.noun):
                return _interruptible(reader, work)
        finally:
            self._readers.append(reader)


@asynccontextmanager
async def open_database(
    schema: Schema, file: Path | None, busy: BusyWait = BUSY_WAIT
) -> AsyncIterator[Database]:
    """The database in `file`, created or migrated if need be, or a new one in memory.

    Raises `UnusableDatabase`, and then has changed nothing, and `StorageUnavailable`.
    """
    if file is None:
        with closing(MemoryDatabase(schema)) as memory:
            yield memory
        return
    opening = partial(_open_file, file, schema)
    connections = await _when_free(opening, trio.CapacityLimiter(1), busy, file)
    try:
        yield FileDatabase(file, schema, [*connections], busy)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_close, connections)


async def _when_free(
    attempt: Callable[[], T], limiter: trio.CapacityLimiter, busy: BusyWait, file: Path
) -> T:
    """Run `attempt` in a thread, again while another program holds a lock."""
    give_up_at = trio.current_time() + busy.total_s
    while True:
        try:
            return await trio.to_thread.run_sync(attempt, limiter=limiter)
        except Busy as locked:
            if trio.current_time() >= give_up_at:
                raise StorageUnavailable(
                    f"Another program has kept {file.name} locked for {busy.total_s:g} seconds. "
                    "End that program, or try again later."
                ) from locked
        await trio.sleep(busy.pause_s)


def _open_file(file: Path, schema: Schema) -> list[sqlite3.Connection]:
    """The connection that writes, then those that read."""
    connections: list[sqlite3.Connection] = []
    try:
        with explained(file, schema.noun, opening=True):
            _create(file)
            uri = file.absolute().as_uri()
            connections.append(_connect(uri))
            prepare(connections[0], file, schema)
            _give_back(connections[0])
            for _ in range(READERS):
                connections.append(_connect(f"{uri}?mode=ro"))
                connections[-1].execute("PRAGMA query_only = ON")
    except BaseException as error:
        _close(connections)
        if isinstance(error, OSError):
            why = no_room(schema.noun) if error.errno in NO_ROOM else f"{error.strerror}."
            raise StorageUnavailable(f"{file} cannot be opened: {why}") from error
        raise
    return connections


def _close(connections: list[sqlite3.Connection]) -> None:
    """Close the writer last: the last connection moves the WAL into the file."""
    for connection in reversed(connections):
        connection.close()


def _create(file: Path) -> None:
    """Create the file for its owner alone, if need be; SQLite gives its other files the same mode."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))


def _close_to_others(file: Path) -> None:
    """Take the permissions of other users away, which a copy or an older version may have left."""
    for one in file.parent.glob(f"{file.name}*"):
        mode = stat.S_IMODE(one.stat().st_mode)
        if mode & 0o077:
            with suppress(PermissionError):  # It is another user's, who lets us use it.
                one.chmod(mode & 0o700)


def _connect(uri: str) -> sqlite3.Connection:
    """A connection in autocommit: transactions begin where the code says so.

    Damaged text is read with replacement characters: else one row would fail a whole query.
    """
    connection = sqlite3.connect(
        uri, timeout=BUSY_TIMEOUT_S, uri=True, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def prepare(
    connection: sqlite3.Connection, file: Path, schema: Schema, *, name: Path | None = None
) -> None:
    """Check whose file it is before anything is written, then bring it to the newest schema.

    `name` is what errors call the file, if it is a copy.
    """
    named = name or file
    with connection:  # One snapshot: another process may be creating the same file.
        connection.execute("BEGIN")
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != schema.application_id and (mark or version or tables):
        raise UnusableDatabase(
            f"{named} belongs to another program: it is not a Terzetto {schema.noun}. It was left "
            "as it is: move it away, or choose another data folder."
        )
    if version > len(schema.steps):
        raise UnusableDatabase(
            f"{named} was written by a newer Terzetto (schema {version}, this release knows "
            f"{len(schema.steps)}). It was left as it is: start the newer release, or choose "
            "another data folder."
        )
    _close_to_others(file)
    connection.execute("PRAGMA secure_delete = ON")
    if not tables:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # Later it would take a VACUUM.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    try:
        while version < len(schema.steps):
            version = transaction(connection, partial(_migrate, schema=schema))
    except sqlite3.OperationalError as error:
        if meaning_of(error.sqlite_errorcode) is not Meaning.BUG:
            raise
        raise UnusableDatabase(
            f"{named} is damaged: it does not have the tables of its schema {version} ({error}). It "
            "was left as it is: restore a backup, or choose another data folder."
        ) from error


def _give_back(connection: sqlite3.Connection) -> None:
    """Give the room of deleted rows back; a file from before this was possible is rewritten once.

    The log of SQLite is emptied, too: it may hold pages as they were before rows were deleted. All this
    can wait until there is room for it, and the damage is mended.
    """
    try:
        (kind,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        if kind == INCREMENTAL:
            # Its rows have no columns, and `execute` takes such a statement for finished.
            connection.executescript("PRAGMA incremental_vacuum")
        else:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if meaning_of(code) not in (Meaning.NO_ROOM, Meaning.WRITE_FAILED, Meaning.DAMAGED):
            raise
        log.warning("the room of what was deleted is not given back: %s", error)


def _touch(connection: sqlite3.Connection) -> None:
    """Write something that changes nothing."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")


def _migrate(connection: sqlite3.Connection, schema: Schema) -> int:
    """Take the next step and note it in the same transaction; the version after it.

    Another process may have taken it since, so the version is read inside of the transaction.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version >= len(schema.steps):
        return int(version)
    for statement in _statements(schema.steps[version]):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.application_id}")
    connection.execute(f"PRAGMA user_version = {version + 1}")
    return int(version) + 1


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, each ending at the end of a line.

    `executescript` is no help: it commits the open transaction first.
    """
    statement = ""
    for line in script.strip().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), "a statement of the schema has no end"


def _interruptible(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Work that stops soon after its asker was cancelled; runs in a thread of Trio's."""
    connection.set_progress_handler(_is_cancelled, INSTRUCTIONS_PER_CHECK)
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            trio.from_thread.check_cancelled()
        raise


def _is_cancelled() -> bool:
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return True
    return False
