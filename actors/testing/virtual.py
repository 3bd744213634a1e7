"""A virtual clock and a seeded scheduler, so that a run depends on its seed alone.

Rule: inside `run_virtual` nothing waits in real time. Time advances only when every task is blocked,
and the seed decides which ready task runs next. Do not use threads or sockets inside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")


def run_virtual(story: Callable[[], Awaitable[T]], *, seed: int) -> T:
    """Run `story` to its end on a virtual clock that starts at 0, and return what it returns."""
    with seeded_scheduler(seed):
        return trio.run(story, clock=MockClock(autojump_threshold=0))


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Inside the block `trio.run` schedules by `seed`; the state from before is restored.

    It sets two private names of Trio, the ones that pytest-trio and Hypothesis set, too.
    """
    core = trio._core._run
    before, state = core._ALLOW_DETERMINISTIC_SCHEDULING, core._r.getstate()
    core._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    core._r.seed(seed)
    try:
        yield
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
        core._r.setstate(state)
