"""The servers that are compared, one a process: `python servers.py NAME FOLDER` prints its URL.

Each answers POST /tasks with a task id and POST /tasks/{id}/execute with `EVENTS` lines of NDJSON, one
chunk at a time, as a stream of events that come one after another.

    terzetto       Terzetto, every event committed to its log on disk before it is sent
    memory         Terzetto with its log in memory: what durability costs
    fastapi        FastAPI on uvicorn with uvloop and httptools, without a log
    fastapi-log    the same with a log in SQLite that commits before each event is sent
    quart          quart-trio on Hypercorn, without a log
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

PARTS = 20
EVENTS = 35
"""Events of a task of the scripted agents with `PARTS` parts of text; the peers send as many."""
PEERS = ("fastapi", "fastapi-log", "quart")
HIGH = 8_192


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


async def terzetto(folder: Path | None) -> None:
    """The real server with scripted agents and high limits."""
    import trio

    from actors.clock import wall_clock
    from actors.settings import Settings
    from actors.testing import Cast, scripted_system
    from web import ServerSettings, create_app, serve

    parts = [f"This is sentence number {n}. [1] " for n in range(PARTS)]
    limits = {
        "max_running_tasks": HIGH,
        "max_queued_tasks": HIGH,
        "analyzer_mailbox": 1_024,
        "retriever_mailbox": 1_024,
        "writer_mailbox": 1_024,
        "writer_concurrency": 256,
        "retriever_concurrency": 256,
        "analyzer_concurrency": 256,
    }
    settings = Settings(data_dir=folder, **limits)
    chosen = ServerSettings(bind="127.0.0.1:0", max_streams_per_client=HIGH, **limits)
    async with scripted_system(Cast(parts=parts), settings=settings, now=wall_clock) as system:
        app = create_app(system, chosen)
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(partial(serve, app, chosen))
            print(urls[0], flush=True)


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

    with listening() as sock:  # Only to find a free port: uvicorn's own socket has TCP_NODELAY.
        port = sock.getsockname()[1]
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="error")


async def plain_lines(task_id: str) -> AsyncIterator[bytes]:
    """Events one after another, other requests between them."""
    for seq in range(1, EVENTS + 1):
        await asyncio.sleep(0)
        yield event(task_id, seq)


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


async def quart() -> None:
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
            for seq in range(1, EVENTS + 1):
                await trio.lowlevel.checkpoint()
                yield event(task_id, seq)

        return Response(lines(), content_type="application/x-ndjson")

    sock = listening()
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.loglevel = "ERROR"
    serving: Callable[..., Awaitable[None]] = serve
    await serving(app, config)


def listening() -> socket.socket:
    """A listening socket on a free port, whose URL is printed."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=HIGH)
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    return sock


def main(name: str, folder: Path) -> None:
    import trio

    match name:
        case "terzetto":
            trio.run(terzetto, folder)
        case "memory":
            trio.run(terzetto, None)
        case "fastapi":
            fastapi(plain_lines)
        case "fastapi-log":
            fastapi_with_log(folder)
        case "quart":
            trio.run(quart)
        case _:
            raise SystemExit(f"There is no server {name}.")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
