"""A task whose model chooses the tools, end to end: a model's server, a tool's process, a report."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from model_server import ModelServer, Reply, Says, scripted_models

from actors import Settings, open_system
from actors.tasks.events import Stamped

SERVER = Path(__file__).parent / "mcp_sdk_server.py"
TASK = "Where do frogs live at a depth of three metres?"
GUARD_S = 50.0
"""A hang guard, never a wait."""


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


def plan(*calls: tuple[str, Any]) -> Reply:
    asked = [{"question": 1, "tool": tool, "arguments": json.dumps(a)} for tool, a in calls]
    questions = [{"question": "Where do frogs live?", "search": "frogs live"}]
    return Says(json.dumps({"questions": questions, "calls": asked}))


REPORT = Says("## Answer\n\nThe frog lives between water lilies and reeds [1].\n")


async def run(
    server: ModelServer, notes: Path, *replies: Reply, allowed: tuple[str, ...], **more: Any
) -> list[Stamped]:
    server.will(*replies)
    pond = {"command": [sys.executable, str(SERVER), str(notes)], "allowed": allowed, **more}
    given = {"model": "openai:m", "openai_base_url": server.url, "tools": {"pond": pond}}
    settings = Settings.model_validate({**given, "retry_delays_s": [0.0]})
    with trio.fail_after(GUARD_S):
        async with open_system(settings) as system:
            task = await system.create(TASK)
            return [event async for event in system.execute(task.task_id)]


def steps(log: list[Stamped]) -> list[str]:
    (made,) = (event.data for event in log if event.event_type == "plan_created")
    return [step["agent_type"] for step in made["steps"] if step["step"] == "retrieval"]


async def test_a_tool_with_several_arguments_is_called_as_the_model_says_and_cited(
    server: ModelServer, tmp_path: Path
) -> None:
    call = ("pond/habitat", {"animal": "frog", "depth_m": 3})
    notes = tmp_path / "notes"
    log = await run(server, notes, plan(call), REPORT, allowed=("habitat", "search"))

    told = server.requests[0].body["messages"][1]["content"]
    assert "pond/habitat: Where an animal lives in the pond, at a depth in metres." in told
    assert '"enum": ["frog", "toad"]' in told
    assert "pond/broken" not in told
    assert notes.read_text().splitlines() == ["habitat frog 3"]
    assert steps(log) == ["retriever", "retriever", "pond/habitat"]
    (source,) = log[-1].data["sources"]
    assert (source["title"], source["section"]) == ("pond/habitat", "animal: frog, depth_m: 3")
    assert not log[-1].data["degraded"]


async def test_a_model_reaches_no_tool_that_the_settings_do_not_allow(
    server: ModelServer, tmp_path: Path
) -> None:
    calls = [("pond/habitat", {"animal": "frog", "depth_m": 3}), ("pond/slow", {"query": ""})]
    notes = tmp_path / "notes"
    log = await run(server, notes, plan(*calls), plan(*calls), REPORT, allowed=("search",))

    assert steps(log) == ["retriever", "retriever"]
    assert not notes.exists()
    assert log[-1].event_type == "task_completed" and not log[-1].data["degraded"]


async def test_a_call_is_repaired_with_what_was_wrong(server: ModelServer, tmp_path: Path) -> None:
    wrong = plan(("pond/habitat", {"animal": "newt", "depth_m": 3}))
    right = plan(("pond/habitat", {"animal": "toad", "depth_m": 1}))
    notes = tmp_path / "notes"
    log = await run(server, notes, wrong, right, REPORT, allowed=("habitat",))

    again = server.requests[1].body["messages"][1]["content"]
    assert "pond/habitat cannot be asked this: animal: 'newt' is not one of" in again
    assert notes.read_text().splitlines() == ["habitat toad 1"]
    assert log[-1].event_type == "task_completed"


async def test_a_tool_that_a_person_wants_asked_is_asked_beside_what_the_model_says(
    server: ModelServer, tmp_path: Path
) -> None:
    log = await run(
        server, tmp_path / "n", plan(), REPORT, allowed=("search",), when=["frogs", "toads"]
    )

    assert steps(log) == ["retriever", "retriever", "pond/search", "pond/search"]


async def test_a_model_without_a_usable_plan_leaves_the_tools_to_the_plan_without_it(
    server: ModelServer, tmp_path: Path
) -> None:
    no = Says("no")
    log = await run(server, tmp_path / "n", no, no, REPORT, allowed=("search", "habitat"))

    assert steps(log) == ["retriever", "pond/search"]
