"""The state of a task as `terzetto run` shows it, built from its events; and its words.

Rule: `RunView.apply` is a pure fold over event dicts: no clock and no I/O. It ignores unknown event
types. A task that is resumed, retried or attached to late gives the same view.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from web.terminal import one_line

Event = dict[str, Any]

RUNNING = frozenset({"running", "retrying"})
SILENT = frozenset({"partial_output", "heartbeat", "task_created"})
"""Event types without a progress line."""


@dataclass(slots=True)
class RunStep:
    """One step. `notes` are its retries and failures, oldest first."""

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
    """A task so far. `text` is the report as far as it is written, `error` why the task failed."""

    task_id: str = ""
    description: str = ""
    state: str = "pending"
    run: int = 0
    seq: int = 0
    steps: dict[str, RunStep] = field(default_factory=dict)
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
        """Whether the last run has ended."""
        return self.state in ("completed", "failed", "cancelled")

    def apply(self, event: Event) -> None:
        """Apply one event. Lines without a seq change only `closing`."""
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
        step.notes.append(f"attempt {data['attempt']}: {_error_text(data['error'])}; {again}")

    def _step_completed(self, data: Event) -> None:
        step = self._step(data)
        step.state, step.duration_s = "completed", data.get("duration_s")
        step.degraded = bool(data.get("degraded"))
        step.result = data.get("result") or {}
        if step.degraded:
            self.degraded = True
            step.notes.append(f"degraded: {_error_text(data.get('error'))}")

    def _step_failed(self, data: Event) -> None:
        step = self._step(data)
        step.state, step.attempts = "failed", data.get("attempts", step.attempts)
        step.notes.append(f"failed: {_error_text(data['error'])}")

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

    def _step(self, data: Event) -> RunStep:
        step = self.steps.setdefault(data["step_id"], RunStep(data["step_id"]))
        step.step = data.get("step", step.step)
        step.agent_type = data.get("agent_type", step.agent_type)
        step.description = data.get("description", step.description)
        return step


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


# --- The view in words --------------------------------------------------------------------------


def progress_line(event: Event, view: RunView) -> str | None:
    """The progress line for this event, which `view` has applied already; none if it has none."""
    kind, data = event["event_type"], event.get("data") or {}
    if kind in SILENT:
        return None
    if kind == "stream_closing":
        return f"the server closes the stream: {data.get('reason')}"
    if step := view.steps.get(data.get("step_id", "")):
        return _step_line(kind, data, step)
    match kind:
        case "task_queued":
            return f"queued, {data['position']} ahead of it" if data["position"] else None
        case "task_started":
            return f"started as task {view.task_id}"
        case "task_resumed":
            return f"resumed after a {data['reason']}; {_count(data['kept_steps'], 'step')} kept"
        case "plan_created":
            return f"plan: {_count(data['steps'], 'step')}"
        case _:
            return None


def _step_line(kind: str, data: Event, step: RunStep) -> str | None:
    match kind:
        case "step_started":
            name = one_line(f"{step.step_id} {step.step}: {step.description}", 100)
            return name if data["attempt"] == 1 else f"{name} (attempt {data['attempt']})"
        case "step_completed":
            result = f", {counts}" if (counts := result_counts(step)) else ""
            degraded = f"; {one_line(step.notes[-1])}" if step.degraded else ""
            return f"{step.step_id} done in {step.duration_s or 0:.2f} s{result}{degraded}"
        case "step_retrying" | "step_failed":
            return f"{step.step_id} {one_line(step.notes[-1])}"
        case _:
            return None


def result_counts(step: RunStep) -> str:
    """The counts in a step's result: "4 passages, 2 documents"."""
    counts = [
        f"{value} {(name.removesuffix('s') if value == 1 else name).replace('_', ' ')}"
        for name, value in step.result.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    return ", ".join(counts)


def summary_line(view: RunView) -> str:
    """How the task ended, in one line."""
    took = f" in {view.elapsed_s:.1f} s" if view.elapsed_s is not None else ""
    match view.state:
        case "completed":
            degraded = " (degraded)" if view.degraded else ""
            return f"Completed{took}{degraded}. Task {view.task_id}"
        case "failed":
            error = one_line(_error_text(view.error))
            return f"Failed{took}: {error}. Kept: {kept(view)}. Task {view.task_id}"
        case "cancelled":
            reason = f" ({one_line(view.reason)})" if view.reason else ""
            return f"Cancelled{took}{reason}. Kept: {kept(view)}. Task {view.task_id}"
        case _:
            why = view.closing or "disconnected"
            return f"The event stream ended early ({why}). Task {view.task_id}"


def retry_hint(view: RunView) -> str | None:
    """How to continue a failed or cancelled task; none for others."""
    if view.state not in ("failed", "cancelled"):
        return None
    return f"To continue it, run terzetto serve and send POST /tasks/{view.task_id}/retry."


def kept(view: RunView) -> str:
    """What is kept of a task that did not complete: "the plan, 2 of 3 searches"."""
    parts = ["the plan"] if view.has_plan else []
    searches = [step for step in view.steps.values() if step.step == "retrieval"]
    if searches:
        done = sum(step.state == "completed" for step in searches)
        parts.append(f"{done} of {_count(searches, 'search', 'searches')}")
    if any(step.step == "synthesis" and step.state == "completed" for step in view.steps.values()):
        parts.append("the findings")
    if view.text:
        parts.append(f"{len(view.text):,} characters of text")
    return ", ".join(parts) or "the task itself"


def _count(things: Sized, singular: str, plural: str = "") -> str:
    n = len(things)
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def _error_text(error: dict[str, Any] | None) -> str:
    if not error:
        return "unknown error"
    return f"{error['message']} [{error['code']}]"
