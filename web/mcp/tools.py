"""The tools that Terzetto serves over the Model Context Protocol, on top of a `Service`.

Rule: every result is bounded, and every refusal is an error result with a code and a sentence. A
task that a call has started does not outlive the call: if the call is cancelled or its client
disconnects, the task is cancelled. Progress only grows.
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
from web.ndjson import event_of, is_ending
from web.service import Service

MAX_TEXT = 60_000
"""Characters of a report in a result; the whole report can be read over HTTP."""
MAX_SOURCE_TEXT = 400
MAX_SOURCES = 64
MAX_FAULTS = 8
MAX_NAME = 100
CANCEL_S = 15.0
"""Time that a cancelled call waits for its task to stop."""
RETRY_PROGRESS = 0.01
"""Progress of a retry. A step counts one half when it starts and one half when it completes."""

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Sends the progress so far, the total (None: not known yet) and a message to the client."""


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TaskArguments(Arguments):
    task_description: str = Field(
        min_length=1, max_length=MAX_DESCRIPTION, description="What to do, in plain words."
    )
    deadline_s: float | None = Field(
        None,
        ge=MIN_DEADLINE_S,
        le=MAX_DEADLINE_S,
        description="Seconds that the whole task may take.",
    )


class TaskIdArguments(Arguments):
    task_id: str = Field(max_length=64, description="The id that create_task answered.")


class CancelArguments(TaskIdArguments):
    reason: str | None = Field(None, max_length=MAX_REASON, description="Why, for the log.")


class SearchArguments(Arguments):
    query: str = Field(min_length=1, max_length=1_000, description="Words to look for.")
    limit: int = Field(10, ge=1, le=50, description="How many passages, at most.")


@dataclass(frozen=True, slots=True)
class ServedTool:
    """One tool: its name, its description for the client's model, and the function behind it."""

    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Service, Any, Report], Awaitable[types.CallToolResult]]
    reads_only: bool = False

    def listed(self) -> types.Tool:
        """The tool in the form of tools/list."""
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
    tool: ServedTool, opened: Callable[[], Any], arguments: dict[str, Any], report: Report
) -> types.CallToolResult:
    """Run a tool with the service that `opened()` opens; every error becomes its result."""
    try:
        given = tool.arguments.model_validate(arguments)
        async with opened() as service:
            return await tool.run(service, given, report)
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
    error = {"code": code, "message": message, "retryable": retryable}
    text = types.TextContent(text=f"{message} [{code}]")
    return types.CallToolResult(content=[text], structured_content=error, is_error=True)


def _result(value: dict[str, Any]) -> types.CallToolResult:
    text = types.TextContent(text=json.dumps(value, ensure_ascii=False))
    return types.CallToolResult(content=[text], structured_content=value)


# --- the tools ----------------------------------------------------------------------------------


async def create_task(
    service: Service, given: TaskArguments, report: Report
) -> types.CallToolResult:
    """Create a task."""
    task_id = await service.create(given.task_description, deadline_s=given.deadline_s)
    return _result({"task_id": task_id, "status": "pending"})


async def execute_task(
    service: Service, given: TaskIdArguments, report: Report
) -> types.CallToolResult:
    """Run a task, or follow one that is running already, to its end."""
    task_id = _task_id(given.task_id)
    status = (await service.status(task_id))["status"]
    return await _follow(service, task_id, report, ours=status == "pending")


async def run_task(service: Service, given: TaskArguments, report: Report) -> types.CallToolResult:
    """Create a task and run it."""
    task_id = await service.create(given.task_description, deadline_s=given.deadline_s)
    return await _follow(service, task_id, report, ours=True)


async def task_status(
    service: Service, given: TaskIdArguments, report: Report
) -> types.CallToolResult:
    """The status of a task."""
    task = await service.status(_task_id(given.task_id))
    for name in ("final_output", "partial_output"):
        task[name] = _cut(task[name], MAX_TEXT) if task.get(name) else None
    return _result(task)


async def cancel_task(
    service: Service, given: CancelArguments, report: Report
) -> types.CallToolResult:
    """Cancel a task."""
    task = await service.cancel(_task_id(given.task_id), given.reason)
    return _result({"task_id": task["task_id"], "status": task["status"]})


async def search_documents(
    service: Service, given: SearchArguments, report: Report
) -> types.CallToolResult:
    """Search the library."""
    return _result({"results": await service.search(given.query, given.limit)})


TOOLS = (
    ServedTool(
        "run_task",
        "Run one task to its end and answer with its report: a plan is made, evidence is retrieved "
        "from the person's own document library, and a report is written in which every sentence "
        "cites its source. Takes from seconds to minutes and reports progress. Cancelling this "
        "call cancels the task.",
        TaskArguments,
        run_task,
    ),
    ServedTool(
        "create_task",
        "Create a task without starting it; answers its task_id, for execute_task.",
        TaskArguments,
        create_task,
    ),
    ServedTool(
        "execute_task",
        "Start a task that create_task has created, and answer with its report, like run_task. "
        "If the task is running already or has ended, the call follows it, and nothing runs twice. "
        "Cancelling this call cancels the task if this call has started it.",
        TaskIdArguments,
        execute_task,
    ),
    ServedTool(
        "task_status",
        "The status of a task, its steps, and its report or the text so far.",
        TaskIdArguments,
        task_status,
        reads_only=True,
    ),
    ServedTool(
        "cancel_task",
        "Cancel a task. Answers once no agent works for it any more; what was written is kept.",
        CancelArguments,
        cancel_task,
    ),
    ServedTool(
        "search_documents",
        "Search the person's document library; answers passages, best first, with the title and "
        "section that each is from.",
        SearchArguments,
        search_documents,
        reads_only=True,
    ),
)


def _task_id(task_id: str) -> str:
    """A task's id in canonical form, so that no other text becomes part of a URL."""
    try:
        return str(uuid.UUID(task_id))
    except ValueError:
        raise TaskNotFound(f"There is no task {task_id!r}.") from None


class Progress:
    """Reports the events of a task as progress."""

    def __init__(self, report: Report) -> None:
        self._send = report
        self._done = 0.0
        self._total: float | None = None
        self._seen: set[tuple[str, str]] = set()

    async def add(self, event: dict[str, Any]) -> None:
        """Report an event that shows progress."""
        data = event["data"]
        match event["event_type"]:
            case "plan_created":
                self._total = float(len(data["steps"]))
            case "step_started":
                await self._report_step(data["step_id"], "started", 0.5, data["description"])
            case "step_completed":
                await self._report_step(data["step_id"], "done", 0.5, f"{data['step']} completed")
            case "step_retrying":
                message = f"{data['step']} is tried again: {data['error']['message']}"
                self._done += RETRY_PROGRESS
                await self._send(self._done, self._total, message)

    async def _report_step(self, step_id: str, phase: str, share: float, message: str) -> None:
        if (step_id, phase) in self._seen:
            return
        self._seen.add((step_id, phase))
        self._done += share
        await self._send(self._done, self._total, message)


async def _follow(
    service: Service, task_id: str, report: Report, *, ours: bool
) -> types.CallToolResult:
    progress = Progress(report)
    ending: dict[str, Any] = {}
    try:
        async with aclosing(service.lines(task_id)) as lines:
            async for line in lines:
                event = event_of(line)
                await progress.add(event)
                ending = event if is_ending(event) else ending
    except BaseException:  # A cancelled call, or a connection to the client or server that is lost.
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
    """The report for people, followed by its sources for programs."""
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
