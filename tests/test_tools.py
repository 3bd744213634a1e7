"""Tools of other programs: real child processes, and a server over HTTP."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from actors.errors import ExtraMissing, InvalidRequest, ToolFailed
from actors.settings import Settings
from actors.tasks.plan import Question
from actors.tasks.tool_options import question_argument
from actors.tools import Tool, Tools, open_tools
from web.server import serve
from web.settings.model import ServerSettings

HERE = Path(__file__).parent
GUARD_S = 50.0
"""A hang guard, never a wait."""
ALL = ["search", "add", "picture", "key", "broken", "huge", "slow"]


@asynccontextmanager
async def started(**given: Any) -> AsyncIterator[Tools]:
    """One tool server named "pond" with these settings, after its first start."""
    settings = Settings.model_validate({"tools": {"pond": given}})
    with trio.fail_after(GUARD_S):
        async with open_tools(settings) as tools:
            await tools.wait_started()
            yield tools


def sdk(*arguments: str) -> list[str]:
    return [sys.executable, str(HERE / "mcp_sdk_server.py"), *arguments]


def raw(*arguments: str) -> list[str]:
    return [sys.executable, str(HERE / "mcp_raw_server.py"), *arguments]


@asynccontextmanager
async def over_http(port: int = 0) -> AsyncIterator[tuple[str, trio.Event]]:
    """A tool server in this process, at a URL; the event is set when its slow tool is cancelled."""
    from mcp.server.mcpserver import MCPServer

    server, cancelled = MCPServer("pond", log_level="ERROR"), trio.Event()

    @server.tool()
    def search(query: str) -> str:
        return f"Found {query}."

    @server.tool()
    async def slow(query: str) -> str:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    closing = trio.Event()
    app = server.streamable_http_app()
    given = ServerSettings(bind=f"127.0.0.1:{port}")
    async with trio.open_nursery() as nursery:
        serving = partial(serve, app, given, shutdown_trigger=closing.wait)
        (url, *_) = await nursery.start(serving)
        yield f"{url}/mcp", cancelled
        closing.set()


async def wait_for(file: Path, line: str) -> None:
    while not file.exists() or line not in file.read_text():
        await trio.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process has ended; it may still be a zombie."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"


async def test_only_allowed_tools_are_listed_and_called() -> None:
    async with started(command=sdk(), allowed=["search", "add", "nope"]) as tools:
        catalog = tools.catalog()
        with pytest.raises(InvalidRequest, match="pond/huge"):
            await tools.call("pond/huge", {"query": "x"}, "k")
        result = await tools.call("pond/search", {"query": "frogs"}, "k")
        added = await tools.call("pond/add", {"a": 1, "b": 2}, "k")

    assert [tool.full_name for tool in catalog] == ["pond/search", "pond/add"]
    assert catalog[0].description == "Search the library for words."
    assert [question_argument(tool.schema) for tool in catalog] == ["query", None]
    assert result.text.startswith("Found on frogs: frogs live")
    assert '"sum": 3' in added.text


async def test_a_tool_gets_the_key_and_only_the_variables_of_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "ours")
    async with started(command=sdk(), allowed=ALL, env={"TOKEN": "theirs"}) as tools:
        result = await tools.call("pond/key", {"query": ""}, "task/s3")

    assert result.text == "task/s3 theirs None"


async def test_an_error_is_a_result_and_a_huge_one_is_cut_and_a_picture_is_named() -> None:
    async with started(command=sdk(), allowed=ALL, max_result_bytes=2_000) as tools:
        broken = await tools.call("pond/broken", {"query": "frogs"}, "k")
        huge = await tools.call("pond/huge", {"query": ""}, "k")
        picture = await tools.call("pond/picture", {"query": ""}, "k")

    assert broken.text == ""
    assert broken.error.startswith("The tool pond/broken answered with an error: ")
    assert broken.error.endswith("no index for frogs")
    assert huge.cut and 1_900 < len(huge.text) <= 2_000
    assert picture.text == "A caption for a frog."
    assert picture.omitted == ("image image/png",)


async def test_invalid_arguments_are_an_answer() -> None:
    async with started(command=raw("refuses"), allowed=["search"]) as tools:
        result = await tools.call("pond/search", {"query": "frogs"}, "k")

    assert result.error == "The tool pond/search answered with an error: no ? frogs"


async def test_a_servers_own_error_does_not_end_its_session(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("errs", str(notes)), allowed=["search"]) as tools:
        for _ in range(3):
            with pytest.raises(ToolFailed, match="failed: no . frogs"):
                await tools.call("pond/search", {"query": "frogs"}, "k")

    assert notes.read_text().count("started") == 1


async def test_leaving_a_call_cancels_it_at_the_server(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=sdk(str(notes)), allowed=ALL, concurrency=1) as tools:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tools.call, "pond/slow", {"query": ""}, "k")
            await wait_for(notes, "slow began")
            nursery.cancel_scope.cancel()
        await wait_for(notes, "slow was cancelled")
        result = await tools.call("pond/search", {"query": "newts"}, "k")

    assert "newts" in result.text


async def test_a_call_that_takes_too_long_fails_and_is_cancelled(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("slow", str(notes)), allowed=ALL, timeout_s=3.0) as tools:
        with pytest.raises(ToolFailed, match="took longer than 3 s"):
            await tools.call("pond/search", {"query": ""}, "k")
        await wait_for(notes, "cancelled")


async def test_tools_are_called_over_http() -> None:
    async with over_http() as (url, _), started(url=url, allowed=["search", "slow"]) as tools:
        result = await tools.call("pond/search", {"query": "frogs"}, "k")

    assert result.text == "Found frogs."


async def test_leaving_a_call_over_http_cancels_it_at_the_server() -> None:
    async with over_http() as (url, cancelled):
        async with started(url=url, allowed=["search", "slow"]) as tools:
            with trio.move_on_after(1):
                await tools.call("pond/slow", {"query": ""}, "k")
            await cancelled.wait()


async def test_a_server_over_http_that_restarts_is_connected_again() -> None:
    async def serve_until(
        stop: trio.Event, port: int, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with over_http(port) as (url, _):
            task_status.started(url)
            await stop.wait()

    async with trio.open_nursery() as nursery:
        first, second = trio.Event(), trio.Event()
        url = await nursery.start(serve_until, first, 0)
        async with started(url=url, allowed=["search"]) as tools:
            assert tools.catalog()
            first.set()
            with pytest.raises(ToolFailed):
                while True:
                    await tools.call("pond/search", {"query": "frogs"}, "k")
            await nursery.start(serve_until, second, urlsplit(url).port)
            while not tools.catalog():
                await trio.sleep(0.01)
            result = await tools.call("pond/search", {"query": "frogs"}, "k")
        second.set()

    assert result.text == "Found frogs."


async def test_a_url_without_a_server_does_not_prevent_the_start() -> None:
    async with started(url="http://127.0.0.1:9/mcp", allowed=["search"]) as tools:
        with pytest.raises(ToolFailed, match="cannot be used"):
            await tools.call("pond/search", {"query": "frogs"}, "k")


async def test_a_server_that_dies_fails_its_call_and_is_started_again(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("dies", str(notes)), allowed=["search"]) as tools:
        with pytest.raises(ToolFailed):
            await tools.call("pond/search", {"query": "a"}, "k/1")
        while not tools.catalog():
            await trio.sleep(0.01)
        result = await tools.call("pond/search", {"query": "a"}, "k/1")

    assert result.text == "Frogs live in ponds."
    lines = notes.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["started", "listed", "called"] * 2
    assert "k/1" in lines[-1]


async def test_a_server_that_sends_an_endless_line_is_started_again(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("endless", str(notes)), allowed=["search"]) as tools:
        with pytest.raises(ToolFailed):
            await tools.call("pond/search", {"query": "a"}, "k")
        while notes.read_text().count("started") < 2:
            await trio.sleep(0.01)


async def test_a_server_that_never_answers_times_out_and_calls_fail_at_once() -> None:
    async with started(command=raw("silent"), allowed=["search"], timeout_s=1.0) as tools:
        assert tools.catalog() == ()
        with pytest.raises(ToolFailed, match="did not answer within 1 s"):
            await tools.call("pond/search", {"query": "a"}, "k")


async def test_a_program_that_does_not_exist_does_not_prevent_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with started(command=["/nowhere/tool"], allowed=["search"]) as tools:
        assert tools.catalog() == ()

    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("the tool server pond cannot be used:")
    assert "there is no program tool that can be run" in told[0]


async def test_no_process_outlives_its_block_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("deaf", str(notes)), allowed=["search"]) as tools:
        assert tools.catalog()
        pid = int(notes.read_text().split()[1])
        assert not gone(pid)

    assert gone(pid)


async def test_a_cancelled_block_ends_its_processes_too(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with trio.CancelScope() as scope:
        async with started(command=raw("none", str(notes)), allowed=["search"]):
            pid = int(notes.read_text().split()[1])
            scope.cancel()
            await trio.sleep_forever()

    assert gone(pid)


async def test_without_the_extra_only_settings_with_tools_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("actors.tools.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("mcp", "mcp_types"):
        monkeypatch.setitem(sys.modules, name, None)

    async with open_tools(Settings()) as tools:
        assert tools.catalog() == ()
    settings = Settings.model_validate({"tools": {"pond": {"command": ["x"]}}})
    with pytest.raises(ExtraMissing, match=r"pip install 'terzetto\[mcp\]'"):
        async with open_tools(settings):
            pass


def text(name: str, description: str = "") -> dict[str, Any]:
    argument = {"type": "string", "description": description}
    return {"required": [name], "properties": {name: argument}}


QUESTIONS = ("The user's question, in plain words", "Search query.", "The text to search for")
OTHERS = ("", "The city to query", "Path of the text file", "Text file to read", "The query ID")


@pytest.mark.parametrize(
    ("schema", "argument"),
    [
        ({"required": ["q"], "properties": {"q": {"type": "string"}, "n": {}}}, "q"),
        ({"required": ["q"], "properties": {"q": {"type": "integer"}}}, None),
        ({"required": ["q"], "properties": {"q": {"type": "string", "enum": ["a"]}}}, None),
        ({"required": ["q", "r"], "properties": {"q": {"type": "string"}}}, None),
        ({"required": [], "properties": {"q": {"type": "string"}}}, None),
        ({"required": ["q"]}, None),
        ({"required": [{}], "properties": {}}, None),
        ({}, None),
        *((text(name), name) for name in ("query", "searchQuery", "search_string", "text", "Q")),
        *((text(name), None) for name in ("path", "city", "time_zone", "query_id", "textFile")),
        *((text("input", does), "input") for does in QUESTIONS),
        *((text("input", does), None) for does in OTHERS),
    ],
)
def test_a_tool_whose_one_required_text_is_a_question_is_asked_it(
    schema: dict[str, Any], argument: str | None
) -> None:
    assert question_argument(schema) == argument


def test_a_query_gets_search_words_and_a_prompt_gets_the_sentence() -> None:
    question = Question("s2", "Where do frogs live?", "frogs live")

    def arguments(name: str) -> dict[str, Any]:
        schema = {"required": [name], "properties": {name: {"type": "string"}}}
        return Tool("s", "t", "", schema).tool_option().arguments(question)

    assert arguments("query") == {"query": "frogs live"}
    assert arguments("question") == {"question": "Where do frogs live?"}
    assert Tool("s", "t", "", {}).tool_option().arguments(question) == {}


# --- replies that cannot be read ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "text"),
    [("half", "Frogs ? live in ponds."), ("utf8", "Frogs live in \ufffd ponds.")],
)
async def test_a_reply_with_broken_characters_is_read_without_them(fault: str, text: str) -> None:
    async with started(command=raw(fault), allowed=["search"], timeout_s=40) as tools:
        with trio.fail_after(20):
            result = await tools.call("pond/search", {"query": "frogs"}, "k")
    assert result.text == text


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("wrong_id", "a request that it was not sent"),
        ("last_id", "a request that it was not sent"),
        ("null_id", "a request that it was not sent"),
        ("no_id", "a request that it was not sent"),
        ("odd_result", "does not follow the protocol"),
    ],
)
async def test_a_reply_that_cannot_be_read_fails_its_call_at_once(fault: str, told: str) -> None:
    async with started(command=raw(fault), allowed=["search"], timeout_s=40) as tools:
        for _ in range(2):
            with trio.fail_after(20), pytest.raises(ToolFailed, match=told):
                await tools.call("pond/search", {"query": "frogs"}, "k")
