"""Terzetto in process: the verbs of the HTTP API, without HTTP.

    async with open_system(Settings(data_dir=None)) as system:      # None: in memory
        task = await system.create("Compare threads and async I/O for a web server")

        async for event in system.execute(task.task_id):            # starts it, or attaches
            print(event.seq, event.event_type, event.data)          # leaving early leaves it running

        task = await system.status(task.task_id)                    # task.status, .steps, .final_output
        await system.cancel(task.task_id, "changed my mind")        # answers when nothing works for it
        await system.retry(task.task_id)                            # goes on from its unfinished steps
        await system.delete(task.task_id)
        page = await system.tasks(status="completed", limit=20)

        added = await system.library.add(b"...", media_type="text/markdown", title="Notes")
        hits = await system.library.search("backpressure", limit=5)

        system.tree()                                               # every actor: depth, in flight, …

Errors are `ActorError`s with a stable `code`; they are listed in `actors.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.agents.plugin import About
    from actors.errors import ActorError
    from actors.settings import Settings
    from actors.system import System, open_system
    from actors.tasks.events import Stamped
    from actors.tasks.evidence import Passage
    from actors.tasks.life import Task

__all__ = [
    "About",
    "ActorError",
    "Passage",
    "Settings",
    "Stamped",
    "System",
    "Task",
    "open_system",
]

_HOMES = {
    "ActorError": "actors.errors",
    "About": "actors.agents.plugin",
    "Passage": "actors.tasks.evidence",
    "Settings": "actors.settings",
    "Stamped": "actors.tasks.events",
    "System": "actors.system",
    "Task": "actors.tasks.life",
    "open_system": "actors.system",
}


def __getattr__(name: str) -> Any:
    """Import lazily, so that a command that needs one module loads one module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
