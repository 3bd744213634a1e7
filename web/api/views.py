"""The forms of requests and answers, as types: what is checked, sent, and told by /openapi.json.

Rule: fields are only ever added. What a request may hold is decided in `actors.tasks.limits`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actors.errors import InvalidRequest
from actors.system import AgentInfo
from actors.tasks import limits
from actors.tasks.life import FINAL, Task
from actors.tasks.plan import MAX_STEPS

Status = Literal["pending", "queued", "executing", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "retrying", "completed", "failed", "cancelled"]
StepKind = Literal["analysis", "retrieval", "synthesis", "writing"]


def _whole_number(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,15}", value):
        raise ValueError("must be a whole number, 0 or more")
    return value


_WHOLE = BeforeValidator(_whole_number)
"""Stands last: /openapi.json tells of a range only if it stands before."""

Seq = Annotated[int, Field(ge=0), _WHOLE]
Flag = Literal["true", "false"]

# --- requests -----------------------------------------------------------------------------------


class Body(BaseModel):
    """A JSON body: nothing is converted, nothing unknown passes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A query string: nothing unknown passes."""

    model_config = ConfigDict(extra="forbid")


class BudgetBody(Body):
    """What a task may use. What is not given is as the settings say."""

    tokens: int | None = Field(None, ge=0, le=10**9, description="Tokens of language models.")
    steps: int | None = Field(None, ge=4, le=MAX_STEPS, description="Steps of the plan.")
    output_bytes: int | None = Field(None, ge=1_024, le=262_144, description="Text, in UTF-8.")


class NewTask(Body):
    """A task to create."""

    task_description: str = Field(
        min_length=1, max_length=limits.MAX_DESCRIPTION, description="The task in plain words."
    )
    deadline_s: float | None = Field(
        None,
        ge=limits.MIN_DEADLINE_S,
        le=limits.MAX_DEADLINE_S,
        description="Seconds the task may take, counted from its start.",
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        max_length=limits.MAX_METADATA,
        description="Strings of your own, at most 4 KiB in all.",
    )

    context_task_id: str | None = Field(
        None,
        max_length=limits.MAX_KEY,
        description="A completed task to follow up: its report and sources are evidence.",
    )
    budget: BudgetBody | None = Field(None, description="What it may use, besides time.")

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        try:
            limits.check_new_task(self.task_description, self.deadline_s, self.metadata)
        except InvalidRequest as error:
            raise ValueError(error.message) from None
        return self


class NewPage(Body):
    """A web page to fetch into the library. Its URL is its source."""

    url: str = Field(min_length=1, max_length=4_096, description="http:// or https://")


class CancelBody(Body):
    """Why a task is cancelled."""

    reason: str | None = Field(None, max_length=limits.MAX_REASON)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        try:
            limits.check_text(self.reason or "", "reason", limits.MAX_REASON)
        except InvalidRequest as error:
            raise ValueError(error.message) from None
        return self


class NoBody(Body):
    """Routes that read no body."""


class NoQuery(Query):
    """Routes that read no query string."""


class ExecuteQuery(Query):
    """From which seq on to stream, and what a lost connection means."""

    after: Seq = 0
    on_disconnect: Literal["continue", "cancel"] = "continue"


class RetryQuery(Query):
    """`after` defaults to the seq of the last ending."""

    after: Seq | None = None
    on_disconnect: Literal["continue", "cancel"] = "continue"


class EventsQuery(Query):
    """From which seq on to stream, and whether to wait for more."""

    after: Seq = 0
    follow: Flag = "true"


class TasksQuery(Query):
    """Which tasks to list."""

    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=200), _WHOLE] = 50
    cursor: str | None = None


class DocumentsQuery(Query):
    """Which documents to list."""

    limit: Annotated[int, Field(ge=1, le=200), _WHOLE] = 50
    cursor: str | None = None


class NewDocumentQuery(Query):
    """`source` says where the bytes come from: later bytes from there take their place."""

    title: str | None = Field(None, max_length=1_000)
    source: str | None = Field(None, max_length=4_096)


class SearchQuery(Query):
    """What to look for in the library."""

    q: str = Field(min_length=1, max_length=limits.MAX_DESCRIPTION)
    limit: Annotated[int, Field(ge=1, le=100), _WHOLE] = 10


# --- answers ------------------------------------------------------------------------------------


class ErrorView(BaseModel):
    """A stable code and a sentence for people."""

    code: str
    message: str


class CreatedTask(BaseModel):
    """The answer to creating a task."""

    task_id: str
    status: Literal["pending"]
    created_at: str


class StepView(BaseModel):
    """One step of a task."""

    step_id: str
    step: StepKind
    agent_type: str
    description: str
    depends_on: list[str]
    status: StepStatus
    attempts: int
    started_at: str | None
    finished_at: str | None
    error: ErrorView | None


class UsageView(BaseModel):
    """What a task has used of language models; the cost in the currency of the price table.

    `estimated`: no server has counted some of it, so that part is guessed from the text.
    """

    input_tokens: int
    output_tokens: int
    cost: float
    estimated: bool


class TaskSummary(BaseModel):
    """A task as lists show it."""

    task_id: str
    status: Status
    task_description: str
    created_at: str
    updated_at: str
    last_seq: int
    run: int
    error: ErrorView | None
    degraded: bool
    deadline_s: float | None
    metadata: dict[str, str]


class TaskView(TaskSummary):
    """A task as a whole. The last three are left out where there is nothing to tell."""

    steps: list[StepView]
    final_output: str | None
    partial_output: str | None
    context_task_id: str | None = None
    budget: BudgetBody | None = None
    usage: UsageView | None = None


class TaskList(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[TaskSummary]
    next_cursor: str | None


class AgentView(BaseModel):
    """An agent and its figures."""

    name: str
    description: str
    state: Literal["running", "restarting", "stopped"]
    mailbox_depth: int
    mailbox_capacity: int
    in_flight: int
    concurrency: int
    restarts: int
    retries: int


class AgentList(BaseModel):
    """All agents."""

    agents: list[AgentView]


class DocumentView(BaseModel):
    """A document of the library; `sample` if it belongs to the sample that ships with Terzetto."""

    document_id: str
    title: str
    media_type: str
    bytes: int
    sha256: str
    passages: int
    created_at: str
    sample: bool


class DocumentList(BaseModel):
    """A page of documents, newest first."""

    documents: list[DocumentView]
    next_cursor: str | None


class AddedDocuments(BaseModel):
    """The answer to a multipart upload."""

    documents: list[DocumentView]


class PassageView(BaseModel):
    """A passage that matches a search; `position` is its number in the document, from 1."""

    document_id: str
    title: str
    section: str
    position: int
    text: str
    score: float


class SearchResults(BaseModel):
    """The passages that match best, best first."""

    results: list[PassageView]


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok", "draining"]
    version: str
    gauges: dict[str, int]


class Alive(BaseModel):
    """The server answers."""

    status: Literal["ok"]


class EventLine(BaseModel):
    """One line of a stream; heartbeat and stream_closing lines have no seq."""

    seq: int | None = None
    event_type: str
    task_id: str
    timestamp: str
    data: dict[str, Any]


class ProblemFault(BaseModel):
    """One thing that is wrong with the input."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    errors: list[ProblemFault] | None = None


def task_summary(task: Task) -> dict[str, Any]:
    """A `TaskSummary` of this task."""
    return {
        "task_id": task.task_id,
        "status": task.status,
        "task_description": task.task_description,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "last_seq": task.last_seq,
        "run": max(task.run, 1),  # The first one, before it has begun.
        "error": _error(task.error) if task.status in FINAL else None,
        "degraded": task.degraded,
        "deadline_s": task.deadline_s,
        "metadata": dict(task.metadata),
    }


def _seldom(task: Task) -> dict[str, Any]:
    """What only some tasks have."""
    found: dict[str, Any] = {}
    if task.context_task_id is not None:
        found["context_task_id"] = task.context_task_id
    if task.budget:
        found["budget"] = asdict(task.budget)
    if task.usage:
        found["usage"] = asdict(task.usage)
    return found


def task_view(task: Task) -> dict[str, Any]:
    """A `TaskView` of this task."""
    steps = [
        {
            "step_id": step.step_id,
            "step": step.step,
            "agent_type": step.agent_type,
            "description": step.description,
            "depends_on": list(step.depends_on),
            "status": step.status,
            "attempts": step.attempts,
            "started_at": step.started_at,
            "finished_at": step.finished_at,
            "error": _error(step.error),
        }
        for step in task.steps.values()
    ]
    texts = {"final_output": task.final_output, "partial_output": task.partial_output}
    return {**task_summary(task), "steps": steps, **texts, **_seldom(task)}


def agent_view(agent: AgentInfo) -> dict[str, Any]:
    """An `AgentView` of this agent."""
    return {name: getattr(agent, name) for name in AgentView.model_fields}


def _error(error: Any) -> dict[str, str] | None:
    return {"code": error.code, "message": error.message} if error else None


def to_json(value: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
