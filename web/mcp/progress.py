"""What a client is told while a task runs.

Rule: progress only grows. Half of it is for a step that starts, half for one that is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Report = Callable[[float, float | None, str], Awaitable[None]]
"""How far it is, of how much (None: not known yet), and a line on it."""

_RETRY = 0.01


class Progress:
    """The events of a task as progress."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._done = 0.0
        self._total: float | None = None
        self._seen: set[tuple[str, str]] = set()

    async def saw(self, event: dict[str, Any]) -> None:
        """Tell what is worth telling of an event."""
        data = event["data"]
        match event["event_type"]:
            case "plan_created":
                self._total = float(len(data["steps"]))
            case "step_started":
                await self._tell(data["step_id"], "started", 0.5, data["description"])
            case "step_completed":
                await self._tell(data["step_id"], "done", 0.5, f"{data['step']} completed")
            case "step_retrying":
                message = f"{data['step']} is tried again: {data['error']['message']}"
                self._done += _RETRY
                await self._report(self._done, self._total, message)

    async def _tell(self, step_id: str, what: str, share: float, message: str) -> None:
        if (step_id, what) in self._seen:
            return
        self._seen.add((step_id, what))
        self._done += share
        await self._report(self._done, self._total, message)
