"""Notice a blocked event loop, and name the actor that blocks it.

A handler that calls `time.sleep`, or computes for long, holds up every other task, cancels and answers
to clients included. A thread sends a call to the loop now and then; if it is not answered in time, the
thread reads the stack of the loop's thread while it is still blocked.

Rule: the loop pays one call every half a second, and nothing for each step of a task.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import trio

from actors.runtime import border
from actors.runtime.actor import ActorHandle

log = logging.getLogger(__name__)

BLOCKED_S = 1.0
"""A loop that does not answer for so long is logged as blocked."""

PAUSE_S = 0.5
"""Between two calls to the loop, and between two looks at one that does not answer."""

HANDLERS = {ActorHandle._handle.__code__, ActorHandle._run_background.__code__}
"""The code of the frames that belong to one actor; `border._apart` belongs to the actor it names."""


@asynccontextmanager
async def watched_loop(
    *, blocked_s: float = BLOCKED_S, pause_s: float = PAUSE_S
) -> AsyncIterator[None]:
    """Watch the event loop of the caller during the block."""
    stop = threading.Event()
    watch = _Watch(trio.lowlevel.current_trio_token(), threading.get_ident(), stop)
    work = threading.Thread(
        target=watch.run, args=(blocked_s, pause_s), name="loop watch", daemon=True
    )
    work.start()
    try:
        yield
    finally:
        stop.set()


class _Watch:
    def __init__(self, loop: trio.lowlevel.TrioToken, thread: int, stop: threading.Event) -> None:
        self._loop = loop
        self._thread = thread
        self._stop = stop

    def run(self, blocked_s: float, pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            answered = threading.Event()
            began = time.perf_counter()
            try:
                self._loop.run_sync_soon(answered.set)
            except trio.RunFinishedError:
                return
            cause = ""
            while not answered.wait(pause_s) and not self._stop.is_set():
                took_s = time.perf_counter() - began
                if took_s >= blocked_s and not cause:
                    cause = self._cause()
                    log.warning("the event loop has been blocked for %.1f s by %s", took_s, cause)
            took_s = time.perf_counter() - began
            if took_s >= blocked_s and answered.is_set():
                # Without a cause this thread could not run either.
                cause = cause or "code that kept the interpreter, or the process was stopped"
                log.warning("the event loop was blocked for %.1f s by %s", took_s, cause)

    def _cause(self) -> str:
        """The actor whose frame is on the stack of the loop, and the line that it is at."""
        top = frame = sys._current_frames().get(self._thread)
        if top is None:
            return "a thread that has ended"
        place = f"{top.f_code.co_filename}, line {top.f_lineno}, in {top.f_code.co_name}"
        return f"{_owner(frame)} ({place})"


def _owner(frame: FrameType | None) -> str:
    while frame is not None:
        if frame.f_code in HANDLERS:
            return f"the actor {frame.f_locals['self'].name}"
        if frame.f_code is border._apart.__code__:
            return f"the actor {frame.f_locals['name']}"
        frame = frame.f_back
    return "code outside the actors"
