"""What the person sees of a task whose model is at a server that misbehaves, from plan to ending."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from model_server import CUT, STALL, ModelServer, Refuses, Says, scripted_models
from model_tasks import DOCUMENT, GUARD_S, PLAN, REPORT, TASK, run, settings_for, step

from actors import Settings, open_system
from actors.tasks.budget import Budget


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


async def test_a_model_plans_and_writes_and_its_citations_are_checked(server: ModelServer) -> None:
    log = await run(server, PLAN, REPORT, prices={"openai:m": (1.0, 10.0)})

    done = log[-1].data
    assert log[-1].event_type == "task_completed" and not done["degraded"]
    assert "It is a signal from a slow consumer [1]. It is blue.\n" in done["final_output"]
    assert [source["title"] for source in done["sources"]] == ["Flow control"]
    assert done["citations"]["removed_citations"] == 1
    assert done["citations"]["uncited_sentences"] == 1
    assert (done["usage"]["input_tokens"], done["usage"]["output_tokens"]) == (14, 6)
    assert done["usage"]["cost"] == pytest.approx(14e-6 + 60e-6)


async def test_a_rate_limit_is_waited_for_as_long_as_it_says(server: ModelServer) -> None:
    log = await run(server, Refuses(429, "busy", {"Retry-After": "0.2"}), PLAN, REPORT)

    (retry,) = step(log, "step_retrying", "analysis")
    assert retry["error"]["code"] == "model_unavailable" and retry["delay_s"] == 0.2
    assert log[-1].event_type == "task_completed"


async def test_a_bad_key_fails_the_task_at_once_and_says_whose_move_it_is(
    server: ModelServer,
) -> None:
    log = await run(server, Refuses(401, "no"))

    assert log[-1].event_type == "task_failed"
    assert log[-1].data["error"]["code"] == "model_rejected"
    assert "OPENAI_API_KEY" in log[-1].data["error"]["message"]
    assert not step(log, "step_retrying", "analysis")


async def test_with_a_dead_provider_the_task_goes_on_without_unless_that_is_forbidden(
    server: ModelServer,
) -> None:
    failed = await run(server, Refuses(500, "no"), fallback=())
    degraded = await run(server, Refuses(500, "no"), fallback=Settings().fallback)

    assert failed[-1].data["error"]["code"] == "model_unavailable"
    (retry,) = step(degraded, "step_retrying", "analysis")
    assert retry["error"]["code"] == "model_unavailable"
    assert degraded[-1].event_type == "task_completed" and degraded[-1].data["degraded"]
    assert "Backpressure is a signal" in degraded[-1].data["final_output"]


async def test_a_slow_planner_is_not_waited_for(server: ModelServer) -> None:
    more = {"fallback": ("extractive",), "step_timeout_s": 2.0}
    log = await run(server, Says(STALL), REPORT, **more)

    (planned,) = step(log, "step_completed", "analysis")
    assert planned["attempt"] == 1
    assert planned["error"]["message"] == "openai:m made no plan within 1 s."


async def test_a_writer_that_writes_until_its_time_is_over_is_stopped(server: ModelServer) -> None:
    words = Says(*["It is a signal from a slow consumer [1]. "] * 500)
    log = await run(server, PLAN, words, step_timeout_s=2.0)

    (written,) = step(log, "step_completed", "writing")
    assert written["attempt"] == 1
    assert "took too long to write" in written["error"]["message"]
    assert log[-1].data["final_output"].count("slow consumer [1].") > 10


async def test_a_slow_writer_is_not_waited_for(server: ModelServer) -> None:
    more = {"fallback": ("extractive",), "step_timeout_s": 2.0}
    log = await run(server, PLAN, Says(STALL), **more)

    (written,) = step(log, "step_completed", "writing")
    assert written["attempt"] == 1
    assert written["error"]["message"] == "openai:m wrote nothing within 1 s."
    assert "Backpressure is a signal" in log[-1].data["final_output"]


async def test_a_writer_gets_the_passages_of_an_analyzer_without_a_model(
    server: ModelServer,
) -> None:
    documents = {f"Flow {n}": b"Backpressure of kind %d." % n for n in range(20)}
    log = await run(server, REPORT, analyzer_model="extractive", documents=documents)

    (request,) = server.requests
    prompt = request.body["messages"][1]["content"]
    assert "passage 8: " in prompt and "passage 9: " not in prompt
    assert log[-1].event_type == "task_completed" and not log[-1].data["degraded"]


async def test_a_text_that_cites_nothing_is_followed_by_the_excerpts(server: ModelServer) -> None:
    log = await run(server, PLAN, Says("It is blue [99].\n"))

    done = log[-1].data
    assert log[-1].event_type == "task_completed" and done["degraded"]
    (written,) = step(log, "step_completed", "writing")
    assert "cites no source" in written["error"]["message"]
    own, heading, excerpts = done["final_output"].partition("## Excerpts from the sources\n")
    assert heading and "It is blue.\n" in own
    assert "Backpressure is a signal from a slow consumer" in excerpts
    assert [source["n"] for source in done["sources"]] == [1]


async def test_another_model_stands_in_and_that_is_said(server: ModelServer) -> None:
    fallback = {"fallback": ("openai:other",)}
    log = await run(server, Refuses(401, "no"), PLAN, Refuses(401, "no"), REPORT, **fallback)

    (planned,) = step(log, "step_completed", "analysis")
    assert planned["degraded"]
    assert planned["error"]["message"] == "openai:m did not answer; openai:other did in its place."
    assert log[-1].event_type == "task_completed"


async def test_a_plan_that_is_no_plan_is_asked_for_once_more_then_made_without(
    server: ModelServer,
) -> None:
    log = await run(server, Says("I would rather not."), Says('{"questions": []}'), REPORT)

    (planned,) = step(log, "step_completed", "analysis")
    assert planned["error"]["code"] == "invalid_plan" and planned["usage"]["input_tokens"] == 14
    assert log[-1].event_type == "task_completed"


async def test_a_plan_that_no_model_of_several_can_make_is_made_without(
    server: ModelServer,
) -> None:
    nothing = [Says("I would rather not.")] * 4
    log = await run(server, *nothing, REPORT, fallback=("openai:other",))

    (planned,) = step(log, "step_completed", "analysis")
    assert planned["error"]["code"] == "invalid_plan" and planned["usage"]["input_tokens"] == 28
    assert not step(log, "step_retrying", "analysis")
    assert log[-1].event_type == "task_completed"


@pytest.mark.parametrize("trouble", [CUT, STALL])
async def test_a_text_that_breaks_off_is_kept_and_written_anew(
    server: ModelServer, trouble: str
) -> None:
    broken = Says("## Answer\n\nIt is a signal from a slow consumer [1]. And then ", trouble)
    log = await run(server, PLAN, broken, REPORT, model_idle_timeout_s=1.0)

    (retry,) = step(log, "step_retrying", "writing")
    assert retry["error"]["code"] == "model_unavailable"
    assert log[-1].event_type == "task_completed"
    assert log[-1].data["final_output"].count("signal from a slow consumer") == 1


async def test_a_text_that_never_comes_whole_is_the_partial_output(server: ModelServer) -> None:
    broken = Says("## Answer\n\nIt is a signal from a slow consumer [1]. And then ", CUT)
    log = await run(server, PLAN, broken)

    assert log[-1].event_type == "task_failed"
    assert "signal from a slow consumer [1]." in log[-1].data["partial_output"]


async def test_cancelling_a_task_reaches_the_provider(server: ModelServer) -> None:
    server.will(PLAN, Says("## Answer\n\nIt is a signal from ", STALL))
    with trio.fail_after(GUARD_S):
        async with open_system(settings_for(server)) as system:
            await system.library.add(DOCUMENT)
            task = await system.create(TASK)
            async for event in system.execute(task.task_id):
                if event.event_type == "partial_output" and "signal" in event.data["content"]:
                    break
            cancelled = await system.cancel(task.task_id)
            await server.wait_until(lambda server: server.hang_ups == 1)
    assert cancelled.status == "cancelled"
    assert "It is a signal" in (cancelled.partial_output or "")


async def test_without_tokens_the_task_is_done_without_the_model(server: ModelServer) -> None:
    log = await run(server, PLAN, REPORT, budget=Budget(tokens=0))

    assert not server.requests
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]
    (written,) = step(log, "step_completed", "writing")
    assert written["error"]["code"] == "budget_reached"


async def test_the_last_tokens_are_the_model_s_and_the_rest_is_done_without(
    server: ModelServer,
) -> None:
    log = await run(server, PLAN, REPORT, budget=Budget(tokens=10))

    assert len(server.requests) == 1 and server.requests[0].body["max_tokens"] == 10
    (written,) = step(log, "step_completed", "writing")
    assert written["error"]["code"] == "budget_reached"
    assert "Backpressure is a signal" in log[-1].data["final_output"]
