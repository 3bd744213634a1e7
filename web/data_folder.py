"""The data folder: one process at a time, and how to find the server that has it.

Rule: whoever holds the lock owns the folder. `server.json` is only believed while the lock is held,
and whoever takes the lock first removes what a crash left there, so it never names a dead server.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "lock"
SERVER = "server.json"


class FolderHeld(Exception):
    """Another process has the folder. The person's move: wait for it, or use another folder."""


class FolderUnusable(Exception):
    """The folder cannot hold the data. The person's move: name another, or mend its rights."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Own the folder until the block ends, made if need be and closed to other users.

    Raises `FolderHeld` at once if another process owns it, `FolderUnusable` if it cannot be owned.
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
def announce(folder: Path, url: str) -> Iterator[None]:
    """Say where the server of this folder listens. Only for who holds the folder."""
    draft = folder / f"{SERVER}.new"
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
    draft.replace(folder / SERVER)
    try:
        yield
    finally:
        (folder / SERVER).unlink(missing_ok=True)


def running_server(folder: Path) -> str | None:
    """The address that the folder's holder announced, if it did. Only asked once `hold` refused."""
    try:
        server = json.loads((folder / SERVER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    url = server.get("url") if isinstance(server, dict) else None
    return url if isinstance(url, str) else None


def _make_private(folder: Path) -> None:
    """Make the folder, or close ours; somebody's folder with other things in it is left alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.stat().st_mode & 0o077:
        return
    if any(folder.iterdir()) and not (folder / LOCK).exists():
        raise FolderUnusable(
            f"{folder} holds other files and is open to other users; "
            "Terzetto's data wants a folder of its own."
        )
    folder.chmod(0o700)
