"""The events of a task, and their one encoding: the NDJSON line that every client reads.

Rule: an event is encoded once and its bytes are kept for ever. Fields are only ever added, and
`decode` accepts every form that was ever released: unknown fields are passed over, missing ones
take their default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic_core import to_json

from actors.tasks.evidence import Source
from actors.tasks.failure import Failure
from actors.tasks.plan import PlannedStep, StepKind


class Event:
    """Something that has happened to a task."""

    __slots__ = ()
    event_type: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class TaskCreated(Event):
    event_type: ClassVar[str] = "task_created"
    task_description: str
    deadline_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskQueued(Event):
    """`position`: how many tasks are ahead in the queue; 0: it starts at once."""

    event_type: ClassVar[str] = "task_queued"
    position: int
    run: int


@dataclass(frozen=True, slots=True)
class TaskStarted(Event):
    event_type: ClassVar[str] = "task_started"
    run: int


@dataclass(frozen=True, slots=True)
class TaskResumed(Event):
    event_type: ClassVar[str] = "task_resumed"
    reason: Literal["restart", "retry"]
    kept_steps: tuple[str, ...]
    run: int


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """One attempt begins. `attempt` counts from 1 over the whole log."""

    event_type: ClassVar[str] = "step_started"
    step_id: str
    step: StepKind
    step_number: int
    total_steps: int | None
    agent_type: str
    description: str
    attempt: int


@dataclass(frozen=True, slots=True)
class PlanCreated(Event):
    event_type: ClassVar[str] = "plan_created"
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class PartialOutput(Event):
    event_type: ClassVar[str] = "partial_output"
    step_id: str
    step: StepKind
    attempt: int
    content: str


@dataclass(frozen=True, slots=True)
class StepRetrying(Event):
    event_type: ClassVar[str] = "step_retrying"
    step_id: str
    step: StepKind
    attempt: int
    next_attempt: int
    delay_s: float
    error: Failure


@dataclass(frozen=True, slots=True)
class StepCompleted(Event):
    """`error` says why a degraded step is degraded; `result` is a short summary for people."""

    event_type: ClassVar[str] = "step_completed"
    step_id: str
    step: StepKind
    attempt: int
    duration_s: float
    degraded: bool = False
    error: Failure | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    status: Literal["completed"] = "completed"


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    event_type: ClassVar[str] = "step_failed"
    step_id: str
    step: StepKind
    attempts: int
    error: Failure


@dataclass(frozen=True, slots=True)
class TaskCompleted(Event):
    event_type: ClassVar[str] = "task_completed"
    final_output: str
    total_steps: int
    degraded: bool
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class TaskFailed(Event):
    event_type: ClassVar[str] = "task_failed"
    error: Failure
    step_id: str | None
    partial_output: str | None


@dataclass(frozen=True, slots=True)
class TaskCancelled(Event):
    event_type: ClassVar[str] = "task_cancelled"
    reason: str | None
    partial_output: str | None


AnyEvent: TypeAlias = (
    TaskCreated
    | TaskQueued
    | TaskStarted
    | TaskResumed
    | StepStarted
    | PlanCreated
    | PartialOutput
    | StepRetrying
    | StepCompleted
    | StepFailed
    | TaskCompleted
    | TaskFailed
    | TaskCancelled
)

EVENTS: dict[str, type[Event]] = {kind.event_type: kind for kind in Event.__subclasses__()}
"""Every type of event by its name on the wire."""

ENDINGS = (TaskCompleted, TaskFailed, TaskCancelled)
"""The events that end a run; each run has exactly one."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with its place in a task's log: `seq` from 1, `timestamp` in RFC 3339, UTC."""

    seq: int
    task_id: str
    timestamp: str
    event: Event

    @property
    def event_type(self) -> str:
        """Its name on the wire."""
        return self.event.event_type

    @property
    def data(self) -> dict[str, Any]:
        """Its fields as they stand on the wire."""
        data: dict[str, Any] = json.loads(self.line())["data"]
        return data

    def line(self) -> bytes:
        """The NDJSON line, its newline included."""
        return encode_line(
            {
                "seq": self.seq,
                "event_type": self.event.event_type,
                "task_id": self.task_id,
                "timestamp": self.timestamp,
                "data": self.event,
            }
        )


# Some readers of lines, JavaScript's and Python's among them, end a line at these three as well.
_ESCAPED = {c.encode(): f"\\u{ord(c):04x}".encode() for c in "\x85\u2028\u2029"}


def encode_line(value: Mapping[str, Any]) -> bytes:
    """One line of NDJSON in UTF-8. Text must be free of lone surrogates."""
    line = to_json(value)
    if not line.isascii():
        for character, escape in _ESCAPED.items():
            line = line.replace(character, escape)
    return line + b"\n"


_NESTED: dict[str, Callable[[Any], Any]] = {
    "error": lambda raw: _construct(Failure, raw),
    "steps": lambda raw: tuple(_construct(PlannedStep, step) for step in raw),
    "sources": lambda raw: tuple(_construct(Source, source) for source in raw),
    "depends_on": tuple,
    "kept_steps": tuple,
}


def decode(line: bytes | str) -> Stamped:
    """The event of a line that `Stamped.line` wrote, in this release or an earlier one."""
    raw = json.loads(line)
    event = _construct(EVENTS[raw["event_type"]], raw["data"])
    return Stamped(raw["seq"], raw["task_id"], raw["timestamp"], event)


def _construct(kind: type[Any], raw: Any) -> Any:
    if raw is None:
        return None
    known: dict[str, Any] = {}
    for place in fields(kind):
        if place.name in raw:
            value = raw[place.name]
            nested = _NESTED.get(place.name)
            known[place.name] = nested(value) if nested and value is not None else value
        elif place.default is MISSING and place.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} has no {place.name}")
    return kind(**known)
