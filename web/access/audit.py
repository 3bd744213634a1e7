"""The audit logs: who changed something (`audit.log`), and who was refused (`refused.log`), as lines of JSON.

Rule: no line holds a key, a body or a query, and none is long. Each log is bounded: it has two files at
most. Refusals have a log of their own, because anyone can cause them, and would push out the changes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from actors.clock import rfc3339, wall_clock

FILE, REFUSED = "audit.log", "refused.log"
MAX_BYTES = 16 * 1024 * 1024
MAX_ACTION = 200
"""Characters: a path may be as long as the head of a request."""

service_log = logging.getLogger(__name__)
_changes, _refusals = (logging.getLogger(f"terzetto.{name}") for name in ("audit", "refused"))
_LOGS = {FILE: _changes, REFUSED: _refusals}
for _log in _LOGS.values():
    _log.propagate = False


def record(
    who: str | None, client: str, action: str, outcome: Any, *, is_refusal: bool = False
) -> None:
    """Write a line, if a file is open. `who` is the name of a key."""
    log = _refusals if is_refusal else _changes
    if log.handlers:
        line = {"at": rfc3339(wall_clock()), "who": who, "client": client}
        log.warning(json.dumps(line | {"action": action[:MAX_ACTION], "outcome": outcome}))


@contextmanager
def audited(folder: Path) -> Iterator[None]:
    """Write the logs of this folder inside the block."""
    with ExitStack() as opened:
        for name, log in _LOGS.items():
            opened.enter_context(_written(folder / name, log))
        yield


@contextmanager
def _written(file: Path, log: logging.Logger) -> Iterator[None]:
    handler = _Private(file, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with suppress(OSError):  # It writes what could not be written before.
            handler.close()


class _Private(RotatingFileHandler):
    """Its files are private, also the one after a change of files, and may be others' at the same time.

    `terzetto mcp --http` writes beside a server: whoever finds the file changed goes on in the new one.
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

    def shouldRollover(self, record: logging.LogRecord) -> int:
        if self.stream is not None and not _is_at(self.baseFilename, self.stream):
            stale, self.stream = self.stream, self._open()
            stale.close()
        return super().shouldRollover(record)


def _is_at(path: str, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
