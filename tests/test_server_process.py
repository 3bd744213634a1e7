"""The server as a process: killed, stopped, started again on the same folder.

These run the real command, so they are slower than the rest: a start takes about a second.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from api_client import Api, check_fold, check_log, of_type, parse, parse_note, types

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent
START_S = 30.0
"""A hang guard for a start on a busy machine."""

LONG = " ".join(
    f"How does {what} work, when does it help, and what does it cost?"
    for what in ("caching", "event sourcing", "full-text search", "async I/O", "the actor model")
)


@dataclass
class Server:
    """A running `terzetto serve`."""

    process: trio.Process
    url: str
    said: list[str]

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        async with httpx.AsyncClient(base_url=self.url, timeout=20, verify=False) as http:
            yield Api(http)

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        with trio.fail_after(START_S):
            return await self.process.wait()


async def _listen(process: trio.Process, said: list[str], ready: trio.Event) -> None:
    assert process.stderr is not None
    rest = b""
    async for piece in process.stderr:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            said.append(line.decode())
            if b"listens at" in line:
                ready.set()
    ready.set()


def command(data: Path, *flags: str) -> list[str]:
    return [str(BIN / "terzetto"), "serve", "--data", str(data), "--bind", "127.0.0.1:0", *flags]


@asynccontextmanager
async def running(data: Path, *flags: str) -> AsyncIterator[Server]:
    """The real command on this folder, ready; it is killed at the end if it still runs."""
    said: list[str] = []
    ready = trio.Event()
    process = await trio.lowlevel.open_process(
        command(data, *flags), stderr=subprocess.PIPE, cwd=ROOT
    )
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, process, said, ready)
            with trio.fail_after(START_S):
                await ready.wait()
            found = [line.split("listens at ")[1].split()[0] for line in said if "listens" in line]
            assert found, said
            yield Server(process, found[0], said)
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        assert process.stderr is not None
        await process.stderr.aclose()


async def finished(api: Api, task_ids: list[str]) -> dict[str, list[bytes]]:
    """The whole logs of these tasks, once they have ended."""
    logs = {}
    with trio.fail_after(START_S):
        for task_id in task_ids:
            async with api.events(task_id) as stream:
                logs[task_id] = await stream.rest()
    return logs


async def test_the_command_says_where_it_listens_and_writes_it_down(tmp_path):
    data = tmp_path / "data"
    async with running(data) as server:
        written = json.loads((data / "server.json").read_text())

        async with server.api() as api:
            assert written["url"].rstrip("/") == server.url.rstrip("/")
            assert (await api.http.get("/readyz")).status_code == 200
            assert data.stat().st_mode & 0o777 == 0o700
        assert await server.stop() == 0
    assert not (data / "server.json").exists()


async def test_tasks_go_on_after_a_kill_and_readers_get_the_exact_rest(tmp_path):
    killed: list[str] = []
    read: dict[str, list[bytes]] = {}
    for count in (1, 4, 11):
        async with running(tmp_path) as server, server.api() as api:
            await check_rest(api, killed, read)
            killed = [await api.create(f"{LONG} {n}") for n in range(4)]
            for one in killed[1:]:
                await api.http.post(f"/tasks/{one}/execute", headers={"Prefer": "respond-async"})
            async with api.execute(killed[0]) as stream:
                lines = await stream.lines(count)
                await server.kill()
                lines += await stream.until_cut()
            read = {killed[0]: lines}

    async with running(tmp_path) as server, server.api() as api:
        resumed = await check_rest(api, killed, read)
        assert resumed, "the last kill came after all work was done"
        everything = (await api.http.get("/tasks", params={"limit": 200})).json()["tasks"]
        assert {task["status"] for task in everything} == {"completed"}


async def check_rest(api: Api, killed: list[str], read: dict[str, list[bytes]]) -> int:
    """Come back to each task after a kill; how many of them had to be resumed."""
    rests = {}
    for one, lines in read.items():
        async with api.events(one, after=len(lines)) as stream:
            rests[one] = await stream.rest()
    resumed = 0
    for one, log in (await finished(api, killed)).items():
        events = check_log(log)
        if one in read:
            assert log == [*read[one], *rests[one]]
        assert events[-1]["event_type"] == "task_completed"
        check_fold(await api.task(one), events)
        reasons = [data["reason"] for data in of_type(events, "task_resumed")]
        assert reasons in ([], ["restart"])
        resumed += len(reasons)
    return resumed


async def test_a_task_survives_being_killed_again_and_again(tmp_path):
    async with running(tmp_path) as server, server.api() as api:
        task_ids = [await api.create(f"{LONG} {n}") for n in range(4)]
        for one in task_ids:
            await api.http.post(f"/tasks/{one}/execute", headers={"Prefer": "respond-async"})
        await server.kill()
    seen: dict[str, list[bytes]] = {one: [] for one in task_ids}
    for _ in range(2):
        async with running(tmp_path) as server, server.api() as api:
            for one in task_ids:
                log = await api.log(one)
                assert log[: len(seen[one])] == seen[one]
                seen[one] = log
            await server.kill()

    async with running(tmp_path) as server, server.api() as api:
        logs = await finished(api, task_ids)
        for one, log in logs.items():
            assert log[: len(seen[one])] == seen[one]
            assert check_log(log)[-1]["event_type"] in {"task_completed", "task_failed"}


async def test_a_created_task_is_there_after_a_kill_at_once(tmp_path):
    async with running(tmp_path) as server, server.api() as api:
        headers = {"Idempotency-Key": "k"}
        body = {"task_description": "durable"}
        made = await api.http.post("/tasks", json=body, headers=headers)
        await server.kill()
    assert (
        tmp_path / "server.json"
    ).exists()  # What is left of a killed server is in nobody's way.

    async with running(tmp_path) as server, server.api() as api:
        again = await api.http.post("/tasks", json=body, headers=headers)
        assert again.content == made.content
        assert len((await api.http.get("/tasks")).json()["tasks"]) == 1


async def test_sigterm_ends_streams_properly_and_the_next_start_finishes_the_tasks(tmp_path):
    stopped: list[int] = []
    async with running(tmp_path, "--set", "grace_s=0") as server, server.api() as api:
        others = [await api.create(f"{LONG} {n}") for n in range(8)]
        for other in others:
            await api.http.post(f"/tasks/{other}/execute", headers={"Prefer": "respond-async"})
        pending = await api.create("is followed, and never started")
        async with api.events(pending) as followed, api.execute(others[-1]) as stream:
            await followed.line()
            lines = await stream.lines(4)
            server.process.send_signal(signal.SIGTERM)
            lines += await stream.rest()
            (closing,) = await followed.rest()
        with trio.fail_after(START_S):
            stopped.append(await server.process.wait())

    assert stopped == [0], server.said
    note = parse_note(closing)["data"]
    assert note == {"reason": "draining", "resume_after": 1}
    if b'"seq"' not in lines[-1]:
        note = parse_note(lines.pop())["data"]
        assert note == {"reason": "draining", "resume_after": len(lines)}
    else:
        assert parse(lines[-1])["event_type"] == "task_completed"
    async with running(tmp_path) as server, server.api() as api:
        logs = await finished(api, others)
        assert logs[others[-1]][: len(lines)] == lines
        assert any(b'"task_resumed"' in line for log in logs.values() for line in log)
        for log in logs.values():
            events = check_log(log)
            assert types(events)[-1] == "task_completed"
            attempts = {data["attempt"] for data in of_type(events, "step_completed")}
            assert max(attempts) <= 2
        assert (await api.task(pending))["status"] == "pending"


async def test_a_request_that_is_answered_late_does_not_make_stopping_a_failure(tmp_path):
    async with running(tmp_path) as server, server.api() as api, trio.open_nursery() as nursery:
        slow, kind = b"a.\n\n" * 400_000, {"Content-Type": "text/plain"}
        nursery.start_soon(partial(_posted, api, "/documents", content=slow, headers=kind))
        with trio.fail_after(START_S):
            while not (await api.http.get("/health")).json()["gauges"]["parsing"]:
                await trio.sleep(0.05)
        assert await server.stop() == 0, server.said

    assert not any("removed" in line for line in server.said), server.said


async def _posted(api: Api, path: str, **given: Any) -> None:
    """A request that may not be answered any more."""
    with suppress(httpx.TransportError):
        await api.http.post(path, **given)


async def test_sigint_stops_an_idle_server_cleanly(tmp_path):
    async with running(tmp_path) as server, server.api() as api:
        await api.http.get("/livez")
        with trio.fail_after(8):
            server.process.send_signal(signal.SIGINT)
            assert await server.process.wait() == 0
    assert not any("Traceback" in line for line in server.said), server.said


BLOCKING = """
from pydantic import BaseModel

class Asked(BaseModel):
    text: str

class Blocks:
    name, does, asks, when = "blocks", "keeps the loop to itself", Asked, ("block",)

    async def handle(self, request, about):
        while True:
            pass
"""


async def test_a_second_signal_ends_a_server_whose_loop_is_blocked(tmp_path):
    (tmp_path / "blocking.py").write_text(BLOCKING)
    agents = f'agents=["{tmp_path / "blocking.py"}:Blocks"]'
    async with running(tmp_path / "data", "--set", agents) as server, server.api() as api:
        task_id = await api.create("Please block it")
        await api.http.post(f"/tasks/{task_id}/execute", headers={"Prefer": "respond-async"})
        with trio.fail_after(START_S):
            while not any("blocked for" in line and "blocks" in line for line in server.said):
                await trio.sleep(0.05)
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)  # Two of a kind could come as one.
            ended = await server.process.wait()
            while not any(
                "ended at once; the event loop was blocked" in line for line in server.said
            ):
                await trio.sleep(0.05)

    assert ended in (128 + signal.SIGTERM, 128 + signal.SIGINT)


async def test_a_second_server_on_the_same_folder_refuses_and_says_why(tmp_path):
    async with running(tmp_path) as server, server.api() as api:
        with trio.fail_after(START_S):
            second = await trio.run_process(
                command(tmp_path), capture_stderr=True, check=False, cwd=ROOT
            )

        said = second.stderr.decode()
        assert second.returncode not in {0, None}
        assert "Traceback" not in said
        assert str(tmp_path) in said.replace("\n", "") or server.url.rstrip("/") in said, said
        assert (await api.http.get("/livez")).status_code == 200
        assert json.loads((tmp_path / "server.json").read_text())["url"].startswith("http://")


async def test_hypercorn_serves_web_app_with_the_folder_from_the_environment(tmp_path):
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--worker-class", "trio", "--bind", f"127.0.0.1:{port}", "web:app"]
    process = await trio.lowlevel.open_process(
        [str(BIN / "hypercorn"), *arguments],
        cwd=ROOT,
        env={**os.environ, "TERZETTO_DATA_DIR": str(tmp_path / "data")},
        stderr=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, verify=False, timeout=20) as http:
            with trio.fail_after(START_S):
                while True:
                    try:
                        ready = await http.get("/readyz")
                    except httpx.TransportError:
                        await trio.sleep(0.05)  # It does not listen yet.
                    else:
                        break
            assert ready.status_code == 200
            api = Api(http)
            task_id = await api.create("Compare caching and event sourcing.")
            events = check_log(await api.run(task_id))
            assert events[-1]["event_type"] == "task_completed"
        assert (tmp_path / "data").is_dir()
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(START_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


STUCK_AGENT = """
import atexit, multiprocessing, threading, time, trio
from pydantic import BaseModel

class Asks(BaseModel):
    question: str

class Mine:
    name, does, asks = "stuck", "Never stops.", Asks

    async def handle(self, request, about):
        if "newt" in request.question:
            multiprocessing.get_context("fork").Process(target=time.sleep, args=(900,)).start()
            return "Newts sing."
        if "crow" in request.question:
            atexit.register(time.sleep, 900)
            return "Crows sing."
        threading.Thread(target=time.sleep, args=(900,), name="left behind").start()
        if "frog" in request.question:
            await trio.to_thread.run_sync(time.sleep, 900)
        return "Toads sing."
"""


async def test_threads_and_processes_of_an_agent_do_not_keep_the_server_from_stopping(tmp_path):
    (tmp_path / "stuck.py").write_text(STUCK_AGENT)
    flags = ("--set", f"agents={tmp_path / 'stuck.py'}:Mine", "--set", "grace_s=0")
    texts = {"Do toads sing?": 0, "Do newts sing?": 0, "Do crows sing?": 0, "Do frogs sing?": 1}
    for text, code in texts.items():
        async with running(tmp_path / "data", *flags) as server:
            async with server.api() as api:
                task_id = await api.create(text)
                await api.start(task_id)
                await trio.sleep(1)
            with trio.fail_after(START_S):
                assert await server.stop() == code


DEAF_AGENT = """
import signal
from pydantic import BaseModel

signal.signal(signal.SIGINT, signal.SIG_IGN)

class Asks(BaseModel):
    question: str

class Mine:
    name, does, asks = "deaf", "Ignores signals.", Asks

    async def handle(self, request, about):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return "Toads sing."
"""


async def test_an_agent_that_ignores_signals_does_not_keep_the_server_from_stopping(tmp_path):
    (tmp_path / "deaf.py").write_text(DEAF_AGENT)
    flags = ("--set", f"agents={tmp_path / 'deaf.py'}:Mine")
    async with running(tmp_path / "data", *flags) as server:
        async with server.api() as api:
            await api.start(await api.create("Do toads sing?"))
        with trio.fail_after(START_S):
            while len([line for line in server.said if "has replaced the handler" in line]) < 2:
                await trio.sleep(0.05)
        assert await server.stop() == 0
