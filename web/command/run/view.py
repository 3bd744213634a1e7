"""What a person sees of a task: its events, folded into a plan with states, times and text.

Rule: `RunView.apply` is a pure fold over event dicts: no clock, no I/O, and what it does not know it
passes over. Resuming, retrying and attaching late all come out the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Event = dict[str, Any]

RUNNING = frozenset({"running", "retrying"})


@dataclass(slots=True)
class StepView:
    """One step. `notes` tells what went wrong on its way, oldest first."""

    step_id: str
    step: str = ""
    agent_type: str = ""
    description: str = ""
    depends_on: tuple[str, ...] = ()
    state: str = "pending"
    attempts: int = 0
    started_at: datetime | None = None
    duration_s: float | None = None
    degraded: bool = False
    notes: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RunView:
    """A task so far. `text` is what the writing has come to, `error` why it failed, if it did."""

    task_id: str = ""
    description: str = ""
    state: str = "pending"
    run: int = 0
    seq: int = 0
    steps: dict[str, StepView] = field(default_factory=dict)
    has_plan: bool = False
    text: str = ""
    writing_attempt: int = 0
    degraded: bool = False
    sources: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    reason: str | None = None
    closing: str | None = None
    created_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def elapsed_s(self) -> float | None:
        """From the task's creation to its last event."""
        if self.created_at is None or self.last_at is None:
            return None
        return (self.last_at - self.created_at).total_seconds()

    @property
    def ended(self) -> bool:
        """Whether the last run has come to its end."""
        return self.state in ("completed", "failed", "cancelled")

    def apply(self, event: Event) -> None:
        """Take in one event. Lines without a seq change nothing but `closing`."""
        data = event.get("data") or {}
        if "seq" not in event:
            if event["event_type"] == "stream_closing":
                self.closing = data.get("reason")
            return
        self.seq, self.closing = event["seq"], None
        self.task_id = event["task_id"]
        self.last_at = datetime.fromisoformat(event["timestamp"])
        self.created_at = self.created_at or self.last_at
        if event["event_type"] in _FOLDS:
            _FOLDS[event["event_type"]](self, data)

    def _created(self, data: Event) -> None:
        self.description = data["task_description"]

    def _queued(self, data: Event) -> None:
        self.state, self.run = "queued", data.get("run", self.run)
        self.error = self.reason = None

    def _started(self, data: Event) -> None:
        self.state, self.run = "executing", data.get("run", self.run)
        self.error = self.reason = None
        for step in self.steps.values():  # A resumed run starts its unfinished steps again.
            if step.state != "completed":
                step.state = "pending"

    def _planned(self, data: Event) -> None:
        self.has_plan = True
        ordered = {}
        for planned in data["steps"]:
            step = ordered[planned["step_id"]] = self._step(planned)
            step.depends_on = tuple(planned["depends_on"])
        self.steps = ordered

    def _step_started(self, data: Event) -> None:
        step = self._step(data)
        step.state, step.attempts = "running", data["attempt"]
        step.started_at, step.duration_s = self.last_at, None

    def _part(self, data: Event) -> None:
        if data["attempt"] != self.writing_attempt:
            self.writing_attempt = data["attempt"]
            if not data.get("continues"):
                self.text = ""
        self.text += data["content"]

    def _retrying(self, data: Event) -> None:
        step = self._step(data)
        step.state = "retrying"
        again = f"again in {data['delay_s']:g} s" if data["delay_s"] else "again at once"
        step.notes.append(f"attempt {data['attempt']}: {_told(data['error'])}; {again}")

    def _step_completed(self, data: Event) -> None:
        step = self._step(data)
        step.state, step.duration_s = "completed", data.get("duration_s")
        step.degraded = bool(data.get("degraded"))
        step.result = data.get("result") or {}
        if step.degraded:
            self.degraded = True
            step.notes.append(f"degraded: {_told(data.get('error'))}")

    def _step_failed(self, data: Event) -> None:
        step = self._step(data)
        step.state, step.attempts = "failed", data.get("attempts", step.attempts)
        step.notes.append(f"failed: {_told(data['error'])}")

    def _completed(self, data: Event) -> None:
        self.state, self.text = "completed", data["final_output"]
        self.sources, self.degraded = data.get("sources", []), bool(data.get("degraded"))

    def _failed(self, data: Event) -> None:
        self.state, self.error = "failed", data["error"]
        self._stop(data)

    def _cancelled(self, data: Event) -> None:
        self.state, self.reason = "cancelled", data.get("reason")
        self._stop(data)

    def _stop(self, data: Event) -> None:
        if data.get("partial_output") is not None:
            self.text = data["partial_output"]
        for step in self.steps.values():
            if step.state in RUNNING:
                step.state = "cancelled"

    def _step(self, data: Event) -> StepView:
        step = self.steps.setdefault(data["step_id"], StepView(data["step_id"]))
        step.step = data.get("step", step.step)
        step.agent_type = data.get("agent_type", step.agent_type)
        step.description = data.get("description", step.description)
        return step


def kept(view: RunView) -> str:
    """What a task that did not complete leaves: "the plan, 2 of 3 searches, 1,204 characters"."""
    parts = ["the plan"] if view.has_plan else []
    searches = [step for step in view.steps.values() if step.step == "retrieval"]
    if searches:
        done = sum(step.state == "completed" for step in searches)
        parts.append(f"{done} of {len(searches)} {'search' if len(searches) == 1 else 'searches'}")
    if any(step.step == "synthesis" and step.state == "completed" for step in view.steps.values()):
        parts.append("the findings")
    if view.text:
        parts.append(f"{len(view.text):,} characters of text")
    return ", ".join(parts) or "the task itself"


def _told(error: dict[str, Any] | None) -> str:
    if not error:
        return "for an unknown reason"
    return f"{error['message']} [{error['code']}]"


_FOLDS = {
    "task_created": RunView._created,
    "task_queued": RunView._queued,
    "task_started": RunView._started,
    "task_resumed": RunView._started,
    "plan_created": RunView._planned,
    "step_started": RunView._step_started,
    "partial_output": RunView._part,
    "step_retrying": RunView._retrying,
    "step_completed": RunView._step_completed,
    "step_failed": RunView._step_failed,
    "task_completed": RunView._completed,
    "task_failed": RunView._failed,
    "task_cancelled": RunView._cancelled,
}
