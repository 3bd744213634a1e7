"""The policy of the garbage collector, and how free memory goes back to the operating system.

Rule: a collection stops the event loop, so under load only new objects are collected. Runs and
connections leave no cycles behind, so objects that survive one collection are rarely garbage. They are
frozen, and collected again when the server is idle.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time

import trio

COLLECT_EVERY_S = 0.25
IDLE_SHARE = 0.05
IDLE_PERIODS = 4
"""The process is idle once it has used less than this share of the processor in that many periods. A
busy process that gets no processor time seems idle, too, but not for that long."""

FULL_WHEN_IDLE_S = 30.0
FULL_WHEN_BUSY_S = 600.0
"""The least time between two full collections, which take about a tenth of a second each."""

NEW_OBJECTS = 10_000
"""After so many new objects the interpreter collects by itself."""

NEVER = 1_000_000_000

M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 64 * 1024


class Collector:
    """Collects the cycles among new objects, and among all objects when there is time.

    The interpreter's own generations do not fit a server whose objects replace each other. It counts
    allocations less deallocations, so the youngest generation grows to tens of thousands of objects
    before a collection begins, which then takes long. Frozen objects cost a collection nothing.
    """

    def __init__(self) -> None:
        self._has_frozen = False
        self._full_at = 0.0

    def begin(self) -> None:
        """Freeze what the program itself consists of, which is never garbage."""
        gc.set_threshold(NEW_OBJECTS, NEVER, NEVER)
        self._collect_all(0.0)
        gc.freeze()

    def collect(self, now: float, *, idle: bool) -> None:
        """Collect new objects; all objects if that is due. `now` is in seconds."""
        due_s = FULL_WHEN_IDLE_S if idle else FULL_WHEN_BUSY_S
        if self._has_frozen and now - self._full_at >= due_s:
            gc.unfreeze()
            self._collect_all(now)
        elif not idle:
            gc.collect(0)
            self._has_frozen = True
        gc.freeze()

    def _collect_all(self, now: float) -> None:
        gc.collect()
        _trim()
        self._has_frozen = False
        self._full_at = now


async def run_collector(collector: Collector) -> None:
    """Collect from time to time, for as long as the server lives."""
    used, idle_periods = time.process_time(), 0
    while True:
        await trio.sleep(COLLECT_EVERY_S)
        before, used = used, time.process_time()
        idle_periods = idle_periods + 1 if used - before < IDLE_SHARE * COLLECT_EVERY_S else 0
        collector.collect(trio.current_time(), idle=idle_periods >= IDLE_PERIODS)


def return_large_blocks() -> None:
    """Make large blocks, such as chunks of logs, go back to the system when they are freed.

    After the first of them glibc would keep such blocks on its heap, between small ones that live
    long: a thousand readers that once read a chunk each would cost their peak for ever.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # Other C libraries do not have it.
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def _trim() -> None:
    """Give back what is free between the small blocks, too."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
