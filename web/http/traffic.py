"""Who is connected, and what that costs: the figures of the HTTP server, and its idle clients.

Rule: every number here is bounded, by a setting or by a constant beside what it counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import trio


class Closable(Protocol):
    """A connection, as far as others may touch it."""

    def close_now(self) -> None:
        """End it, whatever it does."""

    def retire(self, patience_s: float) -> None:
        """End it as soon as it has answered what it was asked, or after so many seconds."""


ADMITTED_PER_TICK = 4
"""How many requests begin, and how many clients leave, in one round of the loop. Each takes up to a
millisecond until it waits."""


class AdmissionGate:
    """Who goes on when: what a thousand clients do at once must not stall the loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._next_round = trio.lowlevel.ParkingLot()
        self._some = trio.lowlevel.ParkingLot()

    async def admit(self) -> None:
        """Wait for one's admit, in the order of coming."""
        if self._taken < ADMITTED_PER_TICK and not self._next_round:
            self._taken += 1
            self._some.unpark()
        else:
            await self._next_round.park()

    async def open_each_tick(self) -> None:
        """Give request_gate, for ever."""
        while True:
            while not self._taken:
                await self._some.park()
            await trio.lowlevel.checkpoint()
            self._taken = len(self._next_round.unpark(count=ADMITTED_PER_TICK))


class Traffic:
    """The connections of one server. `ended` counts, by cause, those that the server ended itself."""

    def __init__(self) -> None:
        self.open: set[Closable] = set()
        self.request_gate = AdmissionGate()
        self.close_gate = AdmissionGate()
        self.buffered_bytes = 0
        self.ended: Counter[str] = Counter()
        self._idle: dict[Closable, None] = {}

    def entered(self, connection: Closable) -> None:
        """A client has come."""
        self.open.add(connection)

    def left(self, connection: Closable) -> None:
        """A connection is closed."""
        self.open.discard(connection)
        self._idle.pop(connection, None)

    def rests(self, connection: Closable) -> None:
        """The connection waits for a request that has not begun."""
        self._idle[connection] = None

    def works(self, connection: Closable) -> None:
        """The connection is in the middle of a request."""
        self._idle.pop(connection, None)

    def make_room(self) -> bool:
        """Let go of whoever rested longest; False if everybody works."""
        for connection in self._idle:
            self.ended["made room"] += 1
            connection.close_now()
            self.left(connection)
            return True
        return False

    def gauges(self) -> dict[str, int]:
        """What it holds."""
        return {
            "connections": len(self.open),
            "idle_connections": len(self._idle),
            "buffered_bytes": self.buffered_bytes,
        }
