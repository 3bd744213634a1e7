"""A task that uses a tool of another program, end to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from actors import Settings, System, open_system
from actors.agents.tool import ToolAgent
from actors.messages import CallTool
from actors.runtime import spawn
from actors.tasks.planning import QuestionDraft, assemble_plan
from actors.tools import Tools, open_tools

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


# --- servers that are down ------------------------------------------------------------------------

RAW = SERVER.with_name("mcp_raw_server.py")

DOWN: dict[str, tuple[dict[str, Any], str]] = {
    "no program": ({"command": ["/nowhere/tool"]}, "there is no program tool"),
    "ends at once": (
        {"command": [sys.executable, "-c", "raise SystemExit(3)"]},
        "Connection closed",
    ),
    "does not answer": ({"command": [sys.executable, str(RAW), "silent"]}, "did not answer"),
    "nobody listens": ({"url": "http://127.0.0.1:9/mcp"}, "attempts to connect"),
}


async def run_with(pond: dict[str, Any], task: str) -> tuple[list[Any], Any]:
    """The log of a task, and the agent of the tool server at its end."""
    given = {"allowed": ["search", "dive"], "timeout_s": 1.0, "when": ["frogs"], **pond}
    settings = Settings.model_validate({"tools": {"pond": given}, "retry_delays_s": [0.0]})
    with trio.fail_after(GUARD_S):
        async with open_system(settings) as system:
            created = await system.create(task)
            log = [event async for event in system.execute(created.task_id)]
            (agent,) = (one for one in system.agents() if one.name == "tools.pond")
    return log, agent


@pytest.mark.parametrize("kind", DOWN)
async def test_a_tool_with_when_that_cannot_start_degrades_its_tasks_and_says_why(
    kind: str,
) -> None:
    pond, told = DOWN[kind]
    log, agent = await run_with(pond, "Where do frogs live?")
    (failed,) = (e.data for e in log if e.event_type == "step_completed" and e.data["degraded"])
    assert failed["error"]["code"] == "tool_failed"
    assert failed["error"]["message"].startswith("The tool server pond ")
    assert told in failed["error"]["message"] and "/nowhere" not in failed["error"]["message"]
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
    assert "*Not searched: The tool server pond " in log[-1].data["final_output"]
    assert agent.state == "unavailable" and told in agent.problem


async def test_a_task_that_a_tool_is_not_for_does_not_mind_that_it_is_down() -> None:
    log, _ = await run_with({"command": ["/nowhere/tool"]}, "What is backpressure?")
    assert not log[-1].data["degraded"]
    log, agent = await run_with({"command": ["/nowhere/tool"], "when": []}, "Where do frogs live?")
    assert not log[-1].data["degraded"] and agent.state == "unavailable"


async def test_a_tool_that_starts_after_the_plan_was_made_is_asked_the_question() -> None:
    """The plan does not know its arguments; they are filled in when it is called."""
    seen = []

    class Late:
        def __init__(self, tools: Any) -> None:
            self._tools = tools

        async def call(self, tool: str, arguments: Any, key: str) -> Any:
            seen.append((tool, arguments))
            return await self._tools.call(tool, arguments, key)

        async def arguments(self, tool: str, question: Any) -> Any:
            return await self._tools.arguments(tool, question)

    pond = {"command": [sys.executable, str(RAW), "none"], "allowed": ["search"], "when": ["frogs"]}
    settings = Settings.model_validate({"tools": {"pond": pond}})
    with trio.fail_after(GUARD_S):
        async with open_tools(settings) as tools, trio.open_nursery() as nursery:
            (option,) = tools.options()
            made = assemble_plan([QuestionDraft("Where do frogs live?")], (option,))
            asked = made.questions[-1]
            agent = spawn(
                nursery, "tools.pond", lambda: ToolAgent(cast(Tools, Late(tools))), capacity=1
            )
            evidence = await agent.ask(CallTool("t/s3", option.name, asked, asked.arguments, ""))
            nursery.cancel_scope.cancel()
    assert not option.listed
    assert seen == [("pond/search", {"query": "Where do frogs live?"})]
    assert [passage.text for passage in evidence.passages] == ["Frogs live in ponds."]
