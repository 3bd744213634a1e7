"""Flip one byte of a log or a library, and see whether everything still answers sensibly.

    python -m tests.damage --positions 200 --mib 8     # random positions in larger files, by hand

Rule: a damaged record is the fault of its task or document. Anything but the errors in `SENSIBLE`, or an
end of the system, is a fault of ours; a start may end with one sentence.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from actors.errors import (
    DocumentNotFound,
    DocumentUnreadable,
    IllegalState,
    TaskNotFound,
    TaskUnreadable,
)
from actors.library.library import open_library
from actors.library.parsing.inline import InlineParser
from actors.library.retrieval import Query
from actors.settings import Settings
from actors.sqlite_errors import UnusableDatabase
from actors.testing import Cast, scripted_system

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PAGE = 4096
ANSWER_S = 20.0
"""An answer that takes longer is a fault, too."""

SENSIBLE = (
    TaskUnreadable,
    DocumentUnreadable,
    TaskNotFound,
    DocumentNotFound,
    IllegalState,
    UnusableDatabase,
)
"""What may be said of a damaged record; an id that is damaged is not found."""


async def make_log(folder: Path, size: int) -> list[str]:
    """A log of about this size: completed tasks, then running and pending ones. The ids of some."""
    text = ["frogs sing at night, " * 400] * 3
    done: list[str] = []
    file = folder / "log.db"
    settings = Settings(data_dir=folder, max_pending_tasks=10_000)
    async with scripted_system(Cast(parts=text), settings=settings) as system:
        while not file.exists() or _size(file) < size:
            task_id = (await system.create(f"frogs {len(done)} " + "sing " * 50)).task_id
            async for _ in system.execute(task_id):
                pass
            done.append(task_id)
    async with scripted_system(Cast(weighs=[9_999.0] * 3), settings=settings) as system:
        running = [(await system.create(f"toads {n}")).task_id for n in range(3)]
        for task_id in running:
            async for event in system.execute(task_id):
                if event.data.get("step") == "synthesis":
                    break
        pending = [(await system.create(f"newts {n}")).task_id for n in range(3)]
    return [*done[:: max(len(done) // 6, 1)], *running, *pending]


def _size(file: Path) -> int:
    return sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))


async def use_log(folder: Path, ids: list[str], told: Counter[str]) -> None:
    """Start on a log, and do with these tasks what people do."""
    settings = Settings(data_dir=folder, max_pending_tasks=10_000)
    async with scripted_system(settings=settings) as system:
        await answer(system.tasks(limit=200), told)
        await answer(system.tasks(status="pending"), told)
        for task_id in ids:
            await answer(system.status(task_id), told)
        done, (*_, running, other, pending, last, _) = ids[0], ids
        await answer(_events(system, done), told)
        await answer(_execute(system, other), told)
        await answer(_execute(system, last), told)
        await answer(system.cancel(running), told)
        for task_id in (done, pending, running):
            await answer(system.delete(task_id), told)
        created = await answer(system.create("a new one"), told)
        if created is not None:
            await answer(_execute(system, created.task_id), told)
        await answer(system.ping(), told)


async def _events(system, task_id: str) -> None:
    async for _ in await system.follow(task_id, follow=False):
        pass


async def _execute(system, task_id: str) -> None:
    """To the end, or to the end of the stream because the log refuses an event."""
    async for _ in system.execute(task_id):
        pass


async def make_library(folder: Path, size: int) -> list[str]:
    """A library of about this size; the ids of some of its documents."""
    ids: list[str] = []
    rng = random.Random(7)
    words = [f"frog{n}" for n in range(400)]
    async with open_library(folder, now=lambda: NOON, parser=InlineParser()) as library:
        while _size(folder / "library.db") < size:
            parts = [" ".join(rng.choices(words, k=90)) + "." for _ in range(12)]
            body = f"# Frogs {len(ids)}\n\nAll zebras.\n\n" + "\n\n".join(parts)
            added = await library.add(
                body.encode(), media_type="text/markdown", source=f"/{len(ids)}"
            )
            ids.append(added.document.document_id)
    return ids[:: max(len(ids) // 6, 1)]


async def use_library(folder: Path, ids: list[str], told: Counter[str]) -> None:
    """Open a library, and do with these documents what people do."""
    async with open_library(folder, now=lambda: NOON, parser=InlineParser()) as library:
        await answer(library.documents(limit=100, cursor=None), told)
        for document_id in ids[:4]:
            await answer(library.document(document_id), told)
            await answer(library.text(document_id), told)
        await answer(library.search("frog7 zebras", limit=5), told)
        await answer(library.find(Query("What is frog8?"), limit=8), told)
        await answer(library.counts(), told)
        await answer(library.delete(ids[0]), told)
        await answer(library.forget_source("/1"), told)
        await answer(library.add(b"# Zebra\n\nA zebra."), told)
        await answer(library.search("zebra", limit=5), told)


async def answer(asked: Awaitable[Any], told: Counter[str]):
    """The answer, or None if it was a sensible error; that is counted."""
    try:
        with trio.fail_after(ANSWER_S):
            return await asked
    except SENSIBLE as error:
        told[type(error).__name__] += 1
    return None


async def sweep(
    whole: Path, file: str, ids: list[str], offsets: Iterable[int], seed: int = 1
) -> Counter[str]:
    """Flip one byte at each offset, each in a fresh copy of the folder; what was told, counted."""
    told: Counter[str] = Counter()
    rng = random.Random(seed)
    use = use_log if file == "log.db" else use_library
    with tempfile.TemporaryDirectory(dir=whole.parent) as place:
        for offset in offsets:
            folder = Path(place) / "data"
            shutil.copytree(whole, folder)
            mask = rng.randrange(1, 256)
            flip(folder / file, offset, mask)
            try:
                await use(folder, ids, told)
            except UnusableDatabase as refused:
                assert (
                    "doctor" in refused.message
                    or "newer" in refused.message
                    or "another program" in refused.message
                )
                told["start refused"] += 1
            except BaseException as error:
                error.add_note(f"{file}, offset {offset}, mask {mask}")
                raise
            shutil.rmtree(folder)
    return told


def flip(file: Path, offset: int, mask: int = 0xFF) -> None:
    """Change one byte."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ mask]))


MAKE = {"log.db": make_log, "library.db": make_library}


async def main(positions: int, mib: float, seed: int) -> None:
    rng = random.Random(seed)
    for file, make in MAKE.items():
        with tempfile.TemporaryDirectory() as place:
            whole = Path(place) / "whole"
            whole.mkdir()
            ids = await make(whole, int(mib * 2**20))
            size = (whole / file).stat().st_size
            offsets = [rng.randrange(size) for _ in range(positions)]
            told = await sweep(whole, file, ids, offsets, seed)
        print(f"{file}, {size:,} bytes, {positions} positions: {dict(told)}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--positions", type=int, default=200)
    arguments.add_argument("--mib", type=float, default=8)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    trio.run(main, given.positions, given.mib, given.seed)
