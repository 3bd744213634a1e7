"""A task that uses a tool of another program, end to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import trio

from actors import Settings, System, open_system

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


async def test_a_plan_calls_the_allowed_tools_and_the_report_cites_them() -> None:
    log = await run("search", "Where do frogs live?")
    (made,) = (event for event in log if event.event_type == "plan_created")
    (step,) = (s for s in made.data["steps"] if s["agent_type"] == "pond/search")
    assert step["step"] == "retrieval"
    (planned,) = (e.data for e in log if e.data.get("result", {}).get("questions"))
    assert planned["result"]["questions"] == ["Where do frogs live?"]
    assert "frogs live in ponds and on land" in log[-1].data["final_output"]
    assert "pond/search" in {source["title"] for source in log[-1].data["sources"]}


async def test_a_tool_that_answers_with_an_error_is_asked_once_and_the_report_says_so() -> None:
    log = await run("broken", "Where do frogs live?")
    failed = [e.data for e in log if e.event_type == "step_completed" and e.data["degraded"]]
    assert [step["error"]["code"] for step in failed] == ["tool_failed"]
    assert failed[0]["attempt"] == 1
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
    report = log[-1].data["final_output"]
    assert "*Not searched: The tool pond/broken answered with an error: " in report
    assert "no index for" in report


async def test_a_tool_that_wants_no_question_is_not_asked_one() -> None:
    log = await run("describe", "Where do frogs live?")
    (made,) = (event for event in log if event.event_type == "plan_created")
    assert [s["agent_type"] for s in made.data["steps"] if s["step"] == "retrieval"] == [
        "retriever"
    ]


async def test_a_server_that_does_not_answer_does_not_block_another() -> None:
    command = [sys.executable, str(SERVER)]
    stuck = {"command": command, "allowed": ["slow"], "concurrency": 1}
    lake = {"command": command, "allowed": ["search"], "concurrency": 1}
    settings = Settings.model_validate({"tools": {"stuck": stuck, "lake": lake}})

    async def until_found(system: System) -> None:
        task = await system.create("Where do frogs live?")
        events = system.execute(task.task_id)
        asked = ""
        async for event in events:
            if event.data.get("agent_type") == "lake/search":
                asked = event.data["step_id"]
            if event.event_type == "step_completed" and event.data["step_id"] == asked:
                return

    with trio.fail_after(GUARD_S):
        async with open_system(settings) as system:
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(until_found, system)


async def test_every_server_is_an_agent_and_its_retries_are_counted(tmp_path: Path) -> None:
    command = [sys.executable, str(SERVER.with_name("mcp_raw_server.py")), "dies"]
    pond = {"command": [*command, str(tmp_path / "n")], "allowed": ["search"], "concurrency": 3}
    settings = Settings.model_validate({"tools": {"pond": pond}, "retry_delays_s": [0.0, 0.0]})
    with trio.fail_after(GUARD_S):
        async with open_system(settings) as system:
            created = await system.create("Where do frogs live?")
            async for _ in system.execute(created.task_id):
                pass
            (agent,) = (one for one in system.agents() if one.name == "tools.pond")
    assert agent.concurrency == 3 and agent.retries >= 1
