"""The child process that parses documents: `python -m actors.library.parsing.child`.

Rule: it keeps no state between documents, so it can be killed at any moment without loss. It ends
when its input ends, and a document that crashes it affects no other document.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from actors.errors import ActorError, UnreadableDocument
from actors.library.parsing.cuts import encode_excerpt, encode_passage, parts_of
from actors.library.parsing.frames import LENGTH, Job, frame

MEMORY_BYTES = 1024 * 1024 * 1024
_GIVE_UP_S, _MORE_S = 90, 30
"""Longer than any parent waits, and for each MiB: ends a child whose parent died meanwhile."""

_YOUNG_OBJECTS = 20_000
"""Allocations between collections. With Python's 700, half of the time goes to the collector."""

_TEXT_PART = 256 * 1024


def main() -> None:
    """Parse documents until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what Ctrl-C does.
    _limit_memory()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
    incoming, outgoing = sys.stdin.buffer, _private_output()
    while (head := _read(incoming)) is not None and (body := _read(incoming)) is not None:
        job = Job(body, **json.loads(head))
        _alarm(_GIVE_UP_S + _MORE_S * job.mebibytes)
        for reply in _replies(job):
            outgoing.write(frame(reply))
        outgoing.flush()
        _alarm(0)


def _replies(job: Job) -> Iterator[bytes]:
    """The replies for one document."""
    try:
        yield from _parsed(job)
        return
    except ActorError as error:
        code, message = error.code, error.message
    except MemoryError:
        code = UnreadableDocument.code
        message = "This document needs too much memory. Send it in smaller parts."
    yield _json({"error": code, "message": message})  # The exception has held all that memory.


def _parsed(job: Job) -> Iterator[bytes]:
    from actors.library.parsing.inline import parsed_text

    parsed = parsed_text(job)
    for at in range(0, len(parsed.text), _TEXT_PART):
        yield _json({"text": parsed.text[at : at + _TEXT_PART]})
    for part in parts_of(parsed.passages, parsed.text, encode_passage):
        yield _json({"passages": part.count})
        yield part.content
    for part in parts_of(parsed.excerpts, parsed.text, encode_excerpt):
        yield _json({"excerpts": part.count})
        yield part.content
    about = {"title": parsed.title, "notes": parsed.notes, "language": parsed.language}
    yield _json({"end": True, **about})


def _json(reply: dict[str, Any]) -> bytes:
    return json.dumps(reply).encode()


def _read(pipe: BinaryIO) -> bytes | None:
    """The next frame, or None at the end of the input."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    payload = pipe.read(length)
    return payload if len(payload) == length else None


def _private_output() -> BinaryIO:
    """The pipe to the parent; what a parser prints goes to standard error instead."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb")


def _alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
