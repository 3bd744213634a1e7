"""A run on a file system that really is full for a while; run by `test_storage_trouble`.

unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=2m none F && python small_disk.py F'
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import trio
from scripted import Cast, scripted_system

from actors.errors import StorageUnavailable
from actors.settings import Settings
from actors.testing import check_log

LEFT_BYTES = 150 * 1024
TEXT = [f"{number}: " + "frogs sing at night, " * 900 for number in range(12)]


def fill(file: Path, left: int) -> None:
    """Let so many bytes be free, and no more."""
    with file.open("wb", buffering=0) as filled:
        with suppress(OSError):
            while filled.write(b"x" * 4096):
                pass
        filled.truncate(max(filled.tell() - left, 0))


async def main(folder: Path) -> None:
    ballast = folder / "ballast"
    async with scripted_system(Cast(parts=TEXT), settings=Settings(data_dir=folder)) as system:
        task_id = (await system.create("frogs")).task_id
        fill(ballast, LEFT_BYTES)
        await system.start(task_id)
        follower = await system.follow(task_id)
        seen = b"".join([piece.lines async for piece in follower])
        assert follower.closing is not None and follower.closing.reason == "storage"
        fill(ballast, 0)
        try:
            for _ in range(200):  # What is left of a block may still take one.
                await system.create("newts " * 3000)
        except StorageUnavailable as full:
            print(full)
        assert (await system.status(task_id)).status == "executing"
        ballast.unlink()
        follower = await system.follow(task_id)
        while (piece := await anext(follower, None)) is not None or follower.closing is not None:
            if piece is None:  # It was tried again a moment too early.
                await trio.sleep(0.05)
                follower = await system.follow(task_id)
        follower = await system.follow(task_id)
        log = b"".join([piece.lines async for piece in follower])
    assert log.startswith(seen)
    assert check_log(log.splitlines(keepends=True)) == "completed"
    print("completed")


trio.run(main, Path(sys.argv[1]))
