"""A client written from the documented API alone, and checks of every field of its objects.

Rule: what is checked here is the contract. This file does not use the code of `web`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import h11
import httpx
import trio
from scripted import Cast, scripted_system

from actors import testing

GUARD_S = 20.0
"""A hang guard, never a wait."""

TASK_FIELDS = {
    *("task_id", "status", "task_description", "created_at", "updated_at", "last_seq", "run"),
    *("steps", "final_output", "partial_output", "error", "degraded", "deadline_s", "metadata"),
}
ITEM_FIELDS = TASK_FIELDS - {"steps", "final_output", "partial_output"}
SELDOM = {"context_task_id", "budget", "usage"}
"""Fields that only some tasks have."""
STEP_FIELDS = {
    *("step_id", "step", "agent_type", "description", "depends_on", "status", "attempts"),
    *("started_at", "finished_at", "error"),
}
PLANNED_FIELDS = {"step_id", "step", "agent_type", "description", "depends_on"}
DOCUMENT_FIELDS = {
    *(
        "document_id",
        "title",
        "name",
        "media_type",
        "bytes",
        "sha256",
        "passages",
        "created_at",
        "sample",
    ),
    "notes",
}
PASSAGE_FIELDS = {"document_id", "title", "section", "position", "start", "end", "text"}
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "instance"}
LINE_FIELDS = {"seq", "event_type", "task_id", "timestamp", "data"}
DATA_FIELDS = {
    "task_created": {"task_description", "deadline_s", "metadata"},
    "task_queued": {"position", "run"},
    "task_started": {"run"},
    "task_resumed": {"reason", "kept_steps", "run"},
    "step_started": {
        *("step_id", "step", "step_number", "total_steps", "agent_type", "description", "attempt"),
    },
    "plan_created": {"steps"},
    "partial_output": {"step_id", "step", "attempt", "content"},
    "step_retrying": {"step_id", "step", "attempt", "next_attempt", "delay_s", "error"},
    "step_completed": {
        *("step_id", "step", "status", "attempt", "duration_s", "degraded", "error", "result"),
    },
    "step_failed": {"step_id", "step", "attempts", "error"},
    "task_completed": {"final_output", "total_steps", "degraded", "sources"},
    "task_failed": {"error", "step_id", "partial_output"},
    "task_cancelled": {"reason", "partial_output"},
}
MAY_HOLD: dict[str, set[str]] = {"task_created": {"context_task_id", "budget"}}
"""Fields that an event has only for some tasks."""
MAY_CONTINUE = {"step_started", "partial_output"}
ENDINGS = {"task_completed", "task_failed", "task_cancelled"}
STATUSES = {"pending", "queued", "executing", "completed", "failed", "cancelled"}
STEP_STATUSES = {"pending", "running", "retrying", "completed", "failed", "cancelled"}
KINDS = {"analysis": "analyzer", "retrieval": "retriever", "synthesis": "analyzer"}
KINDS["writing"] = "writer"

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Event = dict[str, Any]


# --- The client ---------------------------------------------------------------------------------


class Stream:
    """One open stream on a connection of its own: its lines one by one, each with its line end."""

    def __init__(self, socket: trio.SocketStream) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._socket = socket
        self._http = h11.Connection(h11.CLIENT)
        self._rest = b""
        self._ended = False

    async def ask(self, method: str, target: str, headers: dict[str, str]) -> None:
        """Send the request and read the head of the answer."""
        request = h11.Request(method=method, target=target, headers=list(headers.items()))
        sent = self._http.send(request) + self._http.send(h11.EndOfMessage())
        await self._socket.send_all(sent)
        head = await self._event()
        assert isinstance(head, h11.Response), head
        self.status = head.status_code
        self.headers = {name.decode(): value.decode() for name, value in head.headers}

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._socket.receive_some(65_536))
        return event

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its proper end. A cut body is an error."""
        event = None if self._ended else await self._event()
        if event is None or isinstance(event, h11.EndOfMessage):
            self._ended = True
            return b""
        assert isinstance(event, h11.Data), event
        self.body += event.data
        return bytes(event.data)

    async def whole(self) -> bytes:
        """The body to its end."""
        while await self.read():
            pass
        return self.body

    async def line(self) -> bytes:
        """The next line; empty at the end of the stream. A line without its end is an error."""
        while b"\n" not in self._rest:
            piece = await self.read()
            if not piece:
                assert self._rest == b"", f"the stream ended within a line: {self._rest!r}"
                return b""
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        return line + b"\n"

    async def lines(self, count: int) -> list[bytes]:
        return [await self.line() for _ in range(count)]

    async def until(self, event_type: str) -> list[bytes]:
        """The lines up to and including the first of this type."""
        read = []
        while line := await self.line():
            read.append(line)
            if json.loads(line)["event_type"] == event_type:
                return read
        raise AssertionError(f"the stream ended without {event_type}: {read}")

    async def rest(self) -> list[bytes]:
        """All lines up to the end of the stream."""
        read = []
        while line := await self.line():
            read.append(line)
        return read

    async def until_cut(self) -> list[bytes]:
        """The whole lines that still come from a server that was killed."""
        read = []
        with contextlib.suppress(h11.RemoteProtocolError, trio.BrokenResourceError):
            while line := await self.line():
                read.append(line)
        return read


class Api:
    """The routes, by name. Tests of unusual requests use `http` directly."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def create(self, text: str = "Why do frogs sing?", **fields: Any) -> str:
        response = await self.http.post("/tasks", json={"task_description": text, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["task_id"])

    async def task(self, task_id: str) -> dict[str, Any]:
        response = await self.http.get(f"/tasks/{task_id}/status")
        assert response.status_code == 200, response.text
        return check_task(response.json())

    async def start(self, task_id: str) -> dict[str, Any]:
        """Start it without a stream."""
        headers = {"Prefer": "respond-async"}
        response = await self.http.post(f"/tasks/{task_id}/execute", headers=headers)
        assert response.status_code == 202, response.text
        return check_task(response.json())

    async def cancel(self, task_id: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/tasks/{task_id}/cancel", json=body or None)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        """An answer that can be read in parts; leaving the block early closes the connection."""
        url = self.http.base_url
        target = str(httpx.URL(path, params=params or {}))
        async with await trio.open_tcp_stream(url.host, url.port or 80) as socket:
            stream = Stream(socket)
            host = {"Host": f"{url.host}:{url.port}"}
            await stream.ask(method, target, {**host, **(headers or {})})
            yield stream

    @asynccontextmanager
    async def stream(self, method: str, path: str, **more: Any) -> AsyncIterator[Stream]:
        """An answer of 200 with events; leaving the block early closes the connection."""
        async with self.ask(method, path, **more) as stream:
            if stream.status != 200:
                raise AssertionError(f"{stream.status}: {await stream.whole()!r}")
            yield stream

    def execute(self, task_id: str, **query: Any) -> Any:
        return self.stream("POST", f"/tasks/{task_id}/execute", params=query)

    def retry(self, task_id: str, **query: Any) -> Any:
        return self.stream("POST", f"/tasks/{task_id}/retry", params=query)

    def events(self, task_id: str, **query: Any) -> Any:
        return self.stream("GET", f"/tasks/{task_id}/events", params=query)

    async def run(self, task_id: str, **query: Any) -> list[bytes]:
        """Execute and read to the end of the stream."""
        async with self.execute(task_id, **query) as stream:
            lines: list[bytes] = await stream.rest()
        return lines

    async def log(self, task_id: str, **query: Any) -> list[bytes]:
        """What is in the log now."""
        async with self.events(task_id, follow="false", **query) as stream:
            lines: list[bytes] = await stream.rest()
        return lines

    async def settled(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """The task, once its status is one of these. It is polled, since a stream is a reader."""
        with trio.fail_after(GUARD_S):
            while (task := await self.task(task_id))["status"] not in statuses:
                await trio.sleep(0.01)
        return task

    async def ended(self, task_id: str) -> dict[str, Any]:
        """The task, once its log ends with an ending."""
        with trio.fail_after(GUARD_S):
            async with self.events(task_id) as stream:
                await stream.rest()
        return await self.task(task_id)


@asynccontextmanager
async def scripted_api(
    served: Any, cast: Cast | None = None, *, server: dict[str, Any] | None = None, **more: Any
) -> AsyncIterator[Api]:
    """The API over a system with scripted agents; `more` is the system's, `server` the server's."""
    with trio.fail_after(GUARD_S):
        async with scripted_system(cast, **more) as system:
            async with served(system, **(server or {})) as http:
                yield Api(http)


async def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition in this process until it holds."""
    with trio.fail_after(GUARD_S):
        while not condition():
            await trio.sleep(0.002)


# --- Objects ------------------------------------------------------------------------------------


def check_time(value: Any) -> None:
    assert isinstance(value, str) and TIME.fullmatch(value), value


def check_error(error: Any) -> None:
    assert error.keys() == {"code", "message"}, error
    assert re.fullmatch(r"[a-z_]+", error["code"]) and isinstance(error["message"], str)


def check_item(task: dict[str, Any], fields: set[str] = ITEM_FIELDS) -> dict[str, Any]:
    assert task.keys() - SELDOM == fields, task.keys() ^ fields
    assert UUID.fullmatch(task["task_id"]) and task["status"] in STATUSES
    check_time(task["created_at"])
    check_time(task["updated_at"])
    assert task["updated_at"] >= task["created_at"]
    assert type(task["last_seq"]) is int and task["last_seq"] >= 1
    assert type(task["run"]) is int and type(task["degraded"]) is bool
    assert (task["error"] is not None) == (task["status"] == "failed"), task
    if task["error"] is not None:
        check_error(task["error"])
    assert isinstance(task["metadata"], dict)
    return task


def check_task(task: dict[str, Any]) -> dict[str, Any]:
    check_item(task, TASK_FIELDS)
    completed = task["status"] == "completed"
    assert isinstance(task["final_output"], str) == completed, task
    assert not completed or task["partial_output"] is None, task
    for step in task["steps"]:
        assert step.keys() == STEP_FIELDS, step.keys() ^ STEP_FIELDS
        assert step["status"] in STEP_STATUSES and KINDS[step["step"]] == step["agent_type"]
        for at in ("started_at", "finished_at"):
            if step[at] is not None:
                check_time(step[at])
        if step["error"] is not None:
            check_error(step["error"])
    if completed:
        assert {step["status"] for step in task["steps"]} == {"completed"}
    return task


def check_document(document: dict[str, Any]) -> dict[str, Any]:
    assert document.keys() == DOCUMENT_FIELDS, document.keys() ^ DOCUMENT_FIELDS
    assert isinstance(document["document_id"], str) and isinstance(document["title"], str)
    assert type(document["bytes"]) is int and type(document["passages"]) is int
    assert re.fullmatch(r"[0-9a-f]{64}", document["sha256"]) and type(document["sample"]) is bool
    check_time(document["created_at"])
    return document


def check_passage(passage: dict[str, Any], extra: str) -> dict[str, Any]:
    assert passage.keys() == PASSAGE_FIELDS | {extra}, passage.keys() ^ PASSAGE_FIELDS
    assert type(passage["position"]) is int and passage["position"] >= 1
    assert isinstance(passage["text"], str) and passage["text"]
    return passage


def check_problem(response: httpx.Response, status: int, code: str | None) -> dict[str, Any]:
    """An error in the form of RFC 9457; `code` is None where the API names none."""
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem.keys() - {"errors"} == PROBLEM_FIELDS, problem
    assert problem["status"] == status and (code is None or problem["code"] == code), problem
    assert all(isinstance(problem[name], str) for name in PROBLEM_FIELDS - {"status"}), problem
    assert problem["title"] and problem["code"]
    if problem["code"] == "invalid_request":
        assert problem.get("errors"), problem
    for error in problem.get("errors", []):
        assert error.keys() == {"loc", "msg"}, error
    for secret in ("Traceback", "/work/", "/tmp/", "site-packages", ".py"):
        assert secret not in response.text, response.text
    if status == 503:
        assert int(response.headers["retry-after"]) >= 1
    return problem


# --- Events -------------------------------------------------------------------------------------


def parse(line: bytes) -> Event:
    """One line of a log, to the field."""
    assert line.endswith(b"\n"), line
    text = line.decode()
    assert not {"\u0085", "\u2028", "\u2029", "\r"} & set(text), line
    assert text.count("\n") == 1, line
    event: Event = json.loads(text)
    assert event.keys() == LINE_FIELDS, event
    assert type(event["seq"]) is int
    check_time(event["timestamp"])
    may_hold = MAY_HOLD.get(event["event_type"], set())
    extra = (event["data"].keys() - may_hold) ^ DATA_FIELDS[event["event_type"]]
    assert not extra or (extra == {"continues"} and event["event_type"] in MAY_CONTINUE), event
    assert "continues" not in extra or event["data"]["continues"] is True, event
    return event


def parse_note(line: bytes) -> Event:
    """A line without a seq, between events."""
    note: Event = json.loads(line)
    assert note.keys() == {"event_type", "task_id", "timestamp", "data"}, note
    check_time(note["timestamp"])
    match note["event_type"]:
        case "heartbeat":
            assert note["data"] == {}
        case "stream_closing":
            assert note["data"].keys() == {"reason", "resume_after"}
            assert note["data"]["reason"] in {"draining", "storage", "deleted", "unauthorized"}
        case other:
            raise AssertionError(f"an unknown line without a seq: {other}")
    return note


def types(events: Iterable[Event]) -> list[str]:
    return [event["event_type"] for event in events]


def of_type(events: Iterable[Event], *names: str) -> list[Event]:
    """The data of the events of these types."""
    return [event["data"] for event in events if event["event_type"] in names]


def check_log(lines: Sequence[bytes], *, ended: bool = True) -> list[Event]:
    """A whole log, from its first line: its invariants, and the form of each event."""
    status = testing.check_log(lines)
    if ended:
        assert status in {"completed", "failed", "cancelled"}, status
    events = [parse(line) for line in lines]
    times = [event["timestamp"] for event in events]
    assert times == sorted(times), times
    for event in events:
        _check_data(event["event_type"], event["data"])
    return events


def _check_data(name: str, data: dict[str, Any]) -> None:
    match name:
        case "task_queued":
            assert type(data["position"]) is int
        case "plan_created":
            kinds = [step["step"] for step in data["steps"]]
            assert kinds == sorted(kinds, key=list(KINDS).index), kinds
            for step in data["steps"]:
                assert step.keys() == PLANNED_FIELDS, step
                assert KINDS[step["step"]] == step["agent_type"]
        case "step_completed":
            assert data["status"] == "completed" and data["duration_s"] >= 0
            assert type(data["degraded"]) is bool
        case "step_retrying" | "step_failed" | "task_failed":
            check_error(data["error"])
        case "task_completed":
            for source in data["sources"]:
                check_passage(source, "n")
        case "task_cancelled":
            assert data["reason"] is None or isinstance(data["reason"], str)


def check_fold(task: dict[str, Any], events: Sequence[Event]) -> None:
    """The task agrees with its log."""
    assert task["last_seq"] == events[-1]["seq"]
    assert task["updated_at"] == events[-1]["timestamp"]
    assert task["created_at"] == events[0]["timestamp"]
    created = events[0]["data"]
    assert all(task[name] == created[name] for name in created)
    attempts: dict[str, int] = {}
    for data in of_type(events, "step_started"):
        attempts[data["step_id"]] = data["attempt"]
    assert {s["step_id"]: s["attempts"] for s in task["steps"] if s["attempts"]} == attempts
    done = {data["step_id"] for data in of_type(events, "step_completed")}
    assert {s["step_id"] for s in task["steps"] if s["status"] == "completed"} == done
    for plan in of_type(events, "plan_created"):
        planned = [{name: step[name] for name in PLANNED_FIELDS} for step in task["steps"]]
        assert planned[1:] == plan["steps"][1:]
    ending = events[-1]
    match ending["event_type"]:
        case "task_completed":
            assert task["status"] == "completed"
            assert task["final_output"] == ending["data"]["final_output"]
            assert task["degraded"] == ending["data"]["degraded"]
        case "task_failed":
            assert task["status"] == "failed" and task["error"] == ending["data"]["error"]
            assert task["partial_output"] == ending["data"]["partial_output"]
        case "task_cancelled":
            assert task["status"] == "cancelled"
            assert task["partial_output"] == ending["data"]["partial_output"]


# --- Server-sent events -------------------------------------------------------------------------


def parse_sse(body: bytes) -> tuple[list[tuple[str, str, bytes]], list[str]]:
    """The blocks as (id, event, data line with its end), and the comments."""
    blocks, comments = [], []
    for block in body.decode().split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if line and not name:
                comments.append(value.strip())
            elif line:
                assert name not in fields, f"a field twice in one block: {block!r}"
                fields[name] = value.removeprefix(" ")
        if "data" in fields:
            data = fields["data"].encode() + b"\n"
            blocks.append((fields.get("id", ""), fields["event"], data))
    return blocks, comments
