"""The types of requests and answers, for validation, for rendering and for /openapi.json.

Rule: fields are only ever added. Limits of values are defined in `actors.tasks.limits`. `as_view`
makes every answer about an object, from the fields of its view type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actors.errors import InvalidRequest
from actors.library.documents import Added, Document
from actors.tasks import limits
from actors.tasks.life import FINAL, StepStatus, Task, TaskStatus
from actors.tasks.plan import StepKind


def _whole_number(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,15}", value):
        raise ValueError("must be a whole number, 0 or more")
    return value


_WHOLE = BeforeValidator(_whole_number)
"""Comes last in `Annotated`: /openapi.json shows a range only if it comes before."""

Seq = Annotated[int, Field(ge=0), _WHOLE]
Flag = Literal["true", "false"]
Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

# --- requests -----------------------------------------------------------------------------------


class JsonBody(BaseModel):
    """A JSON body: no value is converted, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A query string: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


def _check(check: Callable[..., None], *values: Any) -> None:
    """Call a check of `limits` in a validator, where pydantic expects a `ValueError`."""
    try:
        check(*values)
    except InvalidRequest as error:
        raise ValueError(error.message) from None


def _limit(name: str, description: str) -> Any:
    """The field of one limit of a budget."""
    least, most = next(limit[1:] for limit in limits.BUDGET_RANGES if limit[0] == name)
    return Field(None, ge=least, le=most, description=description)


class BudgetBody(JsonBody):
    """What a task may use. A limit that is not given is that of the settings."""

    tokens: int | None = _limit("tokens", "Tokens of language models.")
    steps: int | None = _limit("steps", "Steps of the plan.")
    output_bytes: int | None = _limit("output_bytes", "Text, in UTF-8.")


class NewTask(JsonBody):
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
        _check(limits.check_new_task, self.task_description, self.deadline_s, self.metadata)
        return self


class NewPage(JsonBody):
    """A web page to fetch into the library. Its URL is its source."""

    url: str = Field(
        min_length=1,
        max_length=4_096,
        description="http:// or https://",
        json_schema_extra={"format": "uri"},
    )


class CancelBody(JsonBody):
    """Why a task is cancelled."""

    reason: str | None = Field(None, max_length=limits.MAX_REASON)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        _check(limits.check_text, self.reason or "", "reason", limits.MAX_REASON)
        return self


class NoBody(JsonBody):
    """Routes that read no body."""


class NoQuery(Query):
    """Routes that read no query string."""


class ExecuteQuery(Query):
    """The seq to stream from, and what a lost connection does."""

    after: Seq = 0
    on_disconnect: Literal["continue", "cancel"] = "continue"


class RetryQuery(Query):
    """`after` defaults to the seq of the last ending."""

    after: Seq | None = None
    on_disconnect: Literal["continue", "cancel"] = "continue"


class EventsQuery(Query):
    """The seq to stream from, and whether to wait for more events."""

    after: Seq = 0
    follow: Flag = "true"


class PageQuery(Query):
    """Which page of a list to answer."""

    limit: Annotated[int, Field(ge=1, le=200), _WHOLE] = 50
    cursor: str | None = None


class DocumentsQuery(PageQuery):
    """Which documents to list: all, or those from this source or from below it (a folder)."""

    source: str | None = Field(None, min_length=1, max_length=4_096)


class SourceQuery(Query):
    """The source, as it was given with the document, of which nothing comes any more."""

    source: str = Field(min_length=1, max_length=4_096)


class TasksQuery(PageQuery):
    """Which tasks to list."""

    status: TaskStatus | None = None


class NewDocumentQuery(Query):
    """`source` is where the bytes come from; later bytes of the same source replace them."""

    title: str | None = Field(None, max_length=1_000)
    source: str | None = Field(None, max_length=4_096)


class SearchQuery(Query):
    """What to search the library for."""

    q: str = Field(min_length=1, max_length=limits.MAX_DESCRIPTION)
    limit: Annotated[int, Field(ge=1, le=100), _WHOLE] = 10


# --- answers ------------------------------------------------------------------------------------


class ErrorView(BaseModel):
    """A stable code and a sentence for people."""

    code: str
    message: str


class CreatedTask(BaseModel):
    """The answer to creating a task."""

    task_id: Id
    status: Literal["pending"]
    created_at: Time


class StepView(BaseModel):
    """One step of a task."""

    step_id: str
    step: StepKind
    agent_type: str
    description: str
    depends_on: list[str]
    status: StepStatus
    attempts: int
    started_at: Time | None
    finished_at: Time | None
    error: ErrorView | None


class UsageView(BaseModel):
    """The tokens that a task has used, and their cost in the currency of the price table.

    `estimated`: a model server did not count some of the tokens, which are estimated instead.
    """

    input_tokens: int
    output_tokens: int
    cost: float
    estimated: bool


class TaskSummary(BaseModel):
    """A task as lists show it."""

    task_id: Id
    status: TaskStatus
    task_description: str
    created_at: Time
    updated_at: Time
    last_seq: int
    run: int
    error: ErrorView | None
    degraded: bool
    deadline_s: float | None
    metadata: dict[str, str]


class TaskView(TaskSummary):
    """A whole task. The last three fields are left out where they are empty."""

    steps: list[StepView]
    final_output: str | None
    partial_output: str | None
    context_task_id: Id | None = None
    budget: BudgetBody | None = None
    usage: UsageView | None = None


class TaskList(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[TaskSummary]
    next_cursor: str | None


class AgentView(BaseModel):
    """An agent and its figures. `problem` says why it is unavailable, as a tool whose server is down."""

    name: str
    description: str
    state: Literal["running", "unavailable", "restarting", "stopped"]
    mailbox_depth: int
    mailbox_capacity: int
    in_flight: int
    concurrency: int
    restarts: int
    retries: int
    problem: str | None


class AgentList(BaseModel):
    """All agents."""

    agents: list[AgentView]


class DocumentView(BaseModel):
    """A document of the library; `sample` if it belongs to the sample library of Terzetto.

    `name` is its URL, or the end of its path; "" if it has none. `notes` are sentences about what was
    left out or could not be read.
    """

    document_id: Id
    title: str
    name: str
    media_type: str
    bytes: int
    sha256: str
    passages: int
    created_at: Time
    sample: bool
    notes: list[str]


class AddedDocumentView(DocumentView):
    """A document that was added, or was there.

    `updated`: it was there, but was parsed again, because an older parser had read it. `replaced`:
    other bytes came from the same source before.
    """

    updated: bool = False
    replaced: bool = False


class SourcedDocumentView(DocumentView):
    """A document with all its sources; `uploaded` if it was also added without one."""

    sources: list[str]
    uploaded: bool


class DocumentList(BaseModel):
    """A page of documents, newest first."""

    documents: list[SourcedDocumentView | DocumentView]
    next_cursor: str | None


class AddedDocuments(BaseModel):
    """The answer to a multipart upload."""

    documents: list[AddedDocumentView]


class RemovedDocuments(BaseModel):
    """The documents that nothing holds any more, as they were."""

    documents: list[DocumentView]


class PassageView(BaseModel):
    """A passage that matches a search; `position` is its number in the document, from 1.

    `start` and `end` are its place in the text of the document, in characters.
    """

    document_id: Id
    title: str
    section: str
    position: int
    start: int
    end: int
    text: str
    score: float


class SearchResults(BaseModel):
    """The best matches, best first."""

    results: list[PassageView]


class LibraryHealth(BaseModel):
    """Counts of the library: excerpts with a vector, documents that should be sent again.

    `problem` says why the library cannot be read, or what is wrong with its encoder.
    """

    documents: int = 0
    excerpts: int = 0
    encoded: int = 0
    to_rebuild: int = 0
    problem: str | None = None


class Health(BaseModel):
    """The state of the server, its gauges and its library."""

    status: Literal["ok", "draining"]
    version: str
    gauges: dict[str, int]
    library: LibraryHealth


class Alive(BaseModel):
    """The server answers."""

    status: Literal["ok"]


class Heartbeat(BaseModel):
    """A line after a time without events; it is not in the log."""

    event_type: Literal["heartbeat"]
    task_id: Id
    timestamp: Time
    data: dict[str, Any]


class ClosingData(BaseModel):
    """Why the server ends a stream, and the seq to come back with, if there is one."""

    reason: Literal["draining", "storage", "deleted", "unauthorized"]
    resume_after: int | None


class StreamClosing(BaseModel):
    """The last line of a stream that the server ends early; it is not in the log."""

    event_type: Literal["stream_closing"]
    task_id: Id
    timestamp: Time
    data: ClosingData


# --- from objects to answers --------------------------------------------------------------------


def as_view(view: type[BaseModel], source: object, **derived: Any) -> dict[str, Any]:
    """The fields of a view: the attributes of `source`, or what is `derived` from them."""
    names, values_of = _fields(view)
    return dict(zip(names, values_of(source), strict=True)) | derived


@cache
def _fields(view: type[BaseModel]) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    names = tuple(view.model_fields)
    return names, attrgetter(*names)


def _optional(view: type[BaseModel], value: object) -> dict[str, Any] | None:
    """A nested object. An empty budget or usage is None."""
    return as_view(view, value) if value else None


def task_summary(task: Task, view: type[TaskSummary] = TaskSummary) -> dict[str, Any]:
    """A `TaskSummary` of this task."""
    error = _optional(ErrorView, task.error) if task.status in FINAL else None
    # A task that was never queued shows its first run.
    return as_view(view, task, run=max(task.run, 1), error=error, metadata=dict(task.metadata))


def document_view(document: Document) -> dict[str, Any]:
    """A `DocumentView` of this document."""
    return as_view(DocumentView, document, notes=list(document.notes))


def added_view(added: Added) -> dict[str, Any]:
    """An `AddedDocumentView`."""
    done = {"updated": added.updated, "replaced": added.replaced}
    return document_view(added.document) | {name: True for name, is_so in done.items() if is_so}


def sourced_view(document: Document) -> dict[str, Any]:
    """A `SourcedDocumentView` of this document."""
    shown = document_view(document)
    return shown | {"sources": list(document.sources), "uploaded": document.uploaded}


def task_view(task: Task) -> dict[str, Any]:
    """A `TaskView` of this task."""
    shown = task_summary(task, TaskView)
    shown["steps"] = [
        as_view(
            StepView,
            step,
            depends_on=list(step.depends_on),
            error=_optional(ErrorView, step.error),
        )
        for step in task.steps.values()
    ]
    shown["budget"] = _optional(BudgetBody, task.budget)
    shown["usage"] = _optional(UsageView, task.usage)
    for name in ("context_task_id", "budget", "usage"):
        if not shown[name]:
            del shown[name]
    return shown
