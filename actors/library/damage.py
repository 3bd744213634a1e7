"""Damaged records of the library: an error of its own for those who meet one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from actors.errors import DocumentUnreadable
from actors.sqlite_errors import DamagedRecord, UnusableDatabase

log = logging.getLogger(__name__)

T = TypeVar("T")
DAMAGED = (ValueError, TypeError, LookupError, AttributeError)
"""What code raises that reads values that it cannot have written."""


@contextmanager
def readable() -> Iterator[None]:
    """Read the library in the block; raises `DocumentUnreadable` if what is read is damaged."""
    try:
        yield
    except (DamagedRecord, UnusableDatabase) as damaged:
        raise DocumentUnreadable(damaged.message) from damaged
    except DAMAGED as damaged:
        raise DocumentUnreadable(
            f"A record of the library cannot be read ({type(damaged).__name__}). Ask terzetto doctor "
            "which, and restore a backup, or delete the document."
        ) from damaged


def those_readable(rows: Iterable[T], read: Callable[[T], object]) -> Iterator[T]:
    """The rows that can be read. Others are named in the log, so that a list shows the rest."""
    for row in rows:
        try:
            read(row)
        except DAMAGED as damaged:
            log.error("a row of the library is damaged and left out: %s (%r)", damaged, row)
        else:
            yield row
