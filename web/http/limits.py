"""What a client may do for how long: the limits, and a pure function from state to deadline.

Rule: every deadline of a connection comes from the tables below, which do no I/O and read no clock.

A cancel scope around the connection's wait is the only timer. When it fires, the deadlines are
computed again, since the state may have changed in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

RELEASE_AFTER_S = 0.5
"""A client that takes nothing for this long loses what was read ahead for it; it can be read again."""

HALF_CLOSED_S = 0.2
"""TCP cannot tell a client that has gone from one that has only said that it will send no more. Such a
client counts as gone if its response pauses for this long."""

AT_ONCE_S = 0.05
"""One that said so within this time of its request, as `nc -N` does, has not gone. Later it has."""

MIN_BODY_RATE = 4 * 1024
"""Bytes per second that a body must come with on the whole, once `request_body_s` is over."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server. All times are in seconds."""

    max_connections: int
    keep_alive_s: float
    """A connection may be idle this long."""
    request_head_s: float
    """The head of a request must be complete within this time."""
    request_body_s: float
    """The body must come at `MIN_BODY_RATE` from this time on."""
    write_timeout_s: float
    """A client may take nothing of a response for this long."""
    disconnect_grace_s: float
    """An app may run this long after its client has left, then it is cancelled."""


class Reading(Enum):
    """What the client has to send next."""

    IDLE = auto()  # A request, of which nothing has come.
    HEAD = auto()  # The rest of a head.
    BODY = auto()  # More of a body.
    NOTHING = auto()  # The request is complete, or the app has not read what has come of it.
    CLOSED = auto()  # Nothing, ever again: the client has closed its side.


class Writing(Enum):
    """What the client does with the response."""

    FLOWING = auto()  # It takes what is sent, or nothing is to be sent.
    BLOCKED = auto()  # It takes nothing since `blocked_since`.
    RELEASED = auto()  # Nor did it when that had lasted for `RELEASE_AFTER_S`.


class Expiry(Enum):
    """What has to be done when a deadline has passed."""

    CLOSE_IDLE = auto()
    REFUSE_HEAD = auto()
    REFUSE_BODY = auto()
    CHECK_CLIENT = auto()  # Whether it counts as gone, see `HALF_CLOSED_S`.
    RELEASE = auto()  # See `RELEASE_AFTER_S`.
    CLOSE_STALLED = auto()


class ClientState(NamedTuple):
    """All that the deadlines depend on. Times are in seconds of the event loop's clock."""

    now: float
    reading: Reading
    since: float
    """When the connection became idle, or the first byte of the request came."""
    received: int
    """Bytes of the body that have come."""
    writing: Writing
    blocked_since: float


class Deadline(NamedTuple):
    """When what has to be done."""

    at: float
    then: Expiry | None


NEVER = Deadline(math.inf, None)

_Row = tuple[Expiry, Callable[[ClientState, Limits], float]]


def _body_due(state: ClientState, limits: Limits) -> float:
    at_least_rate = state.since + state.received / MIN_BODY_RATE
    return min(at_least_rate, state.now) + limits.request_body_s


_READ: dict[Reading, _Row] = {
    Reading.IDLE: (Expiry.CLOSE_IDLE, lambda state, limits: state.since + limits.keep_alive_s),
    Reading.HEAD: (Expiry.REFUSE_HEAD, lambda state, limits: state.since + limits.request_head_s),
    Reading.BODY: (Expiry.REFUSE_BODY, _body_due),
    Reading.CLOSED: (Expiry.CHECK_CLIENT, lambda state, _: state.now + HALF_CLOSED_S),
}

_WRITE: dict[Writing, _Row] = {
    Writing.BLOCKED: (
        Expiry.RELEASE,
        lambda state, limits: state.blocked_since + min(RELEASE_AFTER_S, limits.write_timeout_s),
    ),
    Writing.RELEASED: (
        Expiry.CLOSE_STALLED,
        lambda state, limits: state.blocked_since + limits.write_timeout_s,
    ),
}


def read_deadline(state: ClientState, limits: Limits) -> Deadline:
    """When the client must have sent more."""
    return _deadline(_READ.get(state.reading), state, limits)


def write_deadline(state: ClientState, limits: Limits) -> Deadline:
    """When the client must have taken more."""
    return _deadline(_WRITE.get(state.writing), state, limits)


def _deadline(row: _Row | None, state: ClientState, limits: Limits) -> Deadline:
    if row is None:
        return NEVER
    then, at = row
    return Deadline(at(state, limits), then)
