"""The audit logs: who changed something (`audit.log`), and who was refused (`refused.log`), as lines of JSON.

Rule: no line holds a key, a body or a query, and none is long. Each log is bounded: it has two files at
most. Refusals have a log of their own, because anyone can cause them, and would push out the changes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from actors.clock import rfc3339, wall_clock

MAX_BYTES = 16 * 1024 * 1024
MAX_ACTION = 200
"""Characters: a path may be as long as the head of a request."""

_changes, _refusals = (logging.getLogger(f"terzetto.{name}") for name in ("audit", "refused"))
_LOGS = {"audit.log": _changes, "refused.log": _refusals}
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
        handler.close()


class _Private(RotatingFileHandler):
    """Its files are private, also the one after a change of files, and may be others' at the same time.

    `terzetto mcp --http` writes beside a server: whoever finds the file changed goes on in the new one.
    """

    def _open(self) -> Any:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        return open(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> int:
        if self.stream is not None and not _is_at(self.baseFilename, self.stream):
            self.stream.close()
            self.stream = self._open()
        return super().shouldRollover(record)


def _is_at(path: str, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
