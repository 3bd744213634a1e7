"""When to try again: pure functions of how often it has failed.

Rule: chance is handed in as `rng`, never taken from the module.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delays before the second, third, … attempt; there is one attempt more than delays.

    `jitter` is the largest share (0 to 1) by which a delay is lengthened at random.
    """

    delays_s: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    jitter: float = 0.0

    @property
    def attempts(self) -> int:
        """How many attempts there are in all, the first included."""
        return len(self.delays_s) + 1

    def delay_s(self, failures: int, rng: Random) -> float | None:
        """Seconds to wait after `failures` failed attempts (1 or more); None: no attempt is left."""
        if failures > len(self.delays_s):
            return None
        delay = self.delays_s[failures - 1]
        return delay + delay * self.jitter * rng.random() if self.jitter else delay


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """How many crashes an actor survives: `restarts` within `window_s` seconds.

    The n-th restart in a window waits for `first_delay_s * 2 ** (n - 2)`, the first for nothing.
    """

    restarts: int = 5
    window_s: float = 30.0
    first_delay_s: float = 0.1

    def delay_s(self, crashes_in_window: int) -> float | None:
        """Seconds before the next restart after that many crashes; None: it must escalate."""
        if crashes_in_window > self.restarts:
            return None
        return (
            0.0 if crashes_in_window == 1 else self.first_delay_s * 2.0 ** (crashes_in_window - 2)
        )


NO_RESTARTS = RestartLimit(restarts=0)
"""For an actor without which nothing true can be said: its first crash ends the system."""
