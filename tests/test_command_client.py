"""The client of a running server, against a small real server that answers as the API does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from command_fakes import HEARTBEAT, TASK_ID, whole_log
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

from actors.errors import (
    Draining,
    IllegalState,
    InvalidRequest,
    Overloaded,
    TaskNotFound,
    UnreadableDocument,
)
from web.client import HttpService, open_http
from web.service import ServerUnreachable, UnexpectedAnswer

NO_WAITS = (0.0, 0.0, 0.0)
CUT = object()
CLOSING = json.dumps(
    {
        "event_type": "stream_closing",
        "task_id": TASK_ID,
        "timestamp": "2026-01-31T12:00:00Z",
        "data": {"reason": "draining", "resume_after": 3},
    }
).encode()


@asynccontextmanager
async def serving(
    app: QuartTrio, waits: tuple[float, ...] = NO_WAITS
) -> AsyncIterator[HttpService]:
    """The app on a free port, and a client of it."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 0.1
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        starting: Callable[..., Any] = partial(
            serve,
            app,
            config,
            shutdown_trigger=stop.wait,
        )
        bound = await nursery.start(starting)
        async with httpx.AsyncClient(base_url=bound[0], trust_env=False) as http:
            yield HttpService(http, waits)
        stop.set()


def problem(status: int, code: str, detail: str = "Told why.", **more: Any) -> Response:
    body = {"type": "about:blank", "title": "T", "status": status, "detail": detail, "code": code}
    return Response(json.dumps(body | more), status, content_type="application/problem+json")


def streaming(*connections: list[Any], log: list[int] | None = None) -> QuartTrio:
    """An app whose execute streams these pieces, one list for each connection in turn."""
    app = QuartTrio("streaming")
    waiting = iter(connections)

    @app.post("/tasks/<task_id>/execute")
    async def execute(task_id: str) -> Response:
        if log is not None:
            log.append(int(request.args["after"]))
        pieces = next(waiting)
        if isinstance(pieces[0], Response):
            return pieces[0]

        async def body() -> AsyncGenerator[bytes, None]:
            for piece in pieces:
                if piece is CUT:
                    raise ConnectionResetError  # Hypercorn then cuts without a final chunk.
                yield piece

        return Response(body(), content_type="application/x-ndjson")

    return app


async def read(service: HttpService, after: int = 0) -> list[bytes]:
    async with aclosing(service.lines(TASK_ID, after)) as lines:
        return [line async for line in lines]


def ndjson(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


async def test_a_stream_is_read_to_its_end_in_any_pieces() -> None:
    lines = whole_log().lines()
    whole = ndjson(lines)
    pieces = [whole[at : at + 37] for at in range(0, len(whole), 37)]

    async with serving(streaming(pieces)) as service:
        assert await read(service) == lines


async def test_a_cut_stream_continues_after_the_last_whole_line() -> None:
    lines, asked = whole_log().lines(), list[int]()
    app = streaming(
        [ndjson(lines[:3]) + lines[3][:10], CUT],
        [ndjson(lines[3:5]), HEARTBEAT + b"\n"],
        [ndjson(lines[5:])],
        log=asked,
    )

    async with serving(app) as service:
        assert await read(service) == [*lines[:5], HEARTBEAT, *lines[5:]]
    assert asked == [0, 3, 5]


async def test_a_server_that_drains_is_asked_again() -> None:
    lines = whole_log().lines()
    app = streaming(
        [ndjson([*lines[:3], CLOSING])], [problem(503, "draining")], [ndjson(lines[3:])]
    )

    async with serving(app) as service:
        assert await read(service) == [*lines[:3], CLOSING, *lines[3:]]


async def test_a_task_that_is_deleted_before_its_stream_continues_is_reported() -> None:
    lines = whole_log().lines()
    app = streaming([ndjson(lines[:3])], [problem(404, "task_not_found")], [ndjson(lines[3:])])

    async with serving(app) as service:
        with pytest.raises(TaskNotFound):
            await read(service)


async def test_a_stream_that_never_continues_ends_with_an_error() -> None:
    lines = whole_log().lines()
    app = streaming([ndjson(lines[:3])], *[[problem(503, "draining")]] * 4)

    async with serving(app) as service:
        with pytest.raises(Draining):
            await read(service)


async def test_a_deleted_tasks_stream_is_over() -> None:
    lines = whole_log().lines()
    deleted = CLOSING.replace(b"draining", b"deleted")

    async with serving(streaming([ndjson([*lines[:3], deleted])])) as service:
        assert await read(service) == [*lines[:3], deleted]


async def test_a_full_queue_is_reported_at_once() -> None:
    async with serving(streaming([problem(503, "overloaded")])) as service:
        with pytest.raises(Overloaded):
            await read(service)


async def test_a_line_that_is_no_event_is_unexpected() -> None:
    async with serving(streaming([b"hello\n"])) as service:
        with pytest.raises(UnexpectedAnswer):
            await read(service)


async def test_a_reader_may_leave_in_the_middle() -> None:
    app = streaming([ndjson(whole_log().lines())])
    async with serving(app) as service, aclosing(service.lines(TASK_ID)) as lines:
        async for _ in lines:
            break


async def test_create_sends_the_task_with_a_key_of_its_own() -> None:
    app, seen = QuartTrio("creating"), list[tuple[Any, str]]()

    @app.post("/tasks")
    async def create() -> tuple[dict[str, str], int]:
        seen.append((await request.get_json(), request.headers["Idempotency-Key"]))
        return {"task_id": TASK_ID, "status": "pending", "created_at": "now"}, 201

    async with serving(app) as service:
        assert await service.create("One") == TASK_ID
        await service.create("Two", deadline_s=5)

    assert seen[0][0] == {"task_description": "One"}
    assert seen[1][0] == {"task_description": "Two", "deadline_s": 5}
    assert seen[0][1] != seen[1][1]


async def test_cancel_gives_the_reason_and_answers_the_task() -> None:
    app, seen = QuartTrio("cancelling"), list[Any]()

    @app.post("/tasks/<task_id>/cancel")
    async def cancel(task_id: str) -> dict[str, str] | Response:
        seen.append(await request.get_json())
        return {"status": "cancelled"} if len(seen) == 1 else problem(409, "illegal_state")

    async with serving(app) as service:
        assert await service.cancel(TASK_ID, "enough") == {"status": "cancelled"}
        with pytest.raises(IllegalState):
            await service.cancel(TASK_ID)
    assert seen == [{"reason": "enough"}, {}]


async def test_search_answers_the_passages() -> None:
    app = QuartTrio("searching")

    @app.get("/documents/search")
    async def search() -> dict[str, Any]:
        return {"results": [{"title": request.args["q"], "position": int(request.args["limit"])}]}

    async with serving(app) as service:
        assert await service.search("a & b", 3) == [{"title": "a & b", "position": 3}]


async def test_add_sends_the_file_with_type_and_name_and_tells_new_from_known(
    tmp_path: Path,
) -> None:
    app, seen = QuartTrio("adding"), list[tuple[Any, ...]]()

    @app.post("/documents")
    async def add() -> tuple[dict[str, Any], int]:
        file = (await request.files)["file"]
        seen.append((file.read(), file.content_type, file.filename, request.args["source"]))
        return {"documents": [{"document_id": "d"}]}, 201 if len(seen) == 1 else 200

    note = tmp_path / "A note.MD"
    note.write_bytes(b"# Note\n")
    async with serving(app) as service:
        assert await service.add(note) == ({"document_id": "d"}, "added")
        assert await service.add(note) == ({"document_id": "d"}, "unchanged")
        with pytest.raises(UnreadableDocument, match="No such file"):
            await service.add(tmp_path / "gone.txt")
    assert seen == [(b"# Note\n", "text/markdown", "A note.MD", str(note))] * 2


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (problem(404, "task_not_found"), TaskNotFound, "Told why."),
        (
            problem(422, "invalid_request", errors=[{"loc": ["query", "limit"], "msg": "too big"}]),
            InvalidRequest,
            "Told why. query.limit: too big",
        ),
        (problem(403, "foreign_origin"), UnexpectedAnswer, r"Told why. \(403 foreign_origin\)"),
        (Response("<h1>Bad gateway</h1>", 502), UnexpectedAnswer, "answered 502"),
        (Response("[]", 200), UnexpectedAnswer, "JSON object"),
    ],
)
async def test_refusals_come_back_as_the_error_with_their_code(
    answer: Response, error: type[Exception], told: str
) -> None:
    app = QuartTrio("refusing")
    app.get("/documents/search")(lambda: answer)

    async with serving(app) as service:
        with pytest.raises(error, match=told):
            await service.search("x")


async def test_a_server_that_is_gone_is_named() -> None:
    async with open_http("http://127.0.0.1:1") as service:
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1"):
            await service.create("x")
        with pytest.raises(ServerUnreachable):
            await read(service)
