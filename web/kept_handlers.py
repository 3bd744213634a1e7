"""Put the signal handlers of the server back when a plugin, or a library of one, has replaced them.

Rule: else SIGTERM and Ctrl-C would no longer stop the server.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import trio

log = logging.getLogger(__name__)

T = TypeVar("T")

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_EVERY_S = 1.0


@asynccontextmanager
async def kept_handlers(
    opens: Callable[..., AbstractAsyncContextManager[T]], *args: Any
) -> AsyncIterator[T]:
    """The block of `opens(*args)`, with the signal handlers that there were before it."""
    handlers = {number: signal.getsignal(number) for number in NUMBERS}

    async def keep() -> None:
        while True:
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    name = signal.Signals(number).name
                    log.warning("an agent has replaced the handler of %s; it is put back", name)
                    signal.signal(number, handler)
            await trio.sleep(LOOK_EVERY_S)

    async with opens(*args) as opened, trio.open_nursery() as nursery:
        nursery.start_soon(keep)
        yield opened
        nursery.cancel_scope.cancel()
