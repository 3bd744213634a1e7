"""Opaque cursors for pages of documents and tasks.

Rule: a cursor that this server did not write raises an error, and never gives a wrong page.
"""

from __future__ import annotations

import base64
import binascii
import re

from actors.errors import InvalidRequest

_FORM = re.compile(rb"before:([0-9]{1,18})")


def written(before: int) -> str:
    """The cursor of the page that begins below number `before`."""
    return base64.urlsafe_b64encode(f"before:{before}".encode()).decode()


def read(cursor: str) -> int:
    """The number in a cursor; raises `InvalidRequest`."""
    try:
        found = _FORM.fullmatch(base64.b64decode(cursor.encode(), b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise InvalidRequest("cursor is not one that this server gave out.")
    return int(found[1])
