"""Fakes for the tests of the command line: recorded events and a service that replays them."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio

from actors.errors import ActorError
from actors.fetching.fetcher import Page
from web.access.keys import Principal
from web.service import Outcome

TASK_ID = "0b6f7a52-1111-4222-8333-444455556666"
PLAN = [
    {"step_id": "s1", "step": "analysis", "agent_type": "analyzer", "description": "Plan it"},
    {"step_id": "s2", "step": "retrieval", "agent_type": "retriever", "description": "Threads?"},
    {"step_id": "s3", "step": "retrieval", "agent_type": "retriever", "description": "Async?"},
    {
        "step_id": "s4",
        "step": "synthesis",
        "agent_type": "analyzer",
        "description": "Synthesize it",
    },
    {"step_id": "s5", "step": "writing", "agent_type": "writer", "description": "Write it"},
]
DEPENDS_ON = {"s1": [], "s2": ["s1"], "s3": ["s1"], "s4": ["s2", "s3"], "s5": ["s4"]}
STEPS = {step["step_id"]: step for step in PLAN}
SOURCE = {
    "n": 1,
    "document_id": "d1",
    "title": "On threads",
    "section": "Costs",
    "position": 3,
    "text": "Threads cost memory.",
}


class Log:
    """A log as the server writes it: each call adds an event, a tenth of a second later."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, event_type: str, **data: Any) -> Log:
        seq = len(self.events) + 1
        event = {
            "seq": seq,
            "event_type": event_type,
            "task_id": TASK_ID,
            "timestamp": f"2026-01-31T12:00:{seq // 10:02}.{seq % 10}00Z",
            "data": data,
        }
        self.events.append(event)
        return self

    def begin(self, description: str = "Compare threads and async") -> Log:
        self.add("task_created", task_description=description, deadline_s=None, metadata={})
        return self.add("task_queued", position=0, run=1).add("task_started", run=1)

    def start(self, step_id: str, attempt: int = 1, **more: Any) -> Log:
        number = int(step_id[1:])
        data = STEPS[step_id] | {"step_number": number, "total_steps": None, "attempt": attempt}
        return self.add("step_started", **data, **more)

    def plan(self) -> Log:
        steps = [step | {"depends_on": DEPENDS_ON[step["step_id"]]} for step in PLAN]
        return self.add("plan_created", steps=steps)

    def finish(self, step_id: str, attempt: int = 1, **more: Any) -> Log:
        data = {
            "step_id": step_id,
            "step": STEPS[step_id]["step"],
            "status": "completed",
            "attempt": attempt,
            "duration_s": 0.25,
            "degraded": False,
            "error": None,
            "result": {},
        }
        return self.add("step_completed", **(data | more))

    def retrying(self, step_id: str, attempt: int, delay_s: float, message: str) -> Log:
        return self.add(
            "step_retrying",
            step_id=step_id,
            step=STEPS[step_id]["step"],
            attempt=attempt,
            next_attempt=attempt + 1,
            delay_s=delay_s,
            error={"code": "agent_failed", "message": message},
        )

    def part(self, content: str, attempt: int = 1, **more: Any) -> Log:
        return self.add(
            "partial_output", step_id="s5", step="writing", attempt=attempt, content=content, **more
        )

    def until_writing(self) -> Log:
        self.begin().start("s1").plan().finish("s1")
        for step_id in ("s2", "s3", "s4"):
            self.start(step_id).finish(step_id)
        return self.start("s5")

    def complete(self, text: str, **more: Any) -> Log:
        data = {"final_output": text, "total_steps": 5, "degraded": False, "sources": [SOURCE]}
        return self.add("task_completed", **(data | more))

    def lines(self) -> list[bytes]:
        return [json.dumps(event).encode() for event in self.events]


def whole_log() -> Log:
    """A task that goes well, written in two parts."""
    log = Log().until_writing().part("# Report\n\n").part("Threads cost memory [1].\n")
    return log.finish("s5").complete("# Report\n\nThreads cost memory [1].\n")


HEARTBEAT = json.dumps(
    {"event_type": "heartbeat", "task_id": TASK_ID, "timestamp": "2026-01-31T12:00:00Z", "data": {}}
).encode()


class FakeService:
    """Replays lines. With `stays_open` it then waits until the task is cancelled."""

    def __init__(
        self,
        lines: list[bytes] | None = None,
        *,
        stays_open: Log | None = None,
        on_line: Callable[[int], object] = lambda seq: None,
        refusals: dict[str, ActorError] | None = None,
    ) -> None:
        self.given = lines if lines is not None else whole_log().lines()
        self.open_log = stays_open
        self.on_line = on_line
        self.refusals = refusals or {}
        self.calls: list[tuple[Any, ...]] = []
        self.results: list[dict[str, Any]] = []
        self.library: set[bytes] = set()
        self.outdated = 0
        self.on_add: Callable[[Path], ActorError | None] = lambda path: None
        self._cancelled = trio.Event()

    def acting_for(self, principal: Principal) -> FakeService:
        return self

    async def create(
        self,
        description: str,
        *,
        deadline_s: float | None = None,
        context_task_id: str | None = None,
    ) -> str:
        follows = (context_task_id,) if context_task_id else ()
        self.calls.append(("create", description, deadline_s, *follows))
        await self._answer("create")
        return TASK_ID

    async def lines(self, task_id: str, after: int = 0) -> AsyncGenerator[bytes, None]:
        await self._answer("lines")
        for number, line in enumerate(self.given, start=1):
            yield line
            self.on_line(number)
        if self.open_log is not None:
            await self._cancelled.wait()
            partial = self.open_log.events[-1]["data"].get("content")
            reason = self.calls[-1][2]
            self.open_log.add("task_cancelled", reason=reason, partial_output=partial)
            yield self.open_log.lines()[-1]

    async def status(self, task_id: str) -> dict[str, Any]:
        self.calls.append(("status", task_id))
        await self._answer("status")
        return {"task_id": task_id, "status": "pending"}

    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        self.calls.append(("cancel", task_id, reason))
        await self._answer("cancel")
        self._cancelled.set()
        return {"task_id": task_id, "status": "cancelled"}

    async def search(self, q: str, limit: int = 10) -> list[dict[str, Any]]:
        self.calls.append(("search", q, limit))
        await self._answer("search")
        return self.results

    async def add(self, path: Path) -> tuple[dict[str, Any], Outcome]:
        await trio.lowlevel.checkpoint()
        if error := self.on_add(path):
            raise error
        outcome = self._keep(path.read_bytes())
        self.calls.append(("add", path.name))
        return {"document_id": "d", "title": path.stem, "notes": []}, outcome

    async def add_page(self, page: Page) -> tuple[dict[str, Any], Outcome]:
        await trio.lowlevel.checkpoint()
        outcome = self._keep(page.body)
        self.calls.append(("add_page", page.url, page.media_type))
        return {"document_id": "d", "title": page.file_name, "notes": []}, outcome

    def _keep(self, content: bytes) -> Outcome:
        if content in self.library:
            return "unchanged"
        self.library.add(content)
        return "added"

    async def documents_from(self, source: str) -> list[dict[str, Any]]:
        await trio.lowlevel.checkpoint()
        return []

    async def forget_source(self, source: str) -> list[dict[str, Any]]:
        await trio.lowlevel.checkpoint()
        return []

    async def library_counts(self) -> dict[str, int]:
        await trio.lowlevel.checkpoint()
        return {"to_rebuild": self.outdated}

    async def _answer(self, verb: str) -> None:
        await trio.lowlevel.checkpoint()
        if verb in self.refusals:
            raise self.refusals[verb]


@asynccontextmanager
async def opened(service: FakeService) -> AsyncIterator[FakeService]:
    """A context manager around a service that is open already."""
    yield service


def answer_with(monkeypatch: pytest.MonkeyPatch, service: FakeService) -> FakeService:
    """Open `service` instead of the in-process system."""

    module = ModuleType("web.local")
    module.open_local = lambda settings: opened(service)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "web.local", module)
    return service
