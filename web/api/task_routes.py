"""The routes of tasks.

Rule: parse, ask, render. The supervisor and the journal decide what a request does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import trio
from pydantic import BaseModel
from werkzeug.http import parse_list_header

from actors.errors import ActorError
from actors.journal.follower import Follower
from actors.library import cursors
from actors.tasks.budget import NO_BUDGET, Budget
from actors.tasks.life import Task
from actors.tasks.limits import MAX_KEY
from web.access.seen import check_seen
from web.api import views
from web.api.exchange import ApiResponse
from web.api.problems import Fault, RequestProblem
from web.api.reports import HTML, MARKDOWN, as_html, as_markdown, links_of
from web.api.routing import RequestContext, Route, next_link, preferred, render
from web.api.streams import NDJSON, SSE, EventStream, Reader, StreamType, stream_response

A = TypeVar("A", int, int | None)


async def create(context: RequestContext[views.NoQuery, views.NewTask]) -> ApiResponse:
    key = context.request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        fault = Fault(("header", "Idempotency-Key"), f"must have 1 to {MAX_KEY} characters")
        raise RequestProblem("invalid_request", f"Idempotency-Key {fault.msg}.", [fault])
    new = context.body
    if new.context_task_id is not None and not context.principal.sees_all:
        await check_seen(context.system, context.principal, new.context_task_id)
    task = await context.system.create(
        new.task_description,
        deadline_s=new.deadline_s,
        metadata=new.metadata,
        idempotency_key=key,
        context_task_id=new.context_task_id,
        budget=Budget(**new.budget.model_dump()) if new.budget else NO_BUDGET,
        owner=context.principal.name,
    )
    answer = views.as_view(views.CreatedTask, task, status="pending")
    return render(201, answer, {"Location": f"/tasks/{task.task_id}"})


async def execute(context: RequestContext[views.ExecuteQuery, views.NoBody]) -> ApiResponse:
    task_id, after = context.path["task_id"], _after(context, context.query.after)

    async def start() -> tuple[Task, int]:
        await context.system.follow(task_id, after=after)  # A wrong `after` starts nothing.
        return await context.system.start(task_id), after

    return await _start_and_stream(context, start)


async def retry(context: RequestContext[views.RetryQuery, views.NoBody]) -> ApiResponse:
    task_id = context.path["task_id"]
    after = _after(context, context.query.after)

    async def start() -> tuple[Task, int]:
        if after is not None:
            await context.system.follow(task_id, after=after)
        task = await context.system.retry(task_id)
        return task, task.last_seq - 1 if after is None else after

    return await _start_and_stream(context, start)


async def events(context: RequestContext[views.EventsQuery, views.NoBody]) -> ApiResponse:
    task_id = context.path["task_id"]
    after = _after(context, context.query.after)
    follower = await context.system.follow(
        task_id, after=after, follow=context.query.follow == "true"
    )
    reader = context.readers.join(task_id, context.client, cancels=False)
    return await _stream(context, follower, reader)


async def status(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    return render(200, views.task_view(await context.system.status(context.path["task_id"])))


async def report(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    text, sources = await context.system.report(context.path["task_id"])
    if not text:
        return ApiResponse(204)
    root = context.request.root_path
    if preferred(context.request, [MARKDOWN, HTML]) == HTML:
        shown = await trio.to_thread.run_sync(as_html, text, sources, root)
        kind = HTML
    else:
        shown, kind = as_markdown(text, links_of(sources, root)), MARKDOWN
    headers = {"Content-Type": f"{kind}; charset=utf-8", **_REPORT_HEADERS}
    return ApiResponse(200, shown.encode(), headers)


async def listing(context: RequestContext[views.TasksQuery, views.NoBody]) -> ApiResponse:
    query = context.query
    before = cursors.decode(query.cursor)
    owner = None if context.principal.sees_all else context.principal.name
    page = await context.system.tasks(
        status=query.status, limit=query.limit, before=before, owner=owner
    )
    cursor = cursors.encode(page.next_before)
    headers = next_link("/tasks", status=query.status, limit=query.limit, cursor=cursor)
    tasks = [views.task_summary(task) for task in page.tasks]
    return render(200, {"tasks": tasks, "next_cursor": cursor}, headers)


async def cancel(context: RequestContext[views.NoQuery, views.CancelBody]) -> ApiResponse:
    task = await context.system.cancel(context.path["task_id"], context.body.reason)
    return render(200, views.task_view(task))


async def delete(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    await context.system.delete(context.path["task_id"])
    return ApiResponse(204)


async def _start_and_stream(
    context: RequestContext[Any, views.NoBody], start: Callable[[], Awaitable[tuple[Task, int]]]
) -> ApiResponse:
    """Start or attach; then stream, or with `Prefer: respond-async` answer at once."""
    task_id = context.path["task_id"]
    if "respond-async" in _preferences(context):
        task, _ = await start()
        headers = {"Location": f"/tasks/{task_id}", "Preference-Applied": "respond-async"}
        return render(200 if task.finished else 202, views.task_view(task), headers)
    cancels = context.query.on_disconnect == "cancel"
    reader = context.readers.join(task_id, context.client, cancels=cancels)
    try:
        _, after = await start()
        follower = await context.system.follow(task_id, after=after)
    except ActorError:
        reader.leave(lost=False)
        raise
    return await _stream(context, follower, reader)


async def _stream(
    context: RequestContext[Any, views.NoBody], follower: Follower, reader: Reader
) -> ApiResponse:
    kind = _kind(context)
    task_id = context.path["task_id"]
    if kind == SSE and follower.ended:
        reader.leave(lost=False)
        return ApiResponse(204)  # EventSource reconnects after any other answer.
    may_read = partial(context.keys.still_opens, context.principal)
    body = EventStream(follower, reader, task_id, kind, context.settings.heartbeat_s, may_read)
    return stream_response(body, task_id, kind)


def _preferences(context: RequestContext[Any, Any]) -> set[str]:
    """The names of what the client prefers (RFC 7240), without values and parameters."""
    listed = parse_list_header(context.request.headers.get("prefer", ""))
    return {re.split("[=;]", preference)[0].strip().lower() for preference in listed}


def _kind(context: RequestContext[Any, Any]) -> StreamType:
    return SSE if preferred(context.request, [NDJSON, SSE]) == SSE else NDJSON


def _after(context: RequestContext[Any, Any], after: A) -> int | A:
    """The seq to continue after: EventSource sends it in a header, which beats the query."""
    last = context.request.headers.get("last-event-id")
    if last is None:
        return after
    if not re.fullmatch(r"[0-9]{1,15}", last):
        fault = Fault(("header", "Last-Event-ID"), "must be the seq of an event")
        raise RequestProblem("invalid_request", f"Last-Event-ID {fault.msg}.", [fault])
    return int(last)


_REPORT_HEADERS = {
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""A browser that opens a report shows it, and runs and loads nothing."""

_STREAM: dict[int, type[BaseModel] | str | None] = {200: NDJSON, 202: views.TaskView, 204: None}
_STREAM_SENDS = ("Cache-Control", "X-Accel-Buffering", "X-Task-ID")
_SENDS = {200: _STREAM_SENDS, 202: ("Location", "Preference-Applied")}
_RESPOND_ASYNC = {"Prefer": "`respond-async` starts the task without a stream."}
_LAST_EVENT = {"Last-Event-ID": "The seq to continue after; takes precedence over `after`."}

ROUTES = [
    Route(
        "POST",
        "/tasks",
        create,
        "Create a task",
        {201: views.CreatedTask},
        sends={201: ("Location",)},
        body=views.NewTask,
        headers={"Idempotency-Key": "The same key and values give the same task."},
        problems=(400, 413, 415, 422, 503),
    ),
    Route(
        "GET",
        "/tasks",
        listing,
        "List tasks, newest first",
        {200: views.TaskList},
        sends={200: ("Link",)},
        query=views.TasksQuery,
        problems=(422,),
    ),
    Route(
        "POST",
        "/tasks/{task_id}/execute",
        execute,
        "Start a task, or attach to it, and stream its events",
        _STREAM,
        sends=_SENDS,
        query=views.ExecuteQuery,
        headers=_RESPOND_ASYNC | _LAST_EVENT,
        problems=(404, 422, 429, 503),
    ),
    *(
        Route(
            "GET",
            path,
            status,
            "The status of a task",
            {200: views.TaskView},
            problems=(404, 422),
        )
        for path in ("/tasks/{task_id}", "/tasks/{task_id}/status")
    ),
    Route(
        "GET",
        "/tasks/{task_id}/report",
        report,
        "The report of a task, or what is written of it so far",
        {200: MARKDOWN, 204: None},
        sends={200: ("Vary",)},
        problems=(404, 422, 500),
    ),
    Route(
        "GET",
        "/tasks/{task_id}/events",
        events,
        "Stream a task's events",
        {200: NDJSON, 204: None},
        sends={200: _STREAM_SENDS},
        query=views.EventsQuery,
        headers=_LAST_EVENT,
        problems=(404, 422, 429),
    ),
    Route(
        "POST",
        "/tasks/{task_id}/cancel",
        cancel,
        "Cancel a task; answers when no agent works for it any more",
        {200: views.TaskView},
        body=views.CancelBody,
        body_optional=True,
        problems=(400, 404, 409, 413, 415, 422, 503),
    ),
    Route(
        "POST",
        "/tasks/{task_id}/retry",
        retry,
        "Continue a failed or cancelled task, and stream its events",
        _STREAM,
        sends=_SENDS,
        query=views.RetryQuery,
        headers=_RESPOND_ASYNC | _LAST_EVENT,
        problems=(404, 409, 422, 429, 503),
    ),
    Route(
        "DELETE",
        "/tasks/{task_id}",
        delete,
        "Delete a pending or finished task",
        {204: None},
        problems=(404, 409, 422, 503),
    ),
]
