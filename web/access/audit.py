"""The audit log: who changed something, and who was refused, as lines of JSON in `audit.log`.

Rule: no line holds a key, a body or a query. The log is bounded: it has two files at most.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from actors.clock import rfc3339, wall_clock

FILE = "audit.log"
MAX_BYTES = 16 * 1024 * 1024

service_log = logging.getLogger(__name__)
log = logging.getLogger("terzetto.audit")
log.propagate = False


def record(who: str | None, client: str, action: str, outcome: Any) -> None:
    """Write a line, if a file is open. `who` is the name of a key."""
    if log.handlers:
        line = {"at": rfc3339(wall_clock()), "who": who, "client": client}
        log.warning(json.dumps(line | {"action": action, "outcome": outcome}))


@contextmanager
def audited(folder: Path) -> Iterator[None]:
    """Write the log of this folder inside the block."""
    os.close(os.open(folder / FILE, os.O_CREAT | os.O_WRONLY, 0o600))
    handler = _Private(folder / FILE, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with suppress(OSError):  # It writes what could not be written before.
            handler.close()


class _Private(RotatingFileHandler):
    """Its files are private, also the one after a change of files.

    A line that cannot be written is lost: the first of them is reported, until one can be again.
    """

    _failing = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._failing = self._failed

    def handleError(self, record: logging.LogRecord) -> None:
        self._failed = True
        if not self._failing:
            reason = sys.exc_info()[1]
            said = reason.strerror if isinstance(reason, OSError) else type(reason).__name__
            service_log.warning("%s cannot be written: %s", self.baseFilename, said)

    def _open(self) -> Any:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        return open(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")
