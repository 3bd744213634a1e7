"""Retry: a failed or cancelled task continues with its first unfinished step."""

from __future__ import annotations

import trio
from api_client import (
    Api,
    Event,
    check_fold,
    check_log,
    check_problem,
    check_task,
    of_type,
    parse,
    scripted_api,
    types,
)
from scripted import Cast, scripted_system

from actors.errors import AgentFailed
from actors.journal.memory import MemoryStore
from actors.settings import Settings

ONE_TRY = Settings(retry_delays_s=())


async def failed_in_writing(api: Api) -> tuple[str, list[bytes]]:
    task_id = await api.create()
    lines = await api.run(task_id)
    assert parse(lines[-1])["event_type"] == "task_failed"
    return task_id, lines


def completed(events: list[Event]) -> list[str]:
    return [data["step_id"] for data in of_type(events, "step_completed")]


async def test_a_failed_task_goes_on_from_its_first_unfinished_step(served):
    cast = Cast(writes=[AgentFailed("no ink")], act_after=1)
    async with scripted_api(served, cast, settings=ONE_TRY) as api:
        task_id, first = await failed_in_writing(api)

        async with api.retry(task_id) as stream:
            second = await stream.rest()

        events = check_log([*first, *second])
        assert await api.log(task_id) == [*first, *second]
        assert types(events[len(first) :])[0] == "task_queued"
        (resumed,) = of_type(events, "task_resumed")
        assert (resumed["reason"], resumed["run"]) == ("retry", 2)
        assert sorted(resumed["kept_steps"]) == sorted(completed(check_log(first)))
        assert [(d["step"], d["attempt"]) for d in of_type(map(parse, second), "step_started")] == [
            ("writing", 2)
        ]
        assert len(cast.plans.keys) == len(cast.weighs.keys) == 1
        assert len(cast.retrieves.keys) == 2 and len(cast.writes.keys) == 2
        assert len(set(cast.writes.keys)) == 1, "the idempotency key of a step is stable"
        task = await api.task(task_id)
        check_fold(task, events)
        assert task["run"] == 2 and task["status"] == "completed" and task["error"] is None


async def test_a_cancelled_task_goes_on_and_keeps_what_was_finished(served):
    cast = Cast(weighs=[60])
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            while parse(await stream.line())["data"].get("step") != "synthesis":
                pass
        await api.cancel(task_id)

        async with api.retry(task_id) as stream:
            second = await stream.rest()

        events = check_log(await api.log(task_id))
        (resumed,) = of_type(events, "task_resumed")
        assert resumed["kept_steps"] == ["s1", "s2", "s3"]
        attempts = [(d["step"], d["attempt"]) for d in of_type(events, "step_started")]
        assert ("synthesis", 2) in attempts and ("analysis", 2) not in attempts
        assert events[-len(second)]["event_type"] == "task_queued"
        check_fold(await api.task(task_id), events)


async def test_a_task_cancelled_while_it_was_pending_can_be_retried(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        await api.cancel(task_id)

        async with api.retry(task_id) as stream:
            await stream.rest()

        events = check_log(await api.log(task_id))
        assert events[-1]["event_type"] == "task_completed"
        check_fold(await api.task(task_id), events)


async def test_a_task_cancelled_in_the_queue_can_be_retried(served):
    cast = Cast(plans=[60])
    async with scripted_api(served, cast, settings=Settings(max_running_tasks=1)) as api:
        blocker, task_id = await api.create("blocks"), await api.create("waits")
        await api.start(blocker)
        await api.start(task_id)
        await api.cancel(task_id)
        await api.cancel(blocker)

        async with api.retry(task_id) as stream:
            await stream.rest()

        check_fold(await api.task(task_id), check_log(await api.log(task_id)))


async def test_a_task_without_a_plan_is_analysed_again(served):
    cast = Cast(plans=[AgentFailed("no plan")])
    async with scripted_api(served, cast, settings=ONE_TRY) as api:
        task_id, first = await failed_in_writing(api)

        async with api.retry(task_id) as stream:
            events = check_log([*first, *await stream.rest()])

        (resumed,) = of_type(events, "task_resumed")
        assert resumed["kept_steps"] == []
        assert [d["attempt"] for d in of_type(events, "step_started") if d["step_id"] == "s1"] == [
            1,
            2,
        ]


async def test_each_run_has_a_fresh_budget_of_attempts_and_one_ending(served):
    settings = Settings(retry_delays_s=(0.0,))
    cast = Cast(writes=[AgentFailed("no")] * 5, act_after=1)
    async with scripted_api(served, cast, settings=settings) as api:
        task_id = await api.create()
        await api.run(task_id)
        for _ in range(2):
            async with api.retry(task_id) as stream:
                await stream.rest()

        events = check_log(await api.log(task_id))
        assert types(events).count("task_failed") == 2
        assert types(events)[-1] == "task_completed"
        attempts = [d["attempt"] for d in of_type(events, "step_started") if d["step"] == "writing"]
        assert attempts == [1, 2, 3, 4, 5, 6]
        assert [d["attempts"] for d in of_type(events, "step_failed")] == [2, 4]
        task = await api.task(task_id)
        assert task["run"] == 3
        check_fold(task, events)


async def test_retry_streams_from_where_it_is_asked_to(served):
    cast = Cast(writes=[AgentFailed("no")])
    async with scripted_api(served, cast, settings=ONE_TRY) as api:
        task_id, first = await failed_in_writing(api)

        async with api.retry(task_id, after=3) as stream:
            lines = await stream.rest()

        check_log([*first[:3], *lines])


async def test_retry_without_a_stream_answers_202(served):
    async with scripted_api(served, Cast(writes=[AgentFailed("no")]), settings=ONE_TRY) as api:
        task_id, _ = await failed_in_writing(api)
        headers = {"Prefer": "respond-async"}

        answer = await api.http.post(f"/tasks/{task_id}/retry", headers=headers)

        assert answer.status_code == 202 and check_task(answer.json())["run"] == 2
        assert answer.json()["error"] is None
        async with api.events(task_id) as stream:
            check_log(await stream.rest())


async def test_following_goes_on_through_a_retry_that_is_already_in_the_log(served):
    cast = Cast(writes=[AgentFailed("no")])
    async with scripted_api(served, cast, settings=ONE_TRY) as api:
        task_id, first = await failed_in_writing(api)
        async with api.retry(task_id) as stream:
            await stream.rest()

        async with api.events(task_id) as stream:
            lines = await stream.rest()

        assert len(lines) > len(first)
        check_log(lines)


async def test_of_two_retries_at_once_one_is_refused(served):
    async with scripted_api(served, Cast(writes=[AgentFailed("no"), 0.1])) as api:
        task_id = await api.create()
        await api.cancel(task_id)
        answers = []

        async def retry() -> None:
            headers = {"Prefer": "respond-async"}
            answers.append(await api.http.post(f"/tasks/{task_id}/retry", headers=headers))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(retry)
            nursery.start_soon(retry)

        answers.sort(key=lambda answer: answer.status_code)
        assert answers[0].status_code in {200, 202}
        check_problem(answers[1], 409, "illegal_state")
        async with api.events(task_id) as stream:
            check_log(await stream.rest())


# --- Another process, the same log --------------------------------------------------------------


async def test_another_system_on_the_same_log_goes_on_and_gives_the_same_bytes(served):
    store, cast = MemoryStore(), Cast(writes=[60], act_after=1)
    async with scripted_api(served, cast, store=store) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            first = await stream.until("partial_output")

    async with scripted_system(cast, store=store) as system, served(system) as http:
        api = Api(http)
        async with api.execute(task_id, after=len(first)) as stream:
            lines = [*first, *await stream.rest()]

        events = check_log(lines)
        assert await api.log(task_id) == lines
        (resumed,) = of_type(events, "task_resumed")
        assert (resumed["reason"], resumed["run"]) == ("restart", 1)
        assert resumed["kept_steps"] == ["s1", "s2", "s3", "s4"]
        assert len(cast.plans.keys) == len(cast.weighs.keys) == 1
        check_fold(await api.task(task_id), events)
