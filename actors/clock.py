"""Wall-clock time for events. It is injected, so that tests control it.

Rule: code reads the wall clock only through the `Now` that it was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

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
    moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


MAX_RETRY_AFTER_S = 3_600.0


def parse_retry_after(value: str, now: Now) -> float | None:
    """The seconds to wait that a `Retry-After` header asks for, at most an hour.

    The value is a number of seconds or an HTTP date; a date that has passed means 0. None if the
    value is neither, or is a negative number.
    """
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # A time zone of many digits overflows.
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = max((moment - now()).total_seconds(), 0.0)
    return min(seconds, MAX_RETRY_AFTER_S) if math.isfinite(seconds) and seconds >= 0 else None
