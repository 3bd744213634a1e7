"""The signals that end a server or a command: Ctrl-C, SIGTERM, and SIGHUP when the terminal is closed.

Rule: the first one ends it in order, the second one at once. A further SIGHUP does not count: the kernel
and the shell both send one, and service managers send it after SIGTERM. Under `nohup` it is ignored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

import trio


class Stopped(Exception):
    """A signal stopped the command. The person's move: none."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def receive_signals() -> AbstractContextManager[AsyncIterator[int]]:
    """The signals that come while the block runs."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *hangup)


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
