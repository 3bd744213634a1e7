"""How many requests a key may make: a bucket of tokens for each key.

Rule: a bucket holds what one second adds, so that a burst of that size passes after a pause.
"""

from __future__ import annotations

from math import ceil

import trio


class Rates:
    """Requests by name. There are as many buckets as keys have made requests."""

    def __init__(self, per_s: float | None) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s or 0.0)
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, name: str) -> int:
        """Take a token: 0, or the seconds after which there is one again."""
        if self._per_s is None:
            return 0
        now = trio.current_time()
        left, at = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        if left < 1:
            self._buckets[name] = left, now
            return max(1, ceil((1 - left) / self._per_s))
        self._buckets[name] = left - 1, now
        return 0
