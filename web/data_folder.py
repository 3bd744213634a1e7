"""The data folder: its lock, which one process holds, and the address of the server that holds it.

Rule: only the process that holds the lock uses the folder. `server.json` is valid only while the
lock is held. A process that takes the lock first removes the `server.json` that a crash left, so
that the file never names a dead server.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

LOCK = "lock"
SERVER = "server.json"


class FolderHeld(Exception):
    """Another process holds the folder. The person's move: wait for it, or use another folder."""


class FolderUnusable(Exception):
    """The folder cannot be used. The person's move: name another, or change its permissions."""


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
        raise FolderUnusable(f"{folder} cannot be used: {error.strerror or error}.") from None
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
    draft = folder / f"{SERVER}.new"
    draft.unlink(missing_ok=True)
    served = {"url": url, "pid": os.getpid(), "token": token}
    with open(draft, "x", encoding="utf-8", opener=_private) as file:
        file.write(json.dumps(served) + "\n")
    draft.replace(folder / SERVER)
    try:
        yield
    finally:
        (folder / SERVER).unlink(missing_ok=True)


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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_private(folder: Path) -> None:
    """Create the folder, or make ours private; a folder with other files in it is not changed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.stat().st_mode & 0o077:
        return
    if any(folder.iterdir()) and not (folder / LOCK).exists():
        raise FolderUnusable(
            f"{folder} holds other files and is open to other users; "
            "Terzetto needs a folder of its own."
        )
    folder.chmod(0o700)
