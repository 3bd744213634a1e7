"""How the server keeps its memory: when garbage is looked for, and how blocks go back to the system.

Rule: looking for garbage stops the event loop, so under load only what is new is looked at. Runs and
connections leave no cycles behind, hence what outlived one look is seldom garbage, and is looked at
again once the server has nothing else to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time

import trio

LOOK_EVERY_S = 0.05
IDLE = 0.05
IDLE_LOOKS = 20
"""A process that works for less than this share of the time has nothing to do, if it was so at that
many looks; a busy one that is not given the processor looks idle, too, but not for long."""

WHOLE_AFTER_S = 30.0
WHOLE_EVERY_S = 600.0
"""An idle server looks at everything, which takes about a tenth of a second, but not after each task;
one that is never idle does it now and then all the same."""

NEW_OBJECTS = 10_000
"""When so many objects have been added since the last look, the interpreter looks by itself."""

NEVER = 1_000_000_000

M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 64 * 1024


class Collector:
    """Looks for cycles among the new objects, and among all of them when there is time.

    The interpreter's own generations don't fit a server whose objects replace each other: it counts
    what is added less what is freed, so the youngest generation grows to tens of thousands of objects
    before the count is reached, and the look at them takes as long. What has been looked at is
    "frozen", which costs nothing and takes it out of later looks.
    """

    def __init__(self) -> None:
        self._frozen = False
        self._whole_at = 0.0

    def begin(self) -> None:
        """What the program consists of is never garbage: leave it out of every look to come."""
        gc.set_threshold(NEW_OBJECTS, NEVER, NEVER)
        self._look_at_all(0.0)
        gc.freeze()

    def look(self, now: float, *, idle: bool) -> None:
        """Look at what is new; at all of it when the process is idle. `now` in seconds."""
        due_s = WHOLE_AFTER_S if idle else WHOLE_EVERY_S
        if self._frozen and now - self._whole_at >= due_s:
            gc.unfreeze()
            self._look_at_all(now)
        elif not idle:
            gc.collect(0)
            self._frozen = True
        gc.freeze()

    def _look_at_all(self, now: float) -> None:
        gc.collect()
        _trim()
        self._frozen = False
        self._whole_at = now


async def keep_tidy(collector: Collector) -> None:
    """Look for garbage from time to time, for as long as the server lives."""
    worked, idle_looks = time.process_time(), 0
    while True:
        await trio.sleep(LOOK_EVERY_S)
        before, worked = worked, time.process_time()
        idle_looks = idle_looks + 1 if worked - before < IDLE * LOOK_EVERY_S else 0
        collector.look(trio.current_time(), idle=idle_looks >= IDLE_LOOKS)


def give_back_large_blocks() -> None:
    """Let large blocks, such as pieces of logs, go back to the system when they are freed.

    glibc would learn from the first of them to keep such blocks on its heap, between small ones that
    live long: a thousand readers who once read a piece each would cost their peak for ever.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # Other C libraries have no such thing.
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def _trim() -> None:
    """Give back what is free between the small blocks, too."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
