"""The messages: what is asked of agents and of the supervisor, and what they reply.

Rule: a message is data. Requests are imperative, and each names its reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from actors.runtime.request import Request, StreamRequest
from actors.tasks.budget import NO_BUDGET, Budget
from actors.tasks.evidence import Evidence, Findings, Passage, Report
from actors.tasks.life import Task
from actors.tasks.plan import Plan, Question
from actors.tasks.tool_options import ToolOption
from actors.usage import Meter


@dataclass(frozen=True, slots=True)
class Analyze(Request[Plan]):
    """Make a plan for this task. `key` is "task_id/step_id": stable over attempts.

    `about` is the description of the task that it follows up; of the tokens of language models
    `tokens_left` may be used, or any number, and `meter` is told of each; `tool_options` may be asked
    besides the library.
    """

    key: str
    task_description: str
    about: str = ""
    tokens_left: int | None = None
    tool_options: tuple[ToolOption, ...] = ()
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Retrieve(Request[Evidence]):
    """Find what the library has on this question, and the pages at `urls`, which the task names."""

    key: str
    question: Question
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallTool(Request[Evidence]):
    """Ask a tool_option, by the `name` that plans know it by, with these arguments."""

    key: str
    name: str
    question: Question
    arguments: Mapping[str, Any]
    task_description: str


@dataclass(frozen=True, slots=True)
class Synthesize(Request[Findings]):
    """Choose from the evidence what answers the task. One `Evidence` for each question of the plan.

    `context` is what the task that this one follows up has found.
    """

    key: str
    task_description: str
    plan: Plan
    evidence: tuple[Evidence, ...]
    context: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Write(StreamRequest[str, Report]):
    """Write the report. The parts, joined, are its text.

    `kept` is the text of the attempt before, if this one is to go on with it: then the parts follow
    that text. Only a writer that can go on is asked to. `meter` is as in `Analyze`.
    """

    key: str
    task_description: str
    plan: Plan
    findings: Findings
    kept: str = ""
    tokens_left: int | None = None
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)


# --- To any part of the system ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ping(Request[None]):
    """Are you there?"""


# --- To the supervisor --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create(Request[Task]):
    """A new task, pending. The same `idempotency_key` with the same values gives the same task."""

    must_finish: ClassVar[bool] = True

    task_description: str
    deadline_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    context_task_id: str | None = None
    budget: Budget = NO_BUDGET


@dataclass(frozen=True, slots=True)
class Execute(Request[Task]):
    """Start a pending task; the reply is the task as it was queued. Any other stays as it is."""

    must_finish: ClassVar[bool] = True

    task_id: str


@dataclass(frozen=True, slots=True)
class Retry(Request[Task]):
    """Let a failed or cancelled task go on. The reply is the task as it was queued again."""

    must_finish: ClassVar[bool] = True

    task_id: str


@dataclass(frozen=True, slots=True)
class Cancel(Request[Task]):
    """Stop a task. The reply comes when no agent works for it any more and its log says so."""

    control: ClassVar[bool] = True
    must_finish: ClassVar[bool] = True

    task_id: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Forget(Request[None]):
    """Delete a task that is pending or has ended, with its log."""

    must_finish: ClassVar[bool] = True

    task_id: str


@dataclass(frozen=True, slots=True)
class Recover(Request[int]):
    """Take up what the last process left; sent once, at the start. The reply counts the tasks."""


@dataclass(frozen=True, slots=True)
class Drain(Request[None]):
    """Refuse new work, let running steps go on for `grace_s` seconds, then stop the runs.

    Their tasks stay executing in the log, and go on at the next start.
    """

    control: ClassVar[bool] = True

    grace_s: float
