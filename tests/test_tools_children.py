"""Tool servers as misbehaving child processes: their children, pipes and exits."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from test_tools import GUARD_S, gone, raw, started

from actors.errors import ToolFailed
from actors.settings import ToolServerSettings
from actors.tools.secrets import Secrets


def child_of(notes: Path) -> int:
    (line,) = [line for line in notes.read_text().splitlines() if line.startswith("child")][-1:]
    return int(line.split()[1])


KINDS = ["parent", "session", "daemon"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_children_of_a_server_are_gone_with_it(kind: str, tmp_path: Path) -> None:
    """Also those in a session of their own, which no signal to the process group reaches."""
    notes = tmp_path / "notes"
    async with started(command=raw(kind, str(notes)), allowed=["search"]) as tools:
        assert tools.catalog()
        pid = child_of(notes)
        assert not gone(pid)

    with trio.fail_after(GUARD_S):
        while not gone(pid):  # It was killed; the system may take a moment.
            await trio.sleep(0.01)


OWNER = """
import sys, trio
from actors.settings import Settings
from actors.tools import open_tools

async def main():
    pond = {"command": sys.argv[1:], "allowed": ["search"]}
    async with open_tools(Settings.model_validate({"tools": {"pond": pond}})) as tools:
        await tools.wait_started()
        print(len(tools.catalog()), flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the keeper is for Linux")
@pytest.mark.parametrize("kind", [*KINDS, "deaf"])
async def test_a_server_and_its_children_are_gone_after_a_kill_of_their_owner(
    kind: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    command = [sys.executable, "-c", OWNER, *raw(kind, str(notes))]
    with trio.fail_after(GUARD_S):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:  # noqa: ASYNC220 - it is only killed.
            try:
                assert owner.stdout is not None
                listed = await trio.to_thread.run_sync(owner.stdout.readline)
                lines = [line.split() for line in notes.read_text().splitlines()]
                pids = [int(line[1]) for line in lines if line[0] in ("started", "child")]
                alive = [pid for pid in pids if not gone(pid)]
            finally:
                owner.kill()
        while not all(map(gone, pids)):
            await trio.sleep(0.01)
    assert listed == b"1\n" and alive == pids and len(pids) == (1 if kind == "deaf" else 2)


async def test_the_exit_of_a_server_is_noticed_though_its_child_holds_its_pipes(
    tmp_path: Path,
) -> None:
    notes = tmp_path / "notes"
    command = raw("orphan", str(notes))
    async with started(command=command, allowed=["search"], timeout_s=40.0) as tools:
        with pytest.raises(ToolFailed) as failed:
            await tools.call("pond/search", {"query": "a"}, "k")
        while not tools.catalog():
            await trio.sleep(0.01)
        result = await tools.call("pond/search", {"query": "a"}, "k")

    assert "took longer" not in str(failed.value)
    assert result.text == "Frogs live in ponds."


async def test_a_call_of_a_server_that_stops_reading_times_out_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with started(command=raw("clogged"), allowed=["search"], timeout_s=2.0) as tools:
        with pytest.raises(ToolFailed, match="took longer than 2 s"):
            await tools.call("pond/search", {"query": "frogs " * 100_000}, "k")

    assert [r.getMessage() for r in caplog.records if r.name.startswith("actors")] == []


@pytest.fixture
def flaky() -> Any:
    """A server that cannot be reached at first, and then never answers. It counts its attempts."""
    from actors.tools.server import ToolServer

    class Flaky(ToolServer):
        attempts = 0

        @asynccontextmanager
        async def _transport(self) -> AsyncIterator[Any]:
            self.attempts += 1
            if self.attempts == 1:
                raise OSError("not yet")
            await trio.sleep_forever()
            yield

    given = ToolServerSettings(url="http://127.0.0.1:9/mcp", timeout_s=600)
    return Flaky("pond", given, Secrets())


@pytest.mark.parametrize("checkpoints", range(12))
async def test_a_server_that_is_stopped_during_a_restart_stops(
    checkpoints: int, flaky: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flaky.run)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        flaky.stop()

    assert trio.current_time() < 1


async def test_calls_do_not_wait_for_a_server_whose_last_start_failed(
    flaky: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flaky.run)
        await flaky.wait_started()
        await trio.sleep(100)
        began = trio.current_time()
        await flaky.wait_started()
        with pytest.raises(ToolFailed, match="cannot be used: not yet"):
            await flaky.call("search", {}, "k")
        flaky.stop()

    assert (flaky.attempts, trio.current_time() - began) == (2, 0)
