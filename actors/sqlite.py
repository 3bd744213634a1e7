"""SQLite as the log and the library use it: open, migrate, write, read, and map every error.

Rule: a transaction is one call in one thread, and nothing abandons it. One connection writes; the
connections that read cannot. While another program holds a lock, an operation is tried again from
the event loop, so that cancellation, draining and reading go on.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from errno import EDQUOT, ENOSPC
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar
from zlib import crc32

import trio

from actors.errors import ActorError, StorageUnavailable

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

READERS = 2
"""How many reads run at once, each on its own connection."""

INSTRUCTIONS_PER_CHECK = 20_000
"""Virtual machine instructions between two checks for cancellation: under 1 ms."""

BUSY_TIMEOUT_S = 0.1
"""How long SQLite itself waits for a lock, in the thread."""

PROBE_BYTES = 64 * 1024


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

# --- errors -----------------------------------------------------------------------------------


class UnusableDatabase(StorageUnavailable):
    """The file is damaged, newer, or another program's. The operator's move: it is left as it is."""

    retryable = False


class DamagedRecord(ActorError):
    """A row does not have the checksum that was stored with it. The operator's move: a backup."""

    code = "damaged_record"


class DatabaseFailed(Exception):
    """A write has failed for good, so the process must end. The operator's move: check the disk."""


class _Busy(Exception):
    """Another program holds a lock; nothing has been done."""


class Meaning(Enum):
    """What an error of SQLite means."""

    BUSY = auto()
    """Another program holds a lock: try again."""
    NO_ROOM = auto()
    """The disk is full: it may work later."""
    UNAVAILABLE = auto()
    """The file cannot be opened or written as things are: it may work later."""
    DAMAGED = auto()
    """The file is damaged, or not a database."""
    WRITE_FAILED = auto()
    """`NO_ROOM` if the disk or the quota has none, else `BROKEN`."""
    BROKEN = auto()
    """The disk fails, or data may not have reached it."""
    BUG = auto()
    """A mistake in the program: the error passes as it is."""


MEANINGS: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: Meaning.BUSY,
    sqlite3.SQLITE_LOCKED: Meaning.BUSY,
    sqlite3.SQLITE_PROTOCOL: Meaning.BUSY,  # Two processes open the WAL at the same moment.
    sqlite3.SQLITE_FULL: Meaning.NO_ROOM,
    sqlite3.SQLITE_READONLY: Meaning.UNAVAILABLE,
    sqlite3.SQLITE_CANTOPEN: Meaning.UNAVAILABLE,
    sqlite3.SQLITE_PERM: Meaning.UNAVAILABLE,
    sqlite3.SQLITE_NOTADB: Meaning.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Meaning.DAMAGED,
    sqlite3.SQLITE_IOERR: Meaning.BROKEN,
    # SQLite reports a quota (EDQUOT), and a full disk below its shared memory, as I/O errors.
    sqlite3.SQLITE_IOERR_WRITE: Meaning.WRITE_FAILED,
    sqlite3.SQLITE_IOERR_SHMSIZE: Meaning.WRITE_FAILED,
}
"""Result codes, and those extended codes that mean something else than their result code."""


def meaning_of(code: int) -> Meaning:
    """What an error code means, result code or extended."""
    return MEANINGS.get(code) or MEANINGS.get(code & 0xFF) or Meaning.BUG


@contextmanager
def explained(file: Path, schema: Schema, *, fatal: bool = False) -> Iterator[None]:
    """Raise what an error in the block means; bugs pass as they are."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = meaning_of(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))
        if meaning is Meaning.WRITE_FAILED:
            meaning = Meaning.BROKEN if has_room(file.parent) else Meaning.NO_ROOM
        match meaning:
            case Meaning.BUG:
                raise
            case Meaning.BUSY:
                raise _Busy from error
            case Meaning.NO_ROOM:
                raise StorageUnavailable(f"There is no room left for the {schema.noun}.") from error
            case Meaning.DAMAGED | Meaning.BROKEN if fatal:
                raise DatabaseFailed(
                    f"{file} cannot be written any more ({error}). Every answer that was given is "
                    "in it. Check the disk, restore the file from a backup if it is damaged, and "
                    "start the server again."
                ) from error
            case Meaning.DAMAGED:
                raise UnusableDatabase(
                    f"{file} is damaged or is not a Terzetto {schema.noun} ({error}). It was left "
                    "as it is: move it away, restore it from a backup, or choose another data "
                    "folder."
                ) from error
            case _:
                raise StorageUnavailable(
                    f"The {schema.noun} cannot be used now: {error}."
                ) from error


def has_room(folder: Path) -> bool:
    """Whether some bytes can be written in this folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno not in (ENOSPC, EDQUOT)
    return True


def checked(content: bytes, crc: int | None, row: str) -> bytes:
    """The content of a row if its CRC-32 matches; rows from before there was one have None.

    Raises `DamagedRecord`, whose text begins with `row`.
    """
    if crc is not None and crc32(content) != crc:
        raise DamagedRecord(
            f"{row} is damaged: it does not match its checksum. Restore a backup, or delete it."
        )
    return content


def checked_text(content: bytes, crc: int | None, row: str) -> str:
    """As `checked`, for text that was read as a BLOB; without a checksum it must be UTF-8."""
    try:
        return checked(content, crc, row).decode()
    except UnicodeDecodeError:
        raise DamagedRecord(
            f"{row} is damaged: it is not UTF-8. Restore a backup, or delete it."
        ) from None


# --- databases --------------------------------------------------------------------------------


class Database(Protocol):
    """Where statements run."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads; it is interrupted if its asker is cancelled."""

    async def write(self, work: Work[T]) -> T:
        """Run work as one transaction, durable when this returns.

        Raises `StorageUnavailable`, with nothing written.
        """

    async def compute(self, work: Callable[[], T]) -> T:
        """Run work that takes long and needs no connection, where reads run."""


def transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Run work as one transaction, which is rolled back if the work raises."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        return work(connection)


class MemoryDatabase:
    """A database in memory. Nothing here waits or uses a thread."""

    def __init__(self, schema: Schema) -> None:
        self._connection = _connect(":memory:")
        _prepare(self._connection, Path(":memory:"), schema)

    async def read(self, work: Work[T]) -> T:
        return work(self._connection)

    async def write(self, work: Work[T]) -> T:
        return self.write_now(work)

    async def compute(self, work: Callable[[], T]) -> T:
        return work()

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

    async def read(self, work: Work[T]) -> T:
        return await _when_free(partial(self._read, work), self._reading, self._busy, self._file)

    async def write(self, work: Work[T]) -> T:
        return await _when_free(partial(self._write, work), self._writing, self._busy, self._file)

    async def compute(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._reading)

    def _write(self, work: Work[T]) -> T:
        with explained(self._file, self._schema, fatal=self._schema.fatal_writes):
            return transaction(self._writer, work)

    def _read(self, work: Work[T]) -> T:
        reader = self._readers.pop()  # There is one: the limiter admits no more threads than that.
        try:
            with explained(self._file, self._schema):
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
        except _Busy as locked:
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
        with explained(file, schema):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            uri = file.absolute().as_uri()
            connections.append(_connect(uri))
            _prepare(connections[0], file, schema)
            for _ in range(READERS):
                connections.append(_connect(f"{uri}?mode=ro"))
                connections[-1].execute("PRAGMA query_only = ON")
    except BaseException as error:
        _close(connections)
        if isinstance(error, OSError):
            raise StorageUnavailable(f"{file} cannot be opened: {error.strerror}.") from error
        raise
    return connections


def _close(connections: list[sqlite3.Connection]) -> None:
    """Close the writer last: the last connection moves the WAL into the file."""
    for connection in reversed(connections):
        connection.close()


def _connect(uri: str) -> sqlite3.Connection:
    """A connection in autocommit: transactions begin where the code says so."""
    return sqlite3.connect(
        uri, timeout=BUSY_TIMEOUT_S, uri=True, isolation_level=None, check_same_thread=False
    )


def _prepare(connection: sqlite3.Connection, file: Path, schema: Schema) -> None:
    """Check whose file it is before anything is written, then bring it to the newest schema."""
    with connection:  # One snapshot: another process may be creating the same file.
        connection.execute("BEGIN")
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != schema.application_id and (mark or version or tables):
        raise UnusableDatabase(
            f"{file} belongs to another program: it is not a Terzetto {schema.noun}. It was left "
            "as it is: move it away, or choose another data folder."
        )
    if version > len(schema.steps):
        raise UnusableDatabase(
            f"{file} was written by a newer Terzetto (schema {version}, this release knows "
            f"{len(schema.steps)}). It was left as it is: start the newer release, or choose "
            "another data folder."
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    while version < len(schema.steps):
        version = transaction(connection, partial(_migrate, schema=schema))


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
