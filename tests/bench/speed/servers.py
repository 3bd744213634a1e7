"""The servers that are compared, one a process: `python servers.py NAME FOLDER` prints its URL.

Each answers POST /tasks with a task id and POST /tasks/{id}/execute with `EVENTS` lines of NDJSON, one
chunk at a time, as a stream of events that come one after another.

    terzetto       Terzetto, every event committed to its log on disk before it is sent
    memory         Terzetto with its log in memory: what durability costs
    fastapi        FastAPI on uvicorn with uvloop and httptools, without a log
    fastapi-log    the same with a log in SQLite that commits before each event is sent
    quart          quart-trio on Hypercorn, without a log

With `--open N` up to N streams stay open after their last event but two. With `--layers FILE` Terzetto
counts whose code it executes, see `layers.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

PARTS = 20
EVENTS = 35
"""Events of a task of the scripted agents with `PARTS` parts of text; the peers send as many."""
EVENTS_OPEN = EVENTS - 2
"""Events of a stream that stays open: those of the ends of its last step and of the task are missing."""

TEXTS = [f"This is sentence number {n}. [1] " for n in range(PARTS)]
PEERS = ("fastapi", "fastapi-log", "quart")
HIGH = 8_192
LIMITS = {
    "max_running_tasks": HIGH,
    "max_queued_tasks": HIGH,
    "step_timeout_s": 3_600,
    "analyzer_mailbox": 1_024,
    "retriever_mailbox": 1_024,
    "writer_mailbox": 1_024,
    "writer_concurrency": 256,
    "retriever_concurrency": 256,
    "analyzer_concurrency": 256,
}


class NewTask(BaseModel):
    """The body of POST /tasks."""

    task_description: str


def event(task_id: str, seq: int) -> bytes:
    """A line as Terzetto sends it."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content = {"step_id": "s4", "step": "writing", "attempt": 1, "content": f"Sentence {seq}. [1]"}
    line = {
        "seq": seq,
        "event_type": "partial_output",
        "task_id": task_id,
        "timestamp": stamp,
        "data": content,
    }
    return json.dumps(line).encode() + b"\n"


def terzetto(folder: Path, *, in_memory: bool, stay_open: int) -> int:
    """The real server with scripted agents and high limits; its exit code."""
    import web.server
    from actors.clock import wall_clock
    from actors.testing import HANG, Cast, scripted_system
    from web import ServerSettings

    cast = Cast(parts=TEXTS, act_after=PARTS, writes=[HANG] * stay_open)

    def opened(settings: ServerSettings) -> Any:
        changed: dict[str, Any] = {"data_dir": None} if in_memory else {}
        if stay_open:  # A worker for each task that writes; the settings allow fewer.
            changed["writer_concurrency"] = stay_open
        return scripted_system(cast, settings=settings.model_copy(update=changed), now=wall_clock)

    bind = f"127.0.0.1:{free_port()}"
    settings = ServerSettings(data_dir=folder, bind=bind, max_streams_per_client=HIGH, **LIMITS)
    return web.server.run(settings, opens=opened)


def fastapi(lines_of: Callable[[str], AsyncIterator[bytes]], opened: Any = None) -> None:
    """FastAPI on uvicorn; `opened` is its lifespan."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI(lifespan=opened)

    async def create(new: NewTask) -> dict[str, str]:
        return {"task_id": str(uuid4()), "status": "pending"}

    async def execute(task_id: str) -> StreamingResponse:
        return StreamingResponse(lines_of(task_id), media_type="application/x-ndjson")

    app.add_api_route("/tasks", create, methods=["POST"], status_code=201)
    app.add_api_route("/tasks/{task_id}/execute", execute, methods=["POST"], response_model=None)

    uvicorn.run(app, port=free_port(), loop="uvloop", http="httptools", log_level="error")


async def plain_lines(task_id: str, *, stays_open: bool) -> AsyncIterator[bytes]:
    """Events one after another, other requests between them."""
    for seq in range(1, (EVENTS_OPEN if stays_open else EVENTS) + 1):
        await asyncio.sleep(0)
        yield event(task_id, seq)
    if stays_open:
        await asyncio.Event().wait()


def fastapi_with_log(folder: Path) -> None:
    """Each event is committed before it is sent, as people write it with aiosqlite."""
    from contextlib import asynccontextmanager

    import aiosqlite

    opened: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with aiosqlite.connect(folder / "events.db") as db:
            await db.execute("PRAGMA journal_mode=WAL")
            await db.execute("PRAGMA synchronous=FULL")
            await db.execute("CREATE TABLE events (task_id, seq, line, PRIMARY KEY (task_id, seq))")
            opened["db"] = db
            yield

    async def lines(task_id: str) -> AsyncIterator[bytes]:
        for seq in range(1, EVENTS + 1):
            line = event(task_id, seq)
            await opened["db"].execute("INSERT INTO events VALUES (?, ?, ?)", (task_id, seq, line))
            await opened["db"].commit()
            yield line

    fastapi(lines, lifespan)


async def quart(*, stays_open: bool) -> None:
    """quart-trio on Hypercorn, as their documentation shows."""
    import trio
    from hypercorn.config import Config
    from hypercorn.trio import serve
    from quart import Response, request
    from quart_trio import QuartTrio

    app = QuartTrio(__name__)

    @app.post("/tasks")
    async def create() -> Any:
        await request.get_json()
        return {"task_id": str(uuid4()), "status": "pending"}, 201

    @app.post("/tasks/<task_id>/execute")
    async def execute(task_id: str) -> Any:
        async def lines() -> AsyncIterator[bytes]:
            for seq in range(1, (EVENTS_OPEN if stays_open else EVENTS) + 1):
                await trio.lowlevel.checkpoint()
                yield event(task_id, seq)
            if stays_open:
                await trio.sleep_forever()

        response = Response(lines(), content_type="application/x-ndjson")
        response.timeout = None  # Else a stream is cut after a minute.
        return response

    config = Config()
    config.bind = [f"127.0.0.1:{free_port()}"]
    config.backlog = HIGH
    config.loglevel = "ERROR"
    serving: Callable[..., Awaitable[None]] = serve
    await serving(app, config)


def free_port() -> int:
    """A free port; its URL is printed, and nothing listens there yet."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    print(f"http://127.0.0.1:{port}", flush=True)
    return port


def end_with_the_parent() -> None:
    """Wait until stdin is closed, so that no server is left behind."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    import trio

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("terzetto", "memory", *PEERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--open", type=int, default=0)
    parser.add_argument("--layers", type=Path)
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    match asked.name:
        case "fastapi":
            fastapi(partial(plain_lines, stays_open=asked.open > 0))
        case "fastapi-log":
            fastapi_with_log(asked.folder)
        case "quart":
            trio.run(partial(quart, stays_open=asked.open > 0))
        case name:
            if asked.layers:
                import_module("tests.bench.speed.layers").count_layers(asked.layers)
            in_memory = name == "memory"
            sys.exit(terzetto(asked.folder, in_memory=in_memory, stay_open=asked.open))


if __name__ == "__main__":
    main()
