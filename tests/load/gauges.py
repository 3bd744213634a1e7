"""How a process is doing, measured from inside: its loop, its garbage collector, its memory.

Rule: measuring costs nothing between two looks at the sockets; what is dear is only done when asked.
"""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any
from weakref import ref

import trio
from trio._core._run import GLOBAL_RUN_CONTEXT


class Stalls(trio.abc.Instrument):
    """How long the loop goes without polling its sockets, by the clock and in processor time.

    The two differ when the machine gives the processor to others.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._cpu_since = 0.0
        self._collecting_since = 0.0
        self.reset()
        gc.callbacks.append(self._collected)

    def reset(self) -> None:
        """Forget what has been."""
        self.worst_s = self.worst_cpu_s = 0.0
        self.collections = [0, 0, 0]
        self.worst_collections_s = [0.0, 0.0, 0.0]
        self.started, self.cpu_started = time.perf_counter(), time.process_time()

    def after_io_wait(self, timeout: float) -> None:
        self._since, self._cpu_since = time.perf_counter(), time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        self.worst_s = max(self.worst_s, time.perf_counter() - self._since)
        self.worst_cpu_s = max(self.worst_cpu_s, time.thread_time() - self._cpu_since)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.thread_time()
            return
        took, old = time.thread_time() - self._collecting_since, info["generation"]
        self.collections[old] += 1
        self.worst_collections_s[old] = max(self.worst_collections_s[old], took)

    def told(self) -> dict[str, Any]:
        """Since the last reset."""
        wall = time.perf_counter() - self.started
        return {
            "stall_s": self.worst_s,
            "stall_cpu_s": self.worst_cpu_s,
            "collections_s": self.worst_collections_s,
            "collections": self.collections,
            "wall_s": wall,
            "cpu_s": time.process_time() - self.cpu_started,
        }


class Blame(Stalls):
    """Also records the task steps of the worst stall, by name; this costs some time itself."""

    def reset(self) -> None:
        super().reset()
        self.worst_steps: dict[str, list[float]] = {}
        self._steps: dict[str, list[float]] = {}
        self._step_since = time.thread_time()

    def after_io_wait(self, timeout: float) -> None:
        super().after_io_wait(timeout)
        self._steps = {}

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._step_since = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.thread_time() - self._step_since
        name = " ".join(task.name.split()[:1] if task.name.startswith("run ") else [task.name])
        of_name = self._steps.setdefault(name, [0, 0.0, 0.0])
        of_name[0] += 1
        of_name[1] += took
        of_name[2] = max(of_name[2], took)

    def before_io_wait(self, timeout: float) -> None:
        before = self.worst_cpu_s
        super().before_io_wait(timeout)
        if self.worst_cpu_s > before:
            self.worst_steps = self._steps

    def told(self) -> dict[str, Any]:
        return {**super().told(), "worst_steps": self.worst_steps}


def figures() -> dict[str, Any]:
    """What lives in this process. Stalls the loop while it counts."""
    runner: Any = GLOBAL_RUN_CONTEXT.runner
    runner.deadlines._prune()  # Trio forgets deadlines that were given up at every 1,000th.
    gc.unfreeze()  # The server leaves old objects out of its looks; here every object counts.
    for _ in range(3):
        gc.collect()
    # sqlite3 clears its list of cursors that are gone only at every 200th.
    objects = [one for one in gc.get_objects() if not (type(one) is ref and one() is None)]
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in objects)
    statm = Path("/proc/self/statm").read_text().split()
    return {
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "objects": len(objects),
        "rss_mib": int(statm[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "kinds": dict(kinds),
    }
