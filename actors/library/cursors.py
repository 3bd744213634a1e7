"""Cursors: the start of a page of documents or tasks, as an opaque string for clients.

Rule: a cursor that this server did not make is refused; it never leads to a wrong page.
"""

from __future__ import annotations

import base64
import binascii
import re

from actors.errors import InvalidRequest

_FORM = re.compile(rb"before:([0-9]{1,18})")


def encode(before: int | None) -> str | None:
    """The cursor of the page of entries older than number `before`; None if there is no such page."""
    if before is None:
        return None
    return base64.urlsafe_b64encode(f"before:{before}".encode()).decode()


def decode(cursor: str | None) -> int | None:
    """The number in a cursor, None without one; raises `InvalidRequest`."""
    if cursor is None:
        return None
    try:
        found = _FORM.fullmatch(base64.b64decode(cursor.encode(), b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise InvalidRequest("cursor is not one that this server gave out.")
    return int(found[1])
