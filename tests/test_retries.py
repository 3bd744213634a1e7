"""Retries and the failure modes of the agents, in virtual time, as the log shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from scripted import Act, Cast, ScriptedWriter, scripted_system

from actors.errors import AgentFailed, InvalidPlan
from actors.settings import Settings
from actors.system import System
from actors.tasks.events import Stamped

NO = AgentFailed("no")


async def run(system: System, **new: Any) -> list[Stamped]:
    task = await system.create("frogs", **new)
    return [event async for event in system.execute(task.task_id)]


def of_step(log: list[Stamped], kind: str, step: str) -> list[Stamped]:
    return [e for e in log if e.event_type == kind and e.data.get("step") == step]


def seconds(log: list[Stamped]) -> list[float]:
    times = [datetime.fromisoformat(event.timestamp) for event in log]
    return [round((time - times[0]).total_seconds(), 3) for time in times]


async def test_the_retries_come_at_0_and_a_tenth_doubled_to_the_millisecond(
    autojump_clock: object,
) -> None:
    async with scripted_system(Cast(plans=[NO] * 4)) as system:
        log = await run(system)
    starts = of_step(log, "step_started", "analysis")
    assert seconds(starts) == [0, 0, 0.1, 0.3, 0.7]
    assert [start.data["attempt"] for start in starts] == [1, 2, 3, 4, 5]
    retries = of_step(log, "step_retrying", "analysis")
    assert [retry.data["delay_s"] for retry in retries] == [0, 0.1, 0.2, 0.4]
    assert retries[0].data["error"] == {"code": "agent_failed", "message": "no"}
    assert log[-1].event_type == "task_completed"


async def test_an_analyzer_that_keeps_failing_fails_the_task(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[NO] * 5)) as system:
        log = await run(system)
    assert [event.event_type for event in log[-2:]] == ["step_failed", "task_failed"]
    assert log[-2].data["attempts"] == 5
    assert log[-1].data == {
        "error": {"code": "agent_failed", "message": "no"},
        "step_id": "s1",
        "partial_output": None,
    }


async def test_a_retriever_that_keeps_failing_degrades_the_task(autojump_clock: object) -> None:
    async with scripted_system(Cast(retrieves=[NO] * 10)) as system:
        log = await run(system)
        task = await system.status(log[0].task_id)
    done = of_step(log, "step_completed", "retrieval")
    assert [step.data["degraded"] for step in done] == [True, True]
    assert done[0].data["error"] == {"code": "agent_failed", "message": "no"}
    assert log[-1].event_type == "task_completed"
    assert log[-1].data["degraded"] is task.degraded is True


async def test_a_writer_that_fails_keeps_its_text(autojump_clock: object) -> None:
    cast = Cast(writes=[NO] * 5, act_after=2)
    async with scripted_system(cast) as system:
        log = await run(system)
        task = await system.status(log[0].task_id)
    assert log[-1].event_type == "task_failed"
    assert log[-1].data["partial_output"] == task.partial_output == "Frogs sing. "
    assert task.final_output is None


async def test_the_output_is_the_text_of_the_good_attempt_alone(autojump_clock: object) -> None:
    async with scripted_system(Cast(writes=[NO], act_after=2)) as system:
        log = await run(system)
    parts = [(e.data["attempt"], e.data["content"]) for e in log if "content" in e.data]
    assert parts == [(1, "Frogs "), (1, "sing. "), (2, "Frogs "), (2, "sing. "), (2, "[1]")]
    assert log[-1].data["final_output"] == "Frogs sing. [1]"


async def test_what_no_retry_can_mend_is_not_retried(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[InvalidPlan("a knot")])) as system:
        log = await run(system)
    assert not of_step(log, "step_retrying", "analysis")
    assert log[-1].data["error"]["code"] == "invalid_plan"


async def test_a_crash_of_an_agent_is_retried_like_a_failure(autojump_clock: object) -> None:
    async with scripted_system(Cast(plans=[ZeroDivisionError()])) as system:
        log = await run(system)
        (analyzer,) = (agent for agent in system.agents() if agent.name == "analyzer")
    assert of_step(log, "step_retrying", "analysis")[0].data["error"]["code"] == "agent_crashed"
    assert log[-1].event_type == "task_completed"
    assert (analyzer.restarts, analyzer.retries) == (1, 1)


@pytest.mark.parametrize("hang", [[200.0], [200.0, NO]])
async def test_an_attempt_that_takes_too_long_is_stopped_and_retried(
    hang: list[Act], autojump_clock: object
) -> None:
    cast = Cast(weighs=hang)
    async with scripted_system(cast, settings=Settings(step_timeout_s=5)) as system:
        log = await run(system)
    retries = of_step(log, "step_retrying", "synthesis")
    assert retries[0].data["error"]["code"] == "step_timeout"
    assert seconds(of_step(log, "step_started", "synthesis"))[:2] == [0, 5]
    assert log[-1].event_type == "task_completed"
    assert cast.working == 0


async def test_the_deadline_of_a_task_ends_it_wherever_it_is(autojump_clock: object) -> None:
    cast = Cast(retrieves=[100.0, 100.0])
    async with scripted_system(cast) as system:
        log = await run(system, deadline_s=30)
        task = await system.status(log[0].task_id)
    assert log[-1].data["error"]["code"] == "deadline_exceeded"
    assert seconds([log[2], log[-1]]) == [0, 30]
    assert cast.working == 0
    assert {step.status for step in task.steps.values()} == {"completed", "cancelled"}


async def test_the_delays_and_their_number_can_be_set(autojump_clock: object) -> None:
    settings = Settings(retry_delays_s=(1.0, 7.0))
    async with scripted_system(Cast(plans=[NO] * 3), settings=settings) as system:
        log = await run(system)
    assert seconds(of_step(log, "step_started", "analysis")) == [0, 1, 8]
    assert log[-1].event_type == "task_failed"


async def test_too_much_text_ends_the_task_and_is_kept_up_to_there(autojump_clock: object) -> None:
    cast = Cast(parts=["x" * 600] * 3)
    async with scripted_system(cast, settings=Settings(max_output_bytes=1_300)) as system:
        log = await run(system)
    assert log[-1].data["error"]["code"] == "output_too_large"
    assert log[-1].data["partial_output"] == "x" * 1_200


async def test_the_key_of_a_step_stays_the_same_over_its_attempts(autojump_clock: object) -> None:
    cast = Cast(plans=[NO])
    async with scripted_system(cast) as system:
        log = await run(system)
    assert cast.plans.keys == [f"{log[0].task_id}/s1"] * 2


async def test_independent_steps_run_side_by_side(autojump_clock: object) -> None:
    async with scripted_system(Cast(retrieves=[10.0, 10.0])) as system:
        log = await run(system)
    assert seconds(of_step(log, "step_started", "retrieval")) == [0, 0]
    assert seconds(of_step(log, "step_completed", "retrieval")) == [0, 0]


# --- a writer that can go on ----------------------------------------------------------------------


async def test_a_writer_that_can_go_on_is_given_what_it_wrote(autojump_clock: object) -> None:
    asked: list[Any] = []

    class GoingOn(ScriptedWriter):
        can_continue = True

        async def handle(self, request: Any, call: Any) -> Any:
            asked.append(request.kept)
            self._parts = [] if request.kept else self._parts
            await call.part("Toads too. ") if request.kept else None
            return await super().handle(request, call)

    cast = Cast(writes=[NO])
    script = cast.writes
    writer = GoingOn(script, ["Frogs ", "sing. ", "[1] "], 0.0, 3)
    agents = cast.factories() | {"writer": lambda: writer}
    cast.factories = lambda: agents  # type: ignore[method-assign]
    async with scripted_system(cast) as system:
        log = await run(system)
    assert asked == ["", "Frogs sing. [1] "]
    starts = of_step(log, "step_started", "writing")
    assert [start.data.get("continues") for start in starts] == [None, True]
    (more,) = (e for e in log if e.event_type == "partial_output" and e.data.get("continues"))
    assert more.data["content"] == "Toads too. "
    assert log[-1].data["final_output"] == "Frogs sing. [1] Toads too. "
