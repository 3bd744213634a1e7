"""Tokens are counted however an attempt ends: the server's count, or a marked estimate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from model_server import CUT, STALL, ModelServer, Refuses, Reply, Says, Silent, scripted_models
from model_tasks import DOCUMENT, GUARD_S, PLAN, REPORT, TASK, run, settings_for, step

from actors import open_system
from actors.tasks.budget import Budget
from actors.tasks.events import Stamped
from actors.tasks.life import Task

PRICES = {"openai:m": (1.0, 1.0)}
BEGUN = Says("## Answer\n\nIt is a signal from a slow consumer [1]. And then ", STALL)
COUNTED = {"input_tokens": 14, "output_tokens": 6, "estimated": False}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


async def cancelled(
    server: ModelServer, when: Callable[[ModelServer], bool], *replies: Reply
) -> tuple[Task, Stamped]:
    """The task and its last event after a cancel at this moment."""
    server.will(*replies)
    with trio.fail_after(GUARD_S):
        async with open_system(settings_for(server, prices=PRICES)) as system:
            await system.library.add(DOCUMENT)
            task = await system.create(TASK)
            await system.start(task.task_id)
            await server.wait_until(when)
            stopped = await system.cancel(task.task_id)
            return stopped, [e async for e in system.execute(task.task_id)][-1]


async def test_a_count_of_the_server_is_no_estimate(server: ModelServer) -> None:
    log = await run(server, PLAN, REPORT)

    assert log[-1].data["usage"] == {**COUNTED, "cost": 0.0}


@pytest.mark.parametrize("usage", [None, (0, 0)])
async def test_without_a_count_usage_is_a_marked_estimate(
    server: ModelServer, usage: tuple[int, int] | None
) -> None:
    log = await run(server, PLAN, Says("Frogs sing [1]. " * 4, usage=usage))

    (written,) = step(log, "step_completed", "writing")
    assert written["usage"]["output_tokens"] == 16 and written["usage"]["estimated"]
    assert written["usage"]["input_tokens"] > 100
    assert log[-1].data["usage"]["estimated"]


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        pytest.param((Silent(),), 1, id="before-the-plan"),
        pytest.param((Says('{"quest', STALL),), 1, id="in-the-plan"),
        pytest.param((PLAN, Silent()), 2, id="before-the-text"),
        pytest.param((PLAN, BEGUN), 2, id="in-the-text"),
    ],
)
async def test_a_cancelled_task_has_the_usage_of_its_last_attempt(
    server: ModelServer, replies: tuple[Reply, ...], asked: int
) -> None:
    task, ending = await cancelled(server, lambda s: len(s.requests) == asked, *replies)

    known = 7 if asked == 2 else 0
    assert task.usage.input_tokens > known + 50
    assert task.usage.estimated and task.usage.cost > 0
    assert ending.event_type == "task_cancelled"
    assert ending.data["usage"]["input_tokens"] == task.usage.input_tokens


async def test_a_cancelled_task_without_usage_reports_none(
    server: ModelServer,
) -> None:
    server.will(Refuses(503))
    more: dict[str, Any] = {"retry_delays_s": (60.0,)}
    with trio.fail_after(GUARD_S):
        async with open_system(settings_for(server, **more)) as system:
            task = await system.create(TASK)
            async for event in system.execute(task.task_id):
                if event.event_type == "step_retrying":
                    break
            await system.cancel(task.task_id)
            log = [event async for event in system.execute(task.task_id)]
    assert not any("usage" in event.data for event in log)


async def test_an_attempt_that_timed_out_is_counted(server: ModelServer) -> None:
    log = await run(server, PLAN, BEGUN, REPORT, step_timeout_s=2.0)

    (retry,) = step(log, "step_retrying", "writing")
    (written,) = step(log, "step_completed", "writing")
    assert retry["error"]["code"] == "step_timeout"
    assert retry["usage"]["output_tokens"] == 16 and retry["usage"]["estimated"]
    whole = log[-1].data["usage"]["input_tokens"]
    assert whole == 7 + retry["usage"]["input_tokens"] + written["usage"]["input_tokens"]


@pytest.mark.parametrize("trouble", [CUT, STALL])
async def test_an_attempt_that_broke_off_is_counted(server: ModelServer, trouble: str) -> None:
    broken = Says("x" * 40, trouble)
    log = await run(server, PLAN, broken, REPORT, model_idle_timeout_s=1.0)

    (retry,) = step(log, "step_retrying", "writing")
    assert retry["usage"]["output_tokens"] == 10 and retry["usage"]["estimated"]


async def test_text_past_the_limit_of_a_task_is_counted(server: ModelServer) -> None:
    much = Says(*["Frogs sing [1]. " * 20] * 8, STALL)
    log = await run(server, PLAN, much, budget=Budget(output_bytes=1_024))

    (failed,) = step(log, "step_failed", "writing")
    assert failed["error"]["code"] == "output_too_large"
    assert failed["usage"]["output_tokens"] > 100
    assert log[-1].data["usage"]["output_tokens"] == failed["usage"]["output_tokens"] + 3


async def test_a_deadline_that_passes_in_an_answer_is_counted(server: ModelServer) -> None:
    log = await run(server, PLAN, BEGUN, deadline_s=2.0)

    assert log[-1].event_type == "task_failed"
    assert log[-1].data["error"]["code"] == "deadline_exceeded"
    assert log[-1].data["usage"]["output_tokens"] == 3 + 16
    assert log[-1].data["usage"]["estimated"]


async def test_a_stopped_attempt_counts_towards_the_budget(server: ModelServer) -> None:
    log = await run(server, PLAN, BEGUN, REPORT, step_timeout_s=2.0, budget=Budget(tokens=400))

    assert len(server.requests) == 2
    (written,) = step(log, "step_completed", "writing")
    assert written["error"]["code"] == "budget_reached"
    assert log[-1].event_type == "task_completed"


async def test_a_request_that_was_refused_costs_nothing(server: ModelServer) -> None:
    log = await run(server, Refuses(429, "busy"), PLAN, REPORT)

    (retry,) = step(log, "step_retrying", "analysis")
    assert "usage" not in retry
    assert log[-1].data["usage"] == {**COUNTED, "cost": 0.0}


async def test_a_prompt_over_the_budget_is_not_sent(
    server: ModelServer,
) -> None:
    log = await run(server, PLAN, REPORT, budget=Budget(tokens=150))

    assert len(server.requests) == 1
    (written,) = step(log, "step_completed", "writing")
    assert written["error"]["code"] == "budget_reached"
    assert "Backpressure is a signal" in log[-1].data["final_output"]
    assert log[-1].data["usage"]["input_tokens"] == 7


async def test_the_tokens_of_the_prompt_reduce_the_output_limit(server: ModelServer) -> None:
    await run(server, PLAN, REPORT, budget=Budget(tokens=400))

    asked = server.requests[1].body
    read = sum(len(message["content"]) for message in asked["messages"]) / 4
    assert read + asked["max_tokens"] == pytest.approx(390, abs=1)
