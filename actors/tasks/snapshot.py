"""A snapshot: a task as its events have made it, so that not all of them need be read to open it.

Rule: a snapshot is a cache. One that cannot be read, or is of another version, counts as missing.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from actors.tasks.life import Task

SNAPSHOT_VERSION = 2
"""Goes up with each change of `Task`, of the types in it, or of what `evolve` makes of an event."""

_STORED: TypeAdapter[tuple[int, Task]] = TypeAdapter(tuple[int, Task])


def dump_snapshot(task: Task) -> bytes:
    """The task and the version as JSON."""
    return _STORED.dump_json((SNAPSHOT_VERSION, task))


def load_snapshot(body: bytes) -> Task:
    """What `dump_snapshot` wrote; raises `ValueError` if it is of another version or damaged."""
    version, task = _STORED.validate_json(body)
    if version != SNAPSHOT_VERSION:
        raise ValueError(f"The snapshot has version {version}.")
    return task
