"""The events of a task, and their one encoding: the NDJSON line that every client reads.

Rule: an event is encoded once and its bytes never change. Fields are only ever added, and `decode`
accepts every released form: it skips unknown fields, and missing ones take their default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic_core import to_json

from actors.tasks.budget import Budget
from actors.tasks.evidence import Source
from actors.tasks.failure import Failure
from actors.tasks.plan import PlannedStep, StepKind
from actors.usage import Usage


class Event:
    """Something that happened to a task. Fields named in `seldom` are left out where empty."""

    __slots__ = ()
    event_type: ClassVar[str] = ""
    seldom: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class TaskCreated(Event):
    """`context_task_id`: the completed task that this one follows up. `owner`: whose task it is."""

    event_type: ClassVar[str] = "task_created"
    seldom: ClassVar[tuple[str, ...]] = ("context_task_id", "budget", "owner")
    task_description: str
    deadline_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    context_task_id: str | None = None
    budget: Budget | None = None
    owner: str | None = None


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
    """One attempt begins. `attempt` counts from 1 over the whole log.

    `continues`: it continues the text of the last attempt.
    """

    event_type: ClassVar[str] = "step_started"
    seldom: ClassVar[tuple[str, ...]] = ("continues",)
    step_id: str
    step: StepKind
    step_number: int
    total_steps: int | None
    agent_type: str
    description: str
    attempt: int
    continues: bool = False


@dataclass(frozen=True, slots=True)
class PlanCreated(Event):
    event_type: ClassVar[str] = "plan_created"
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class PartialOutput(Event):
    event_type: ClassVar[str] = "partial_output"
    seldom: ClassVar[tuple[str, ...]] = ("continues",)
    step_id: str
    step: StepKind
    attempt: int
    content: str
    continues: bool = False


@dataclass(frozen=True, slots=True)
class StepRetrying(Event):
    """`usage`: what the failed attempt used of language models."""

    event_type: ClassVar[str] = "step_retrying"
    seldom: ClassVar[tuple[str, ...]] = ("usage",)
    step_id: str
    step: StepKind
    attempt: int
    next_attempt: int
    delay_s: float
    error: Failure
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class StepCompleted(Event):
    """`error` says why the step is degraded; `result` is a short summary for people."""

    event_type: ClassVar[str] = "step_completed"
    seldom: ClassVar[tuple[str, ...]] = ("usage",)
    step_id: str
    step: StepKind
    attempt: int
    duration_s: float
    degraded: bool = False
    error: Failure | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    status: Literal["completed"] = "completed"
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    event_type: ClassVar[str] = "step_failed"
    seldom: ClassVar[tuple[str, ...]] = ("usage",)
    step_id: str
    step: StepKind
    attempts: int
    error: Failure
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class TaskCompleted(Event):
    """`usage` covers all runs; `citations` says how well the report keeps to its sources."""

    event_type: ClassVar[str] = "task_completed"
    seldom: ClassVar[tuple[str, ...]] = ("usage", "citations")
    final_output: str
    total_steps: int
    degraded: bool
    sources: tuple[Source, ...]
    usage: Usage | None = None
    citations: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class TaskFailed(Event):
    """`usage` covers all runs, stopped attempts included."""

    event_type: ClassVar[str] = "task_failed"
    seldom: ClassVar[tuple[str, ...]] = ("usage",)
    error: Failure
    step_id: str | None
    partial_output: str | None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class TaskCancelled(Event):
    """`usage` covers all runs, stopped attempts included."""

    event_type: ClassVar[str] = "task_cancelled"
    seldom: ClassVar[tuple[str, ...]] = ("usage",)
    reason: str | None
    partial_output: str | None
    usage: Usage | None = None


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

_FIELDS = {kind: [place.name for place in fields(kind)] for kind in EVENTS.values()}  # type: ignore[arg-type]  # Dataclasses.
_VALUES = {kind: attrgetter(*names, "event_type") for kind, names in _FIELDS.items()}

ENDINGS = (TaskCompleted, TaskFailed, TaskCancelled)
"""The events that end a run; each run has exactly one."""


class Stamped(NamedTuple):  # Made in half the time of a frozen dataclass.
    """An event at its place in a task's log: `seq` from 1, `timestamp` in RFC 3339, UTC."""

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
        """Its fields as on the wire."""
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
                "data": _shown(self.event),
            }
        )


def _shown(event: Event) -> dict[str, Any]:
    """The fields on the line: all but the empty ones of `seldom`."""
    kind = type(event)
    shown = dict(zip(_FIELDS[kind], _VALUES[kind](event), strict=False))
    for name in event.seldom:
        if not shown[name]:
            del shown[name]
    return shown


# Some line readers, in JavaScript and Python among others, also end a line at these three.
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
    "usage": lambda raw: _construct(Usage, raw),
    "budget": lambda raw: Budget(raw.get("tokens"), raw.get("steps"), raw.get("output_bytes")),
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
