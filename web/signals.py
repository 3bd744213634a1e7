"""The signals that end a server or a command: Ctrl-C, SIGTERM, and SIGHUP when the terminal is closed.

Rule: the first one ends it in order, the second one at once, even if a plugin blocks the event loop. A
further SIGHUP does not count: the kernel and the shell both send one, and service managers send it after
SIGTERM. Under `nohup` it is ignored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import Any

import trio


class Stopped(Exception):
    """A signal stopped the command. The person's move: none."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def receive_signals() -> Iterator[AsyncIterator[int]]:
    """The signals that come while the block runs."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *hangup) as signals:
        unseen = _Unseen(trio.lowlevel.current_trio_token())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(unseen.came, signal.getsignal(number)))
        yield signals


class _Unseen:
    """Ends the process at a second signal if the event loop has not seen the first one yet."""

    def __init__(self, loop: trio.lowlevel.TrioToken) -> None:
        self._loop = loop
        self._is_waiting = False

    def came(self, receive: Any, number: int, frame: FrameType | None) -> None:
        """Called in the main thread, between two steps of whatever it does."""
        if self._is_waiting:
            os.write(2, b"terzetto: ended at once; the event loop was blocked, see the warnings\n")
            os._exit(128 + number)
        self._is_waiting = True
        self._loop.run_sync_soon(self._seen)
        receive(number, frame)

    def _seen(self) -> None:
        self._is_waiting = False


async def second_signal(signals: AsyncIterator[int]) -> int:
    """Wait for a signal that ends the process at once."""
    while (number := await anext(signals)) == signal.SIGHUP:
        pass
    return number


@asynccontextmanager
async def stopped_by_signals() -> AsyncIterator[None]:
    """Cancel the block at a signal; then `Stopped` is raised."""
    stopped: list[int] = []

    async def watch(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        stopped.append(await anext(signals))
        scope.cancel()
        os._exit(128 + await second_signal(signals))

    with receive_signals() as signals:
        async with trio.open_nursery() as watching:
            with trio.CancelScope() as block:
                watching.start_soon(watch, signals, block)
                yield
            watching.cancel_scope.cancel()
    if stopped:
        raise Stopped(stopped[0])
