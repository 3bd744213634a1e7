"""What errors of SQLite mean, and checksums of rows.

Rule: one table maps every code. A fault that may pass (a lock, no room) or that concerns some records
(damage) never ends the process; a disk that fails does.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from zlib import crc32

from actors.errors import ActorError, StorageUnavailable

PROBE_BYTES = 64 * 1024

NO_ROOM = (ENOSPC, EDQUOT, EFBIG)
"""What the system says when the disk, a quota, or the size that a file may have is used up."""


class UnusableDatabase(StorageUnavailable):
    """The file is damaged, newer, or another program's. The operator's move: it is left as it is."""

    retryable = False


class DamagedRecord(ActorError):
    """A row does not have the checksum that was stored with it. The operator's move: a backup."""

    code = "damaged_record"


class DatabaseFailed(Exception):
    """A write has failed for good, so the process must end. The operator's move: check the disk."""


class Busy(Exception):
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
    """`NO_ROOM` if there is none, else `BROKEN`."""
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
    # SQLite reports a quota (EDQUOT), a size limit (EFBIG), and a full disk below its shared memory,
    # as I/O errors.
    sqlite3.SQLITE_IOERR_WRITE: Meaning.WRITE_FAILED,
    sqlite3.SQLITE_IOERR_SHMSIZE: Meaning.WRITE_FAILED,
}
"""Result codes, and those extended codes that mean something else than their result code."""

LACKING_ROOM = (Meaning.WRITE_FAILED, Meaning.UNAVAILABLE)
"""What may be for lack of room: a file that cannot be written, or not be created."""


def meaning_of(code: int) -> Meaning:
    """What an error code means, result code or extended."""
    return MEANINGS.get(code) or MEANINGS.get(code & 0xFF) or Meaning.BUG


def is_damage(error: sqlite3.Error) -> bool:
    """Whether this error says that the file is damaged."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return meaning_of(code) is Meaning.DAMAGED


@contextmanager
def explained(
    file: Path, noun: str, *, opening: bool = False, fatal: bool = False
) -> Iterator[None]:
    """Raise what an error in the block means; bugs pass as they are.

    `noun` is what the file holds. Only an operator sees an error while `opening`, so it names the path.
    """
    try:
        yield
    except sqlite3.Error as error:
        meaning = meaning_of(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))
        if meaning in LACKING_ROOM and not has_room(file):
            meaning = Meaning.NO_ROOM
        name = file if opening else file.name
        match meaning:
            case Meaning.BUG:
                raise
            case Meaning.BUSY:
                raise Busy from error
            case Meaning.NO_ROOM:
                raise StorageUnavailable(no_room(noun)) from error
            case Meaning.WRITE_FAILED | Meaning.BROKEN if fatal:
                raise DatabaseFailed(
                    f"{file} cannot be written any more ({error}). Every answer that was given is "
                    "in it. Check the disk, restore the file from a backup if it is damaged, and "
                    "start the server again."
                ) from error
            case Meaning.DAMAGED:
                raise UnusableDatabase(
                    f"{name} is damaged or is not a Terzetto {noun} ({error}). It was left as it "
                    "is: see what terzetto doctor says, restore a backup, or choose another data "
                    "folder."
                ) from error
            case _:
                raise StorageUnavailable(f"{name} cannot be used now: {error}.") from error


def no_room(noun: str) -> str:
    """What to say when a write finds no room."""
    return f"The disk, a quota or a size limit is full: there is no room left for the {noun}."


def has_room(file: Path) -> bool:
    """Whether this database could grow: some bytes can be written in its folder, as far on in a file."""
    try:
        end = max([0, *(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))])
        with tempfile.TemporaryFile(dir=file.parent) as probe:
            probe.seek(end)
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno not in NO_ROOM
    return True


def is_full(file: Path) -> bool:
    """Whether the file system has no room left; cheap, and knows nothing of quotas."""
    try:
        return shutil.disk_usage(file.parent).free < PROBE_BYTES
    except OSError:
        return False


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


def database_failed(error: BaseException | None) -> DatabaseFailed | None:
    """The failed write that ended the journal, among the causes of `error`."""
    if error is None or isinstance(error, DatabaseFailed):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__,)
    return next(filter(None, map(database_failed, inner)), None)
