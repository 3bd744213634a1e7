"""The life of a task: a table of states and one pure function over it.

    pending --task_queued--> queued --task_started--> executing --> completed
       |                       |                          |-------> failed    --task_queued--> queued
       +--------------- task_cancelled -------------------+-------> cancelled --task_queued--> queued

Rule: every change of state happens in `evolve`, and `evolve` does no I/O. An illegal move raises
`IllegalMove` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, assert_never, cast

from actors.tasks import events as e
from actors.tasks.budget import NO_BUDGET, Budget
from actors.tasks.failure import Failure
from actors.tasks.plan import PlannedStep, StepKind
from actors.usage import NO_USAGE, Usage

TaskStatus = Literal["pending", "queued", "executing", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "retrying", "completed", "failed", "cancelled"]

FINAL: frozenset[TaskStatus] = frozenset({"completed", "failed", "cancelled"})

TASK_MOVES: Mapping[TaskStatus, Mapping[type[e.Event], TaskStatus]] = {
    "pending": {e.TaskQueued: "queued", e.TaskCancelled: "cancelled"},
    "queued": {
        e.TaskStarted: "executing",
        e.TaskResumed: "executing",
        e.TaskFailed: "failed",
        e.TaskCancelled: "cancelled",
    },
    "executing": {
        e.TaskResumed: "executing",
        e.StepStarted: "executing",
        e.PlanCreated: "executing",
        e.PartialOutput: "executing",
        e.StepRetrying: "executing",
        e.StepCompleted: "executing",
        e.StepFailed: "executing",
        e.TaskCompleted: "completed",
        e.TaskFailed: "failed",
        e.TaskCancelled: "cancelled",
    },
    "completed": {},
    "failed": {e.TaskQueued: "queued"},
    "cancelled": {e.TaskQueued: "queued"},
}

STEP_MOVES: Mapping[StepStatus, Mapping[type[e.Event], StepStatus]] = {
    "pending": {e.StepStarted: "running"},
    "running": {
        e.PartialOutput: "running",
        e.StepRetrying: "retrying",
        e.StepCompleted: "completed",
        e.StepFailed: "failed",
    },
    "retrying": {
        e.StepStarted: "running",
        e.StepCompleted: "completed",
        e.StepFailed: "failed",
    },
    "completed": {},
    "failed": {},
    "cancelled": {},
}

StepEvent: TypeAlias = (
    e.StepStarted | e.PartialOutput | e.StepRetrying | e.StepCompleted | e.StepFailed
)


T = TypeVar("T", "Task", "Step")


class IllegalMove(Exception):
    """An event that its task's state does not allow. A bug: the developer's move."""


@dataclass(frozen=True)  # Without slots, for `_changed`.
class Step:
    """A step of a task. `attempts` counts over the whole log, `tries` within this run."""

    step_id: str
    step: StepKind
    agent_type: str
    description: str
    depends_on: tuple[str, ...] = ()
    status: StepStatus = "pending"
    attempts: int = 0
    tries: int = 0
    started_at: str | None = None
    finished_at: str | None = None
    error: Failure | None = None


@dataclass(frozen=True)  # Without slots, for `_changed`.
class Task:
    """A task, folded from its log. `text` is the text of the latest writing attempt.

    `run_started_at` is the wall-clock time from which the run's deadline counts. `owner` is a name; None:
    the task belongs to nobody in particular.
    """

    task_id: str
    task_description: str
    created_at: str
    updated_at: str
    status: TaskStatus = "pending"
    last_seq: int = 1
    run: int = 0
    steps: Mapping[str, Step] = field(default_factory=dict)
    final_output: str | None = None
    text: str = ""
    kept_text: str | None = None
    error: Failure | None = None
    degraded: bool = False
    deadline_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    run_started_at: str | None = None
    context_task_id: str | None = None
    budget: Budget = NO_BUDGET
    usage: Usage = NO_USAGE
    owner: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.status in FINAL

    @property
    def partial_output(self) -> str | None:
        """The text of the latest writing attempt that wrote any; None once completed."""
        return None if self.status == "completed" else self.text or self.kept_text


def evolve(task: Task | None, stamped: e.Stamped) -> Task:
    """The task after one more event; `None` is the task before `task_created`."""
    event = stamped.event
    if task is None:
        if not isinstance(event, e.TaskCreated) or stamped.seq != 1:
            raise IllegalMove(f"{event.event_type} {stamped.seq} before the task was created")
        return Task(
            task_id=stamped.task_id,
            task_description=event.task_description,
            created_at=stamped.timestamp,
            updated_at=stamped.timestamp,
            deadline_s=event.deadline_s,
            metadata=event.metadata,
            context_task_id=event.context_task_id,
            budget=event.budget or NO_BUDGET,
            owner=event.owner,
        )
    status = TASK_MOVES[task.status].get(type(event))
    if status is None or stamped.seq != task.last_seq + 1:
        raise IllegalMove(
            f"{event.event_type} {stamped.seq} on a task that is {task.status} at {task.last_seq}"
        )
    changes = _changes(task, stamped)
    return _changed(
        task, status=status, last_seq=stamped.seq, updated_at=stamped.timestamp, **changes
    )


def _changed(old: T, **changes: Any) -> T:
    """As `dataclasses.replace`, in an eighth of its time, as all fields are copied at once."""
    new = object.__new__(type(old))
    object.__setattr__(new, "__dict__", vars(old) | changes)
    return new


def _changes(task: Task, stamped: e.Stamped) -> dict[str, Any]:
    event = cast("e.AnyEvent", stamped.event)
    match event:  # The most frequent first: the cases are tried in turn.
        case (
            e.PartialOutput()
            | e.StepStarted()
            | e.StepCompleted()
            | e.StepRetrying()
            | e.StepFailed()
        ):
            return _step_moved(task, event, stamped.timestamp)
        case e.TaskCreated():
            raise AssertionError("The table has no move for it.")
        case e.TaskQueued(run=run):
            return {"run": run, "error": None, "run_started_at": None}
        case e.TaskStarted():
            return {"run_started_at": stamped.timestamp}
        case e.TaskResumed():
            return _resumed(task, event, stamped.timestamp)
        case e.PlanCreated(steps=planned):
            return {"steps": _planned(task, planned)}
        case e.TaskCompleted(final_output=text, degraded=degraded):
            return {"final_output": text, "degraded": degraded}
        case e.TaskFailed(error=error, usage=usage):
            return {"error": error, "steps": _stopped(task), "usage": usage or task.usage}
        case e.TaskCancelled(usage=usage):
            return {"steps": _stopped(task), "usage": usage or task.usage}
        case _:
            assert_never(event)


def _step_moved(task: Task, event: StepEvent, at: str) -> dict[str, Any]:
    step = task.steps.get(event.step_id)
    if step is None and isinstance(event, e.StepStarted) and not task.steps:
        step = Step(event.step_id, event.step, event.agent_type, event.description)
    status = STEP_MOVES[step.status].get(type(event)) if step else None
    if step is None or status is None:
        raise IllegalMove(f"{event.event_type} on step {event.step_id}: {step and step.status}")
    changes: dict[str, Any] = {}
    moved: dict[str, Any]
    match event:
        case e.PartialOutput(content=content):
            return {"text": task.text + content}
        case e.StepStarted(attempt=attempt):
            began = step.started_at or at
            moved = {"attempts": attempt, "tries": step.tries + 1, "started_at": began}
            moved["finished_at"] = None
            if event.continues:
                changes = {"text": task.text or task.kept_text or ""}
            elif event.step == "writing":
                changes = {"kept_text": task.text or task.kept_text, "text": ""}
        case e.StepRetrying(error=error, usage=usage):
            moved = {"error": error}
            changes = _used(task, usage)
        case e.StepCompleted(error=error, degraded=degraded, usage=usage):
            moved = {"error": error, "finished_at": at}
            changes = {"degraded": task.degraded or degraded, **_used(task, usage)}
        case e.StepFailed(error=error, usage=usage):
            moved = {"error": error, "finished_at": at}
            changes = _used(task, usage)
        case _:
            assert_never(event)
    steps = {**task.steps, step.step_id: _changed(step, status=status, **moved)}
    return {"steps": steps, **changes}


def _used(task: Task, usage: Usage | None) -> dict[str, Any]:
    return {"usage": task.usage + usage} if usage else {}


def _planned(task: Task, planned: tuple[PlannedStep, ...]) -> dict[str, Step]:
    """All planned steps in their order. The running analysis keeps its state."""
    steps = {
        p.step_id: Step(p.step_id, p.step, p.agent_type, p.description, p.depends_on)
        for p in planned
    }
    return {**steps, **{key: step for key, step in task.steps.items() if key in steps}}


def _resumed(task: Task, event: e.TaskResumed, at: str) -> dict[str, Any]:
    """The steps at the start of a resumed run: completed ones stay as they are."""
    fresh = event.reason == "retry"
    steps = {}
    for key, step in task.steps.items():
        if step.status == "completed":
            pass
        elif fresh:
            step = _changed(step, status="pending", tries=0, finished_at=None, error=None)
        elif step.status == "running":
            step = _changed(step, status="retrying")
        steps[key] = step
    return {"steps": steps, "run_started_at": at if fresh else task.run_started_at}


def _stopped(task: Task) -> dict[str, Step]:
    """The run has ended: steps that have not finished are cancelled."""
    unfinished = ("pending", "running", "retrying")
    return {
        key: _changed(step, status="cancelled") if step.status in unfinished else step
        for key, step in task.steps.items()
    }
