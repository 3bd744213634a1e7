"""Wall-clock time for events. It is injected, so that tests control it.

Rule: code reads the wall clock only through the `Now` that it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import trio

Now = Callable[[], datetime]

_START = datetime(2026, 1, 1, tzinfo=UTC)


def wall_clock() -> datetime:
    """The time of the machine, in UTC."""
    return datetime.now(UTC)


def virtual_clock() -> datetime:
    """Trio's clock as a date. Under `MockClock` it is the same in every run."""
    return _START + timedelta(seconds=trio.current_time())


def rfc3339(moment: datetime) -> str:
    """RFC 3339 with milliseconds and a `Z`: "2026-01-31T12:00:00.123Z"."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
