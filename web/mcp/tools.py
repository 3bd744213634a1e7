"""What Terzetto offers to a client of the Model Context Protocol: its tools, over a `Service`.

Rule: every answer is bounded, and every refusal is an error result with our code and sentence. A task
that a call has started does not outlive the call: who cancels it, or goes away, cancels the task.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import mcp_types as types
import trio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.errors import ActorError, InvalidRequest, TaskNotFound
from actors.tasks.limits import MAX_DEADLINE_S, MAX_DESCRIPTION, MAX_REASON, MIN_DEADLINE_S
from web.data_folder import FolderHeld, FolderUnusable
from web.mcp.progress import Progress, Report
from web.ndjson import event_of, is_ending
from web.service import Service

MAX_TEXT = 60_000
"""Characters of a report that are answered; the rest can be had over HTTP."""
MAX_SOURCE_TEXT = 400
MAX_SOURCES = 64
MAX_FAULTS = 8
MAX_NAME = 100
CANCEL_S = 15.0
"""How long a call that is cancelled waits for its task to stop."""


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewTask(Arguments):
    task_description: str = Field(
        min_length=1, max_length=MAX_DESCRIPTION, description="What to do, in plain words."
    )
    deadline_s: float | None = Field(
        None,
        ge=MIN_DEADLINE_S,
        le=MAX_DEADLINE_S,
        description="Seconds that the whole task may take.",
    )


class OneTask(Arguments):
    task_id: str = Field(max_length=64, description="The id that create_task answered.")


class CancelledTask(OneTask):
    reason: str | None = Field(None, max_length=MAX_REASON, description="Why, for the log.")


class Search(Arguments):
    query: str = Field(min_length=1, max_length=1_000, description="Words to look for.")
    limit: int = Field(10, ge=1, le=50, description="How many passages, at most.")


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool: what it is called and says of itself, and what runs."""

    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Service, Any, Report], Awaitable[types.CallToolResult]]
    reads_only: bool = False

    def tool(self) -> types.Tool:
        """As a client lists it."""
        hints = types.ToolAnnotations(
            read_only_hint=self.reads_only, destructive_hint=False, open_world_hint=False
        )
        schema = self.arguments.model_json_schema()
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=schema,
            annotations=hints,
        )


async def call(
    offer: Offer, opened: Callable[[], Any], arguments: dict[str, Any], report: Report
) -> types.CallToolResult:
    """Run a tool, over the service that `opened()` opens; whatever goes wrong is its result."""
    try:
        given = offer.arguments.model_validate(arguments)
        async with opened() as service:
            return await offer.run(service, given, report)
    except ValidationError as error:
        found = error.errors()[:MAX_FAULTS]
        wrong = [f"{'.'.join(map(str, e['loc']))[:MAX_NAME]}: {e['msg']}" for e in found]
        return refusal(InvalidRequest.code, "; ".join(wrong))
    except ActorError as error:
        return refusal(error.code, error.message, retryable=error.retryable)
    except FolderHeld as held:
        return refusal("folder_in_use", str(held), retryable=True)
    except FolderUnusable as unusable:
        return refusal("folder_unusable", str(unusable))


def refusal(code: str, message: str, *, retryable: bool = False) -> types.CallToolResult:
    """An error result."""
    told = {"code": code, "message": message, "retryable": retryable}
    text = types.TextContent(text=f"{message} [{code}]")
    return types.CallToolResult(content=[text], structured_content=told, is_error=True)


def _result(value: dict[str, Any]) -> types.CallToolResult:
    text = types.TextContent(text=json.dumps(value, ensure_ascii=False))
    return types.CallToolResult(content=[text], structured_content=value)


# --- the tools ----------------------------------------------------------------------------------


async def create_task(service: Service, given: NewTask, report: Report) -> types.CallToolResult:
    """Create a task."""
    task_id = await service.create(given.task_description, deadline_s=given.deadline_s)
    return _result({"task_id": task_id, "status": "pending"})


async def execute_task(service: Service, given: OneTask, report: Report) -> types.CallToolResult:
    """Run a task, or follow one that runs already, to its end."""
    task_id = _known(given.task_id)
    status = (await service.status(task_id))["status"]
    return await _follow(service, task_id, report, ours=status == "pending")


async def run_task(service: Service, given: NewTask, report: Report) -> types.CallToolResult:
    """Create a task and run it."""
    task_id = await service.create(given.task_description, deadline_s=given.deadline_s)
    return await _follow(service, task_id, report, ours=True)


async def task_status(service: Service, given: OneTask, report: Report) -> types.CallToolResult:
    """Where a task stands."""
    task = await service.status(_known(given.task_id))
    for name in ("final_output", "partial_output"):
        task[name] = _cut(task[name], MAX_TEXT) if task.get(name) else None
    return _result(task)


async def cancel_task(
    service: Service, given: CancelledTask, report: Report
) -> types.CallToolResult:
    """Cancel a task."""
    task = await service.cancel(_known(given.task_id), given.reason)
    return _result({"task_id": task["task_id"], "status": task["status"]})


async def search_documents(service: Service, given: Search, report: Report) -> types.CallToolResult:
    """Search the library."""
    return _result({"results": await service.search(given.query, given.limit)})


OFFERS = (
    Offer(
        "run_task",
        "Run one task to its end and answer with its report: a plan is made, evidence is retrieved "
        "from the person's own document library, and a report is written in which every sentence "
        "cites its source. Takes from seconds to minutes and reports progress. Cancelling this "
        "call cancels the task.",
        NewTask,
        run_task,
    ),
    Offer(
        "create_task",
        "Create a task without starting it; answers its task_id, for execute_task.",
        NewTask,
        create_task,
    ),
    Offer(
        "execute_task",
        "Start a task that create_task has made, and answer with its report, as run_task does. "
        "Called for a task that runs already or has ended, it follows that, and nothing runs "
        "twice. Cancelling this call cancels the task if this call has started it.",
        OneTask,
        execute_task,
    ),
    Offer(
        "task_status",
        "Where a task stands: its status, its steps, and its report or the text so far.",
        OneTask,
        task_status,
        reads_only=True,
    ),
    Offer(
        "cancel_task",
        "Cancel a task. Answers once nothing works for it any more; what was written is kept.",
        CancelledTask,
        cancel_task,
    ),
    Offer(
        "search_documents",
        "Search the person's document library; answers passages, best first, with the title and "
        "section that each is from.",
        Search,
        search_documents,
        reads_only=True,
    ),
)


def _known(task_id: str) -> str:
    """A task's id in its one spelling; other text never becomes part of a URL."""
    try:
        return str(uuid.UUID(task_id))
    except ValueError:
        raise TaskNotFound(f"There is no task {task_id!r}.") from None


async def _follow(
    service: Service, task_id: str, report: Report, *, ours: bool
) -> types.CallToolResult:
    progress = Progress(report)
    ending: dict[str, Any] = {}
    try:
        async with aclosing(service.lines(task_id)) as lines:
            async for line in lines:
                event = event_of(line)
                await progress.saw(event)
                ending = event if is_ending(event) else ending
    except BaseException:  # Cancelled, or its client or our server is gone.
        if ours:
            with trio.move_on_after(CANCEL_S, shield=True), suppress(ActorError):
                await service.cancel(task_id, "its MCP client cancelled the call or went away")
        raise
    return _ended(task_id, ending)


def _ended(task_id: str, ending: dict[str, Any]) -> types.CallToolResult:
    data = ending.get("data", {})
    match ending.get("event_type"):
        case "task_completed":
            return _report(task_id, data)
        case "task_cancelled":
            reason = data.get("reason") or "no reason was given"
            return refusal("task_cancelled", f"Task {task_id} was cancelled: {reason}.")
        case "task_failed":
            error = data["error"]
            return refusal(error["code"], f"Task {task_id} failed: {error['message']}")
        case _:
            why = f"Task {task_id} has not ended; ask for its task_status."
            return refusal("interrupted", why, retryable=True)


def _report(task_id: str, data: dict[str, Any]) -> types.CallToolResult:
    """The report as people read it, then what a program wants to know of it."""
    about = {
        "task_id": task_id,
        "status": "completed",
        "degraded": data["degraded"],
        "sources": [
            source | {"text": _cut(source["text"], MAX_SOURCE_TEXT)}
            for source in data["sources"][:MAX_SOURCES]
        ],
    }
    texts = [_cut(data["final_output"], MAX_TEXT), json.dumps(about, ensure_ascii=False)]
    return types.CallToolResult(content=[types.TextContent(text=text) for text in texts])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 2]} …"
