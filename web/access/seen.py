"""Which tasks are there for whom."""

from __future__ import annotations

from actors.errors import TaskNotFound
from actors.system import System
from web.access.keys import Principal


async def check_seen(system: System, principal: Principal, task_id: str) -> None:
    """Raises `TaskNotFound` for a task that is another key's."""
    if not principal.sees(await system.owner(task_id)):
        raise TaskNotFound(f"There is no task {task_id}.")
