"""What a task may use, what it has used, and what comes of reaching its budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripted import Cast, Script, ScriptedAnalyzer, plan_for, scripted_system

from actors.errors import InvalidRequest, ModelUnavailable
from actors.messages import Analyze
from actors.settings import Settings
from actors.system import System
from actors.tasks.budget import Budget
from actors.tasks.events import Stamped
from actors.tasks.evidence import Evidence
from actors.tasks.failure import Failure
from actors.usage import Usage

USED = Usage(300, 50, 0.02)


class Spending(ScriptedAnalyzer):
    """Its plans cost tokens, those that fail too; it keeps what it was asked."""

    def __init__(self, asked: list[Any], acts: list[Any]) -> None:
        super().__init__(Script(acts), Script())
        self._asked = asked

    async def handle(self, request: Any, call: Any) -> Any:
        self._asked.append(request)
        reply = await super().handle(request, call)
        return replace(reply, usage=USED) if isinstance(request, Analyze) else reply


def spending(asked: list[Any], *acts: Any) -> Any:
    cast = Cast()
    agents = cast.factories() | {"analyzer": lambda: Spending(asked, list(acts))}
    cast.factories = lambda: agents  # type: ignore[method-assign]
    return cast


async def run(system: System, **new: Any) -> list[Stamped]:
    task = await system.create("frogs", **new)
    return [event async for event in system.execute(task.task_id)]


async def test_what_was_used_is_told_with_the_step_and_in_the_end(autojump_clock: object) -> None:
    failure = ModelUnavailable("The model is busy.")
    failure.usage = USED
    async with scripted_system(spending([], failure)) as system:
        log = await run(system)
        task = await system.status(log[0].task_id)
    used = {"input_tokens": 300, "output_tokens": 50, "cost": 0.02, "estimated": False}
    told = {e.event_type: e.data["usage"] for e in log if "usage" in e.data}
    twice = {"input_tokens": 600, "output_tokens": 100, "cost": 0.04, "estimated": False}
    assert told == {"step_retrying": used, "step_completed": used, "task_completed": twice}
    assert task.usage == USED + USED


async def test_a_task_without_a_model_tells_of_no_usage(autojump_clock: object) -> None:
    async with scripted_system() as system:
        log = await run(system)
    assert not any("usage" in event.data for event in log)


async def test_an_agent_is_told_how_many_tokens_are_left(autojump_clock: object) -> None:
    asked: list[Any] = []
    failure = ModelUnavailable("The model is busy.")
    failure.usage = USED
    async with scripted_system(spending(asked, failure, failure)) as system:
        await run(system, budget=Budget(tokens=500))
    assert [one.tokens_left for one in asked if isinstance(one, Analyze)] == [500, 150, 0]


async def test_the_settings_limit_the_tokens_of_every_task(autojump_clock: object) -> None:
    asked: list[Any] = []
    settings = Settings(data_dir=None, max_task_tokens=400)
    async with scripted_system(spending(asked), settings=settings) as system:
        await run(system)
        await run(system, budget=Budget(tokens=900))
    assert [one.tokens_left for one in asked if isinstance(one, Analyze)] == [400, 400]


async def test_a_plan_is_cut_to_the_steps_of_the_budget(autojump_clock: object) -> None:
    async with scripted_system(Cast(questions=6)) as system:
        log = await run(system, budget=Budget(steps=5))
    (made,) = (event for event in log if event.event_type == "plan_created")
    (planned,) = (e for e in log if e.event_type == "step_completed" and e.data["step_id"] == "s1")
    kinds = [step["step"] for step in made.data["steps"]]
    assert kinds == ["analysis", "retrieval", "retrieval", "synthesis", "writing"]
    assert planned.data["error"]["code"] == "budget_reached" and planned.data["degraded"]
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]


def test_a_plan_within_its_budget_is_whole() -> None:
    plan = plan_for("frogs", questions=3)
    assert plan.within(len(plan.steps)) is plan
    assert len(plan.within(4).questions) == 1


async def test_text_past_the_budget_ends_the_task_and_is_kept(autojump_clock: object) -> None:
    async with scripted_system(Cast(parts=["x" * 600, "y" * 600])) as system:
        log = await run(system, budget=Budget(output_bytes=1_024))
    assert log[-1].data["error"]["code"] == "output_too_large"
    assert log[-1].data["partial_output"] == "x" * 600


async def test_a_budget_that_no_task_can_keep_is_refused(autojump_clock: object) -> None:
    async with scripted_system() as system:
        with pytest.raises(InvalidRequest, match="budget.steps must be from 4 to 64"):
            await system.create("frogs", budget=Budget(steps=3))


@pytest.mark.parametrize(("said_s", "waited_s"), [(0.05, 0.1), (7.5, 7.5), (4_000.0, 60.0)])
async def test_who_says_when_to_come_back_is_given_that_time(
    autojump_clock: object, said_s: float, waited_s: float
) -> None:
    busy = ModelUnavailable("The model is busy.")
    busy.retry_after_s = said_s
    settings = Settings(data_dir=None, retry_delays_s=(0.1, 0.1))
    async with scripted_system(Cast(plans=[busy]), settings=settings) as system:
        log = await run(system)
    (retry,) = (event for event in log if event.event_type == "step_retrying")
    assert retry.data["delay_s"] == waited_s


async def test_the_evidence_that_misses_a_source_degrades_the_task(autojump_clock: object) -> None:
    class Missing:
        async def handle(self, request: Any, call: Any) -> Any:
            return Evidence(request.question, missed=(Failure("fetch_failed", "It is gone."),))

    cast = Cast(questions=1)
    agents = cast.factories() | {"retriever": Missing}
    cast.factories = lambda: agents  # type: ignore[method-assign]
    async with scripted_system(cast) as system:
        log = await run(system)
    (found,) = (e for e in log if e.event_type == "step_completed" and e.data["step_id"] == "s2")
    assert found.data["error"] == {"code": "fetch_failed", "message": "It is gone."}
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
