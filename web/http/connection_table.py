"""The connections of one server: which are open, which are idle, and how much a tick may do for them.

Rule: every number here is bounded, by a limit or by a constant of `actors.runtime.fairness`.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import trio

from actors.runtime.fairness import CLOSES_PER_TICK, REQUESTS_PER_TICK


class Closable(Protocol):
    """A connection, as far as the table needs it."""

    def close_now(self) -> None:
        """End it, whatever it does."""

    def retire(self, within_s: float, answer_s: float) -> None:
        """End it after the response that is under way, or after so many seconds."""


class TickLimiter:
    """Lets at most `per_tick` tasks pass in each tick of the event loop, in the order they came."""

    def __init__(self, per_tick: int) -> None:
        self._per_tick = per_tick
        self._passed = 0
        self._next_tick = trio.lowlevel.ParkingLot()
        self._any_passed = trio.lowlevel.ParkingLot()

    async def acquire(self) -> None:
        """Return in this tick, or in the first later one that has room."""
        if self._passed < self._per_tick and not self._next_tick:
            self._passed += 1
            self._any_passed.unpark()
        else:
            await self._next_tick.park()

    async def run(self) -> None:
        """Begin a new count at each tick. `acquire` needs this to run beside it."""
        while True:
            while not self._passed:
                await self._any_passed.park()
            await trio.lowlevel.checkpoint()
            self._passed = len(self._next_tick.unpark(count=self._per_tick))


class ConnectionTable:
    """The connections of one server. `ended` counts, by cause, those that the server ended itself."""

    def __init__(self) -> None:
        self.open: set[Closable] = set()
        self.requests = TickLimiter(REQUESTS_PER_TICK)
        self.closes = TickLimiter(CLOSES_PER_TICK)
        self.buffered_bytes = 0
        self.ended: Counter[str] = Counter()
        self._idle: dict[Closable, None] = {}

    def add(self, connection: Closable) -> None:
        """A client has connected; it is idle."""
        self.open.add(connection)
        self._idle[connection] = None

    def remove(self, connection: Closable) -> None:
        """A connection is closed."""
        self.open.discard(connection)
        self._idle.pop(connection, None)

    def mark_idle(self, connection: Closable) -> None:
        """The connection waits for a request of which nothing has come."""
        self._idle[connection] = None

    def mark_busy(self, connection: Closable) -> None:
        """The connection is in the middle of a request."""
        self._idle.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that has been idle longest; False if none is idle."""
        for connection in self._idle:
            self.ended["made room"] += 1
            connection.close_now()
            self.remove(connection)
            return True
        return False

    def gauges(self) -> dict[str, int]:
        """How much it holds now."""
        return {
            "connections": len(self.open),
            "idle_connections": len(self._idle),
            "buffered_bytes": self.buffered_bytes,
        }
