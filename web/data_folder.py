"""The data folder: its lock, which one process holds, and the address of the server that holds it.

Rule: only the process that holds the lock uses the folder. `server.json` is valid only while the
lock is held. A process that takes the lock first removes the `server.json` that a crash left, so
that the file never names a dead server; it never removes another's later. A process whose folder is
gone or has been replaced ends: what it writes would be lost.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio
from filelock import FileLock, Timeout

from actors.sqlite_errors import NO_ROOM

LOCK = "lock"
SERVER = "server.json"
DATABASES = ("log.db", "library.db")
WATCHED = {LOCK, SERVER, f"{SERVER}.new", *DATABASES} | {
    f"{name}-{end}" for name in DATABASES for end in ("wal", "shm", "journal")
}
"""The files that stay the same while a process uses the folder."""
OURS = WATCHED | {"keys.json", "keys.json.new"}
OURS |= {f"{name}.log{end}" for name in ("audit", "refused") for end in ("", ".1")}
"""The names of all files of a data folder."""

LOOK_S = 0.5
"""Seconds between two looks at the folder."""
CONFIRM_S = 1.0
"""Seconds until the look that must agree before a process ends: network disks have short gaps."""

Identity = tuple[int, int]


class FolderHeld(Exception):
    """Another process holds the folder. The person's move: wait for it, or use another folder."""


class FolderUnusable(Exception):
    """The folder cannot be used. The person's move: name another, or change its permissions."""


class FolderLost(Exception):
    """The folder in use was removed or replaced. The person's move: bring it back, start again."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the folder until the block ends; it is created if necessary, and private to the user.

    Raises `FolderHeld` at once if another process holds it, `FolderUnusable` if it cannot be used.
    """
    try:
        _make_private(folder)
        lock = FileLock(folder / LOCK, timeout=0, mode=0o600, preserve_lock_file=True)
        lock.acquire()
    except Timeout:
        raise FolderHeld(f"{folder} is in use by another process.") from None
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        (folder / SERVER).unlink(missing_ok=True)
        yield
    finally:
        lock.release()


@contextmanager
def announce(folder: Path, url: str, token: str) -> Iterator[None]:
    """Publish the address of the folder's server, and the token that lets commands in.

    Only the holder of the folder may call this.
    """
    draft, final = folder / f"{SERVER}.new", folder / SERVER
    text = json.dumps({"url": url, "pid": os.getpid(), "token": token}) + "\n"
    private = partial(os.open, mode=0o600)
    draft.unlink(missing_ok=True)  # An old one may be readable to others.
    with open(draft, "x", encoding="utf-8", opener=private) as file:
        try:
            file.write(text)
            file.flush()
            draft.replace(final)
        except OSError as error:
            raise _unusable(folder, error) from None
        try:
            yield
        finally:  # It stays open until here: the number of a closed file may be given to another.
            if _identity(final) == _identity(file.fileno()):
                final.unlink(missing_ok=True)


class Announced(NamedTuple):
    """The server of a folder, and the token that it takes for a key."""

    url: str
    token: str


def running_server(folder: Path) -> Announced | None:
    """What the folder's holder has announced, if anything. Call it after `hold` refused."""
    try:
        server = json.loads((folder / SERVER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(server, dict):
        return None
    url, token = server.get("url"), server.get("token", "")
    return Announced(url, token) if isinstance(url, str) and isinstance(token, str) else None


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[None]:
    """While this is open, end the block with `FolderLost` when the folder in use is lost."""
    async with trio.open_nursery() as nursery:
        await nursery.start(watch, folder)
        yield
        nursery.cancel_scope.cancel()


async def watch(
    folder: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Raise `FolderLost` when the folder or one of its files is removed or replaced.

    SQLite and the lock keep their files open, and this keeps the folder open, so that no other can get
    the same number meanwhile.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        known = {path: _identity(path) for path in (folder, *(folder / name for name in WATCHED))}
        look = partial(_lost, {path: one for path, one in known.items() if one})
        task_status.started()
        while True:
            await trio.sleep(LOOK_S)
            lost = await trio.to_thread.run_sync(look, abandon_on_cancel=True)
            if lost:
                await trio.sleep(CONFIRM_S)
                lost &= await trio.to_thread.run_sync(look, abandon_on_cancel=True)
            if lost:
                raise FolderLost(
                    f"{min(lost)} was removed or replaced while Terzetto used it. Terzetto ends, as "
                    "nothing it writes would last. Restore the folder, or start again with a new one."
                )
    finally:
        os.close(opened)


def _lost(known: Mapping[Path, Identity]) -> set[Path]:
    return {path for path, identity in known.items() if _identity(path) not in (identity, UNKNOWN)}


UNKNOWN: Identity = (-1, -1)


def _identity(path: Path | int) -> Identity | None:
    """Which file this is; None if there is none, `UNKNOWN` if the system does not say."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return UNKNOWN
    return found.st_dev, found.st_ino


def _unusable(folder: Path, error: OSError) -> FolderUnusable:
    why = f"{error.strerror or error}"
    if error.errno in NO_ROOM:
        why = f"the disk, a quota or a size limit is full ({why})"
    return FolderUnusable(f"{folder} cannot be used: {why}.")


def _make_private(folder: Path) -> None:
    """Create the folder, or make ours private; a folder with other files in it is not changed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.stat().st_mode & 0o077:
        return
    there = {file.name for file in folder.iterdir()}
    if LOCK not in there and not there <= OURS:  # What was restored from a backup has no lock.
        raise FolderUnusable(
            f"{folder} holds other files and is open to other users; Terzetto needs a folder of its "
            f"own. If this one is, run: chmod 700 {shlex.quote(str(folder))}"
        )
    folder.chmod(0o700)
