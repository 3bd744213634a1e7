"""The messages: requests to the agents and to the supervisor.

Rule: a message is data. A request is imperative and names its reply.
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
    """Make a plan for this task. `key` is "task_id/step_id", the same for all attempts.

    `about` is the description of the task that this one follows up. `tokens_left` bounds the tokens
    of language models (None: no bound); `meter` counts those used. `tool_options` are the tools and
    plugins that the plan may call besides the library. `last_attempt`: a failure is not retried.
    """

    key: str
    task_description: str
    about: str = ""
    tokens_left: int | None = None
    tool_options: tuple[ToolOption, ...] = ()
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)
    last_attempt: bool = True


@dataclass(frozen=True, slots=True)
class Retrieve(Request[Evidence]):
    """Find passages on this question in the library and in the pages at `urls` that the task names.

    The library is read as the task's `owner` sees it; None: only what is shared.
    """

    key: str
    question: Question
    urls: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class CallTool(Request[Evidence]):
    """Call the tool or plugin that plans know by `name`, with these arguments."""

    key: str
    name: str
    question: Question
    arguments: Mapping[str, Any]
    task_description: str


@dataclass(frozen=True, slots=True)
class Synthesize(Request[Findings]):
    """Choose from the evidence what answers the task. One `Evidence` per question of the plan.

    `context` holds the passages of the task that this one follows up.
    """

    key: str
    task_description: str
    plan: Plan
    evidence: tuple[Evidence, ...]
    context: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Write(StreamRequest[str, Report]):
    """Write the report. The parts, joined, are its text.

    `kept` is the text of the last attempt if this one continues it: the parts then follow that text.
    Only a writer that can continue gets it. `meter` and `last_attempt` are as in `Analyze`.
    """

    key: str
    task_description: str
    plan: Plan
    findings: Findings
    kept: str = ""
    tokens_left: int | None = None
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)
    last_attempt: bool = True


# --- To any part of the system ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ping(Request[None]):
    """Answered at once by an actor that works."""


# --- To the supervisor --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create(Request[Task]):
    """Create a task, pending, that belongs to `owner`.

    The same `idempotency_key` of the same owner with the same values gives the same task.
    """

    must_finish: ClassVar[bool] = True

    task_description: str
    deadline_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    context_task_id: str | None = None
    budget: Budget = NO_BUDGET
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Execute(Request[Task]):
    """Start a pending task; the reply is the task as queued. A task in another state is unchanged."""

    must_finish: ClassVar[bool] = True

    task_id: str


@dataclass(frozen=True, slots=True)
class Retry(Request[Task]):
    """Resume a failed or cancelled task. The reply is the task as queued again."""

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
    """Resume what the last process left; sent once, at the start. The reply counts the tasks."""


@dataclass(frozen=True, slots=True)
class Drain(Request[None]):
    """Refuse new work, let running steps go on for `grace_s` seconds, then stop the runs.

    Their tasks stay executing in the log, and go on at the next start.
    """

    control: ClassVar[bool] = True

    grace_s: float
