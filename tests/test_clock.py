"""When a server asks to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from actors.clock import MAX_RETRY_AFTER_S, parse_retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 1.5 ", 1.5),
        ("1e9", MAX_RETRY_AFTER_S),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Thu, 01 Jan 2026 00:01:00", 60),
        ("Wed, 21 Oct 2115 07:28:00 GMT", MAX_RETRY_AFTER_S),
    ],
)
def test_retry_after_is_a_number_or_a_date_within_bounds(value: str, seconds: float) -> None:
    assert parse_retry_after(value, lambda: NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "nan",
        "inf",
        "-1e400",
        "-3",
        "9" * 5_000 + "x",
        "Thu, 99 Foo 2026",
        "Wed, 21 Oct 2015 07:28:00 +" + "9" * 20,
    ],
)
def test_any_other_retry_after_is_ignored(value: str) -> None:
    assert parse_retry_after(value, lambda: NOW) is None
