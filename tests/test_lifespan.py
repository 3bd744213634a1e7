"""`web:app`, the ASGI app that brings its own system, under stock Hypercorn."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from http_raw import HOST, Client
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.utils import LifespanFailureError
from scripted import Cast

import actors.system
from actors.journal.memory import MemoryStore
from actors.settings import Settings
from actors.system import System
from web.api.asgi import App


class BrokenStore(MemoryStore):
    async def append(self, group: Any) -> Any:
        raise OSError("the disk has gone")


@pytest.fixture
def config() -> Config:
    found = Config()
    found.bind = ["127.0.0.1:0"]
    found.loglevel = "CRITICAL"
    found.graceful_timeout = 0.1
    return found


async def test_a_server_whose_system_has_died_ends(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = actors.system.open_system

    def broken(_: Settings) -> AbstractAsyncContextManager[System]:
        return real(Settings(), store=BrokenStore())

    monkeypatch.setattr(actors.system, "open_system", broken)
    monkeypatch.setenv("TERZETTO_DATA_DIR", str(tmp_path / "data"))
    answered: list[int] = []
    with pytest.RaisesGroup(LifespanFailureError, flatten_subgroups=True):
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                (url, *_) = await nursery.start(partial(serve, App(), config))
                async with httpx.AsyncClient(base_url=url, verify=False) as http:
                    try:
                        new = {"task_description": "frogs"}
                        answered.append((await http.post("/tasks", json=new)).status_code)
                    except httpx.TransportError:
                        pass
                await trio.sleep_forever()
    assert 201 not in answered


async def test_it_serves_and_stops_with_its_server(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TERZETTO_DATA_DIR", str(tmp_path / "data"))
    closing = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            run = partial(serve, App(), config, shutdown_trigger=closing.wait)
            (url, *_) = await nursery.start(run)
            async with httpx.AsyncClient(base_url=url, verify=False) as http:
                assert (await http.get("/readyz")).status_code == 200
            closing.set()


async def test_bodies_and_streams_work_and_a_reader_that_leaves_cancels(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TERZETTO_DATA_DIR", str(tmp_path / "data"))
    agents = Cast(parts=["One. ", "Two. "], pause_s=0.5).factories()
    real = actors.system.open_system
    monkeypatch.setattr(actors.system, "open_system", partial(real, agents=agents))
    closing = trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            run = partial(serve, App(), config, shutdown_trigger=closing.wait)
            (url, *_) = await nursery.start(run)
            async with httpx.AsyncClient(base_url=url, verify=False) as http:
                made = await http.post("/tasks", json={"task_description": "frogs"})
                task = f"/tasks/{made.json()['task_id']}"
                host, port = url.removeprefix("http://").rsplit(":", 1)
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    line = f"POST {task}/execute?on_disconnect=cancel HTTP/1.1\r\n"
                    await stream.send_all(line.encode() + HOST + b"\r\n")
                    reader = Client(stream)
                    assert (await reader.head()).status == 200
                    while b"partial_output" not in (await reader.chunk() or b""):
                        pass
                while (await http.get(f"{task}/status")).json()["status"] != "cancelled":
                    await trio.sleep(0.02)

                made = await http.post("/tasks", json={"task_description": "toads"})
                run_url = f"/tasks/{made.json()['task_id']}/execute"
                *_, last = (await http.post(run_url)).text.splitlines()
                assert made.status_code == 201 and "task_completed" in last
            closing.set()
