"""Shares of a limit, so that no owner fills it for all others.

While there is room, everyone gets it. When there is none, an owner that holds less than its share is
let in all the same; its share is the limit divided by the owners that hold any of it, itself included.

Rule: everyone may hold one, unless the limit is 0. So of k owners the first may hold the whole limit, the
second half of it, and so on: together at most 1 + ln(k) times the limit, or one each.
"""

from __future__ import annotations

from collections.abc import Mapping


def has_room(held: Mapping[str | None, int], owner: str | None, limit: int) -> bool:
    """Whether this owner may hold one more, given how many each owner holds."""
    if sum(held.values()) < limit:
        return True
    owners = {owner, *(other for other, holds in held.items() if holds > 0)}
    share = max(limit // len(owners), min(limit, 1))
    return held.get(owner, 0) < share
