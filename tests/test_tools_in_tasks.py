"""A task that uses a tool of another program, end to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import trio

from actors import Settings, open_system

SERVER = Path(__file__).parent / "mcp_sdk_server.py"
GUARD_S = 50.0
"""A hang guard, never a wait."""


async def run(allowed: str, task: str) -> list[Any]:
    pond = {"command": [sys.executable, str(SERVER)], "allowed": [allowed]}
    settings = Settings.model_validate({"tools": {"pond": pond}, "retry_delays_s": [0.0]})
    with trio.fail_after(GUARD_S):
        async with open_system(settings) as system:
            created = await system.create(task)
            return [event async for event in system.execute(created.task_id)]


async def test_a_plan_asks_the_tools_that_are_allowed_and_the_report_cites_them() -> None:
    log = await run("search", "Where do frogs live?")
    (made,) = (event for event in log if event.event_type == "plan_created")
    (step,) = (s for s in made.data["steps"] if s["agent_type"] == "pond/search")
    assert step["step"] == "retrieval"
    assert "frogs live in ponds and on land" in log[-1].data["final_output"]
    assert "pond/search" in {source["title"] for source in log[-1].data["sources"]}


async def test_a_task_goes_on_without_a_tool_that_fails() -> None:
    log = await run("broken", "Where do frogs live?")
    failed = [e.data for e in log if e.event_type == "step_completed" and e.data["degraded"]]
    assert [step["error"]["code"] for step in failed] == ["tool_failed"]
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
