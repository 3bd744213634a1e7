"""`terzetto mcp` and the client of the SDK: as a child process, over HTTP, and in this process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from command_fakes import FakeService, Log, opened
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CallToolResult

from actors.errors import StorageUnavailable, TaskNotFound
from web.access.keys import Keys
from web.command import main
from web.data_folder import FolderHeld, hold
from web.mcp.server import IDLE_S, MOST_SESSIONS, SharedService, mcp_server, open_shared
from web.mcp.tools import MAX_TEXT, TOOLS, call

GUARD_S = 50.0
"""A hang guard, never a wait."""
NAMES = {
    *("run_task", "create_task", "execute_task", "task_status", "cancel_task"),
    "search_documents",
}
NOBODY = "00000000-0000-4000-8000-000000000000"


def text(result: CallToolResult, number: int = 0) -> str:
    return str(getattr(result.content[number], "text", ""))


def code(result: CallToolResult) -> str:
    assert result.is_error
    assert f"[{result.structured_content['code']}]" in text(result)
    return str(result.structured_content["code"])


def command(tmp_path: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "web.command", "mcp", "--data", str(tmp_path / "data"), *flags]


@asynccontextmanager
async def as_a_child(tmp_path: Path) -> AsyncIterator[Client]:
    program, *arguments = command(tmp_path)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with trio.fail_after(GUARD_S):
        async with Client(
            StdioServerParameters(command=program, args=arguments, env=env)
        ) as client:
            yield client


@asynccontextmanager
async def listening(command: list[str]) -> AsyncIterator[tuple[trio.Process, str]]:
    """A command that serves over HTTP, and its URL."""
    process = await trio.lowlevel.open_process(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        with trio.fail_after(GUARD_S):
            said = b""
            while b"(Ctrl-C" not in said:
                said += await process.stderr.receive_some()
            yield process, said.decode().partition(" at ")[2].split()[0]
    finally:
        process.kill()


@asynccontextmanager
async def over(service: FakeService | Exception) -> AsyncIterator[Client]:
    """A client and a server in this process, over a service or one that fails to open."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        if isinstance(service, Exception):
            raise service
        yield service

    with trio.fail_after(GUARD_S):
        async with open_shared(opening) as shared, Client(mcp_server(shared)) as client:
            yield client


# --- the whole command --------------------------------------------------------------------------


async def test_a_client_runs_a_task_with_progress_and_gets_its_report(tmp_path: Path) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    task = {"task_description": "What is backpressure, and how do bounded queues provide it?"}
    async with as_a_child(tmp_path) as client:
        listed = (await client.list_tools()).tools
        ran = await client.call_tool("run_task", task, progress_callback=progress)
        about = json.loads(text(ran, 1))
        status = await client.call_tool("task_status", {"task_id": about["task_id"]})
        again = await client.call_tool("execute_task", {"task_id": about["task_id"]})
        late = await client.call_tool("cancel_task", {"task_id": about["task_id"]})
        found = await client.call_tool("search_documents", {"query": "queues", "limit": 2})
        unknown = await client.call_tool("task_status", {"task_id": NOBODY})

    assert {tool.name for tool in listed} == NAMES
    for tool in listed:
        assert tool.description and tool.input_schema["additionalProperties"] is False
    assert not ran.is_error
    assert "## Sources" in text(ran)
    assert about["sources"][0]["n"] == 1
    assert text(again) == text(ran)
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert told[-1][0] == told[-1][1]
    assert status.structured_content["status"] == "completed"
    assert code(late) == "illegal_state"
    assert len(found.structured_content["results"]) == 2
    assert code(unknown) == "task_not_found"


async def test_it_goes_through_the_server_that_has_the_folder(tmp_path: Path) -> None:
    serve = [
        *(sys.executable, "-m", "web.command", "serve"),
        *("--data", str(tmp_path / "data"), "--bind", "127.0.0.1:0"),
    ]
    server = await trio.lowlevel.open_process(serve, stderr=subprocess.PIPE)
    assert server.stderr is not None
    said = b""
    while b"listens at" not in said:
        said += await server.stderr.receive_some()
    try:
        async with as_a_child(tmp_path) as client:
            made = await client.call_tool("create_task", {"task_description": "What is SQLite?"})
            task_id = made.structured_content["task_id"]
            ran = await client.call_tool("execute_task", {"task_id": task_id})
    finally:
        server.send_signal(signal.SIGTERM)
        await server.wait()

    assert "SQLite" in text(ran)


async def test_a_signal_ends_it_though_stdin_is_open_and_stdout_stays_empty(
    tmp_path: Path,
) -> None:
    process = await trio.lowlevel.open_process(
        command(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
    hello["clientInfo"] = {"name": "t", "version": "1"}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    with trio.fail_after(GUARD_S):
        await process.stdin.send_all(json.dumps(request).encode() + b"\n")
        answer = json.loads(await process.stdout.receive_some())
        process.send_signal(signal.SIGTERM)
        status = await process.wait()
        rest = await process.stdout.receive_some()

    assert answer["result"]["serverInfo"]["name"] == "terzetto"
    assert (status, rest) == (0, b"")


async def test_over_http_it_answers_this_machine_and_no_web_page(tmp_path: Path) -> None:
    async with listening(command(tmp_path, "--http", "127.0.0.1:0")) as (process, url):
        async with Client(url) as client:
            found = await client.call_tool("search_documents", {"query": "queues"})
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        async with httpx.AsyncClient(trust_env=False) as http:
            rebound = await http.post(url, json=ping, headers={"Host": "evil.example"})
            page = await http.post(url, json=ping, headers={"Origin": "http://localhost:99"})
        process.send_signal(signal.SIGTERM)
        status = await process.wait()

    assert found.structured_content["results"]
    assert (rebound.status_code, page.status_code) == (403, 403)
    assert status == 0


async def test_over_http_the_audit_log_has_who_called_and_who_was_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    _, secret = Keys(folder).add("a", "write", None)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with listening(command(tmp_path, "--http", "127.0.0.1:0")) as (process, url):
        async with httpx.AsyncClient(trust_env=False) as http:
            for headers in ({"X-API-Key": secret}, {}):
                await http.post(url, json=ping, headers=headers)
        process.send_signal(signal.SIGTERM)
        await process.wait()

    [called] = map(json.loads, (folder / "audit.log").read_text().splitlines())
    [refused] = map(json.loads, (folder / "refused.log").read_text().splitlines())
    assert (called["who"], called["action"]) == ("a", "POST /mcp")
    assert (refused["who"], refused["outcome"]) == (None, 401)


async def run_until_it_writes(client: Client) -> None:
    """Run a task that never ends, and cancel the call once its last step has started."""
    writing = trio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        if message == "Write it":
            writing.set()

    async def run() -> None:
        await client.call_tool("run_task", {"task_description": "x"}, progress_callback=progress)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await writing.wait()
        nursery.cancel_scope.cancel()


async def wait_for(file: Path) -> str:
    while not file.exists() or not file.read_text():
        await trio.sleep(0.01)
    return file.read_text()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_that_is_cancelled_over_pipes_cancels_its_task(
    tmp_path: Path, mode: str
) -> None:
    arguments = [str(Path(__file__).parent / "mcp_stuck_command.py"), str(tmp_path / "notes")]
    server = StdioServerParameters(command=sys.executable, args=arguments)
    with trio.fail_after(GUARD_S):
        async with Client(server, mode=mode) as client:
            await run_until_it_writes(client)
            reason = await wait_for(tmp_path / "notes")
            created = await client.call_tool("create_task", {"task_description": "x"})

    assert "MCP client cancelled" in reason
    assert not created.is_error


async def test_a_bounded_number_of_sessions_is_open_over_http(tmp_path: Path) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}}
    begin = {"clientInfo": {"name": "a", "version": "1"}, **hello}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin}
    accept = {"Accept": "application/json, text/event-stream"}
    async with (
        listening(command(tmp_path, "--http", "127.0.0.1:0")) as (process, url),
        httpx.AsyncClient(trust_env=False, headers=accept) as http,
    ):
        for _ in range(MOST_SESSIONS):
            answer = await http.post(url, json=message)
            assert answer.status_code == 200
        assert (await http.post(url, json=message)).status_code == 503
        session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        assert (await http.delete(url, headers=session)).status_code == 200
        assert (await http.post(url, json=message)).status_code == 200
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def test_a_call_that_is_cancelled_over_http_cancels_its_task(tmp_path: Path) -> None:
    script = Path(__file__).parent / "mcp_stuck_command.py"
    flags = [str(tmp_path / "notes"), "--http", "127.0.0.1:0"]
    async with listening([sys.executable, str(script), *flags]) as (process, url):
        async with Client(url) as client:
            await run_until_it_writes(client)
            reason = await wait_for(tmp_path / "notes")
        process.send_signal(signal.SIGINT)
        status = await process.wait()

    assert "MCP client cancelled" in reason
    assert status == 0


async def test_a_call_over_http_ends_with_its_key_and_so_does_its_task(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    keys = Keys(folder)
    _, secret = keys.add("a", "write", None)
    keys.add("b", "write", None)
    script = Path(__file__).parent / "mcp_stuck_command.py"
    flags = [str(tmp_path / "notes"), "--http", "127.0.0.1:0", "--data", str(folder)]
    headers = {"X-API-Key": secret, "Accept": "application/json, text/event-stream"}
    new = {"name": "run_task", "arguments": {"task_description": "x"}}
    hello = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": CLIENT}
    async with listening([sys.executable, str(script), *flags]) as (process, url):
        async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=GUARD_S) as http:
            began = await http.post(url, json=message("initialize", hello))
            session = {"Mcp-Session-Id": began.headers["Mcp-Session-Id"]}
            calling = message("tools/call", new)
            async with http.stream("POST", url, json=calling, headers=session) as answer:
                keys.revoke("a")
                said = (await answer.aread()).decode()
        reason = await wait_for(tmp_path / "notes")
        process.send_signal(signal.SIGINT)
        await process.wait()

    assert "[unauthorized]" in said
    assert "cancelled" in reason


CLIENT = {"name": "test", "version": "1"}


def message(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}


async def test_the_task_of_a_client_that_disconnects_is_cancelled(tmp_path: Path) -> None:
    script = Path(__file__).parent / "mcp_stuck_command.py"
    arguments = [str(script), str(tmp_path / "notes")]
    server = StdioServerParameters(command=sys.executable, args=arguments)
    called = trio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        called.set()

    async def run(client: Client) -> None:
        with pytest.raises(MCPError):
            await client.call_tool(
                "run_task", {"task_description": "x"}, progress_callback=progress
            )

    with trio.fail_after(GUARD_S):
        async with trio.open_nursery() as nursery:
            async with Client(server) as client:
                nursery.start_soon(run, client)
                await called.wait()
        assert "went away" in await wait_for(tmp_path / "notes")


def test_an_address_of_other_machines_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", "--http", "0.0.0.0:9", "--data", str(tmp_path)]) == 2

    told = capsys.readouterr().err
    assert "bind = 0.0.0.0:9" in told
    assert "terzetto keys add" in told


def test_without_the_extra_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("web.mcp.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("mcp", "mcp_types"):
        monkeypatch.setitem(sys.modules, name, None)

    assert main(["mcp", "--data", str(tmp_path)]) == 1
    assert "pip install 'terzetto[mcp]'" in capsys.readouterr().err


# --- over a fake service ------------------------------------------------------------------------


async def test_cancelling_the_call_cancels_the_task_it_has_started() -> None:
    service = FakeService([], stays_open=Log().until_writing())
    service.given = service.open_log.lines() if service.open_log else []
    started = trio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        if message == "Write it":
            started.set()

    async def run(client: Client) -> None:
        await client.call_tool("run_task", {"task_description": "x"}, progress_callback=progress)

    async with over(service) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, client)
            await started.wait()
            nursery.cancel_scope.cancel()
        while service.calls[-1][0] != "cancel":
            await trio.lowlevel.checkpoint()

    assert "MCP client" in service.calls[-1][2]


async def test_a_task_that_another_client_started_outlives_the_call() -> None:
    service = FakeService([], stays_open=Log().begin())
    seen = trio.Event()
    service.given = Log().begin().start("s1").lines()
    service.on_line = lambda seq: seen.set() if seq == 4 else None

    async def status(task_id: str) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"task_id": task_id, "status": "executing"}

    service.status = status  # type: ignore[method-assign]

    async def run(client: Client) -> None:
        await client.call_tool("execute_task", {"task_id": NOBODY})

    async with over(service) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, client)
            await seen.wait()
            nursery.cancel_scope.cancel()

    assert [call[0] for call in service.calls] == []


async def test_a_failed_and_a_cancelled_task_are_errors_with_their_codes() -> None:
    error = {"code": "step_timeout", "message": "The writer took longer than 2 s."}
    failed = Log().begin().add("task_failed", error=error, step_id="s5", partial_output=None)
    cancelled = Log().begin().add("task_cancelled", reason="enough", partial_output=None)
    cut = Log().begin()

    found = []
    for log in (failed, cancelled, cut):
        async with over(FakeService(log.lines())) as client:
            found.append(await client.call_tool("run_task", {"task_description": "x"}))

    assert [code(result) for result in found] == ["step_timeout", "task_cancelled", "interrupted"]
    assert "took longer than 2 s" in text(found[0])
    assert "enough" in text(found[1])


async def test_a_long_report_is_cut() -> None:
    log = Log().until_writing().finish("s5").complete("word " * 50_000)
    async with over(FakeService(log.lines())) as client:
        result = await client.call_tool("run_task", {"task_description": "x"})

    assert len(text(result)) == MAX_TEXT
    assert text(result).endswith(" …")


@pytest.mark.parametrize(
    ("tool", "arguments", "part"),
    [
        ("run_task", {}, "task_description"),
        ("run_task", {"task_description": "x", "deadline_s": 0}, "deadline_s"),
        ("search_documents", {"query": "x", "nope": 1}, "nope"),
        ("nope", {}, "nope"),
    ],
)
async def test_bad_arguments_are_reported(tool: str, arguments: dict[str, Any], part: str) -> None:
    async with over(FakeService()) as client:
        result = await client.call_tool(tool, arguments)

    assert code(result) == "invalid_request"
    assert part in text(result)


async def test_refusals_are_error_results_and_the_next_call_may_succeed() -> None:
    service = FakeService(refusals={"status": TaskNotFound("There is no such task.")})
    async with over(service) as client:
        gone = await client.call_tool("task_status", {"task_id": NOBODY})
        strange = await client.call_tool("task_status", {"task_id": "../documents"})
        created = await client.call_tool("create_task", {"task_description": "x"})
    async with over(FolderHeld("Another terzetto command is using it.")) as client:
        held = await client.call_tool("search_documents", {"query": "x"})
        again = await client.call_tool("search_documents", {"query": "x"})

    assert (code(gone), code(strange)) == ("task_not_found", "task_not_found")
    assert created.structured_content["status"] == "pending"
    assert (code(held), code(again)) == ("folder_in_use", "folder_in_use")


async def test_a_bug_ends_its_call_only() -> None:
    service = FakeService()
    service.search = None  # type: ignore[assignment]
    async with over(service) as client:
        broken = await client.call_tool("search_documents", {"query": "x"})
        created = await client.call_tool("create_task", {"task_description": "x"})

    assert code(broken) == "internal_error"
    assert not created.is_error


async def test_the_folder_is_released_when_no_call_runs(tmp_path: Path) -> None:
    async with as_a_child(tmp_path) as client:
        await client.call_tool("search_documents", {"query": "queues"})
        while True:
            try:
                with hold(tmp_path / "data"):
                    refused = await client.call_tool("search_documents", {"query": "queues"})
                    break
            except FolderHeld:
                await trio.sleep(0.1)
        found = await client.call_tool("search_documents", {"query": "queues"})

    assert code(refused) == "folder_in_use"
    assert found.structured_content["results"]


async def test_an_open_service_is_shared_and_closed_when_idle(autojump_clock: Any) -> None:
    service, open_now, times = FakeService(), 0, 0

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        nonlocal open_now, times
        open_now, times = open_now + 1, times + 1
        async with opened(service) as found:
            yield found
        open_now -= 1

    async with open_shared(opening) as shared:
        async with shared.use() as one, shared.use() as two:
            assert one is two is service
        async with shared.use():
            await trio.sleep(100)
            assert (open_now, times) == (1, 1)
        await trio.sleep(100)
        assert open_now == 0
        async with shared.use():
            assert (open_now, times) == (1, 2)
    assert open_now == 0


async def test_a_failure_while_closing_does_not_fail_the_next_call(
    autojump_clock: Any,
) -> None:
    times = 0

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        nonlocal times
        times += 1
        yield FakeService()
        await trio.sleep(10)
        if times == 1:
            raise StorageUnavailable("The disk is full.")

    async def used(shared: SharedService, for_s: float) -> None:
        async with shared.use():
            await trio.sleep(for_s)

    async with open_shared(opening) as shared, trio.open_nursery() as nursery:
        await used(shared, 1)
        await trio.sleep(IDLE_S + 1)
        nursery.start_soon(used, shared, 100)  # While the first one closes.
        await trio.sleep(20)
        await used(shared, 1)
        await used(shared, 1)
    assert times == 2


async def test_a_call_that_fails_cancels_its_task() -> None:
    service = FakeService([], stays_open=Log().until_writing())
    service.given = service.open_log.lines() if service.open_log else []
    tool = next(tool for tool in TOOLS if tool.name == "run_task")

    @asynccontextmanager
    async def used() -> AsyncIterator[FakeService]:
        yield service

    async def gone(done: float, total: float | None, message: str) -> None:
        raise trio.BrokenResourceError

    with pytest.raises(trio.BrokenResourceError):
        await call(tool, used, {"task_description": "x"}, gone)

    assert [name for name, *_ in service.calls] == ["create", "cancel"]


async def test_the_answer_to_many_faults_is_bounded() -> None:
    wrong = {f"{'x' * 1_000}{n}": n for n in range(500)}
    async with over(FakeService()) as client:
        result = await client.call_tool("search_documents", wrong)
        unknown = await client.call_tool("x" * 100_000, {})
        strange = await client.call_tool("task_status", {"task_id": "x" * 64})

    assert code(result) == code(unknown) == "invalid_request"
    assert len(text(result)) < 3_000
    assert len(text(unknown)) < 3_000
    assert code(strange) == "task_not_found"
