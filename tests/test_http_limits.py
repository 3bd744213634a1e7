"""The deadlines of a connection: every combination of what its client may do."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest

from web.http.limits import (
    HALF_CLOSED_S,
    MIN_BODY_RATE,
    NEVER,
    RELEASE_AFTER_S,
    ClientState,
    Expiry,
    Limits,
    Reading,
    Writing,
    read_deadline,
    write_deadline,
)

LIMITS = Limits(
    max_connections=1,
    keep_alive_s=70.0,
    request_head_s=10.0,
    request_body_s=30.0,
    write_timeout_s=60.0,
    disconnect_grace_s=5.0,
)
SINCE, BLOCKED_SINCE, NOW = 100.0, 103.0, 104.0

READ = {
    Reading.IDLE: (SINCE + 70.0, Expiry.CLOSE_IDLE),
    Reading.HEAD: (SINCE + 10.0, Expiry.REFUSE_HEAD),
    Reading.BODY: (SINCE + 30.0, Expiry.REFUSE_BODY),
    Reading.NOTHING: (inf, None),
    Reading.CLOSED: (NOW + HALF_CLOSED_S, Expiry.CHECK_CLIENT),
}
WRITE = {
    Writing.FLOWING: (inf, None),
    Writing.BLOCKED: (BLOCKED_SINCE + RELEASE_AFTER_S, Expiry.RELEASE),
    Writing.RELEASED: (BLOCKED_SINCE + 60.0, Expiry.CLOSE_STALLED),
}


def state(reading: Reading, writing: Writing, received: int = 0) -> ClientState:
    return ClientState(NOW, reading, SINCE, received, writing, BLOCKED_SINCE)


@pytest.mark.parametrize(("reading", "writing"), list(product(Reading, Writing)))
def test_what_a_client_sends_and_takes_each_has_its_own_deadline(reading, writing):
    assert read_deadline(state(reading, writing), LIMITS) == READ[reading]
    assert write_deadline(state(reading, writing), LIMITS) == WRITE[writing]


@pytest.mark.parametrize("writing", Writing)
@pytest.mark.parametrize(
    ("received", "due"),
    [
        (0, SINCE + 30.0),
        (2 * MIN_BODY_RATE, SINCE + 32.0),
        (4 * MIN_BODY_RATE, NOW + 30.0),
        (1_000 * MIN_BODY_RATE, NOW + 30.0),  # A fast start saves up no time.
    ],
)
def test_a_body_earns_time_by_its_rate_and_no_more_than_it_has_taken(received, due, writing):
    assert read_deadline(state(Reading.BODY, writing, received), LIMITS).at == due


def test_a_short_write_timeout_releases_no_later_than_it_closes():
    short = Limits(1, 70.0, 10.0, 30.0, write_timeout_s=0.1, disconnect_grace_s=5.0)
    blocked, released = (
        write_deadline(state(Reading.NOTHING, writing), short)
        for writing in (Writing.BLOCKED, Writing.RELEASED)
    )

    assert blocked.at == released.at == BLOCKED_SINCE + 0.1


def test_a_request_that_is_complete_has_no_deadline():
    assert read_deadline(state(Reading.NOTHING, Writing.FLOWING), LIMITS) == NEVER
