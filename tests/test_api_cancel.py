"""Cancel a task in every state, in every step, and while it completes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from api_client import (
    Api,
    check_fold,
    check_log,
    check_problem,
    check_task,
    of_type,
    scripted_api,
    types,
    wait_until,
)
from scripted import Cast, ScriptedWriter

from actors.errors import AgentFailed
from actors.settings import Settings

NOTICED_S = 0.8
FINAL = ("completed", "failed", "cancelled")
ONE_SLOT = Settings(max_running_tasks=1)


async def test_a_pending_task_can_be_cancelled(served):
    async with scripted_api(served) as api:
        task_id = await api.create()

        answer = await api.cancel(task_id, reason="never mind \u2028")

        task = check_task(answer.json())
        events = check_log(await api.log(task_id))
        assert answer.status_code == 200 and task["status"] == "cancelled"
        assert types(events) == ["task_created", "task_cancelled"]
        assert events[-1]["data"] == {"reason": "never mind \u2028", "partial_output": None}
        check_fold(task, events)


async def test_a_queued_task_is_cancelled_and_never_runs(served):
    cast = Cast(plans=[60])
    async with scripted_api(served, cast, settings=ONE_SLOT) as api:
        await api.start(await api.create("the blocker"))
        task_id = await api.create()
        assert (await api.start(task_id))["status"] == "queued"

        answer = await api.cancel(task_id)

        assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
        events = check_log(await api.log(task_id))
        assert types(events) == ["task_created", "task_queued", "task_cancelled"]
        assert events[-1]["data"]["reason"] is None
        assert len(cast.plans.keys) == 1


@pytest.mark.parametrize("step", ["plans", "retrieves", "weighs", "writes"])
async def test_nothing_works_once_a_cancel_in_this_step_is_answered(served, step):
    acts: dict[str, Any] = {step: [60, 60]}
    cast = Cast(**acts, act_after=2)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            await wait_until(lambda: getattr(cast, step).working > 0)

            answer = await api.cancel(task_id, reason="enough")

            assert cast.working == 0
            lines = await stream.rest()
        task = check_task(answer.json())
        events = check_log(lines)
        assert answer.status_code == 200 and task["status"] == "cancelled"
        assert events[-1]["data"]["reason"] == "enough"
        assert task["partial_output"] == ("Frogs sing. " if step == "writes" else None)
        assert {s["status"] for s in task["steps"]} <= {"completed", "cancelled", "pending"}
        check_fold(task, events)


async def test_a_cancel_while_an_attempt_is_awaited_is_answered_at_once(served):
    settings = Settings(retry_delays_s=(3_600,))
    async with scripted_api(served, Cast(plans=[AgentFailed("no")]), settings=settings) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            await stream.until("step_retrying")

            answer = await api.cancel(task_id)

        assert answer.json()["status"] == "cancelled"
        check_log(await api.log(task_id))


async def test_cancelling_again_gives_the_same_answer(served):
    async with scripted_api(served, Cast(writes=[60])) as api:
        task_id = await api.create()
        await api.start(task_id)

        first = await api.cancel(task_id, reason="one")
        again = await api.cancel(task_id, reason="two")

        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert of_type(check_log(await api.log(task_id)), "task_cancelled")[0]["reason"] == "one"


async def test_many_cancels_at_once_all_get_the_same_answer(served):
    cast = Cast(writes=[60], act_after=1)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            await stream.until("partial_output")
        answers = []

        async def cancel() -> None:
            answers.append(await api.cancel(task_id))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(cancel)

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        check_log(await api.log(task_id))


async def test_a_body_is_optional_and_may_be_an_empty_object(served):
    async with scripted_api(served) as api:
        bodies: list[Any] = [{}, {"content": b""}, {"json": {}}, {"json": {"reason": None}}]
        for body in bodies:
            task_id = await api.create()
            answer = await api.http.post(f"/tasks/{task_id}/cancel", **body)
            assert answer.status_code == 200, (body, answer.text)


async def test_a_reason_of_1000_characters_is_kept(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        await api.cancel(task_id, reason="\U0001f438" * 1_000)

        events = check_log(await api.log(task_id))

        assert events[-1]["data"]["reason"] == "\U0001f438" * 1_000


async def test_a_cancel_whose_caller_hangs_up_happens_all_the_same(served):
    cast = Cast(writes=[60], act_after=1)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id) as reader:
            await reader.until("partial_output")
            url = api.http.base_url
            async with await trio.open_tcp_stream(url.host, url.port or 80) as socket:
                head = f"POST /tasks/{task_id}/cancel HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
                await socket.send_all(f"{head}Content-Length: 0\r\n\r\n".encode())
                # Wait for the request to arrive; a cancel that was not received has no effect.
                await wait_until(lambda: cast.working == 0)
            assert "task_cancelled" in types(check_log(await api.log(task_id)))


async def test_other_tasks_do_not_notice_a_cancel(served):
    cast = Cast(parts=[f"{n} " for n in range(20)], pause_s=0.005)
    async with scripted_api(served, cast) as api:
        kept, cancelled = await api.create("kept"), await api.create("cancelled")
        async with api.execute(kept) as one, api.execute(cancelled) as other:
            await other.until("partial_output")
            await api.cancel(cancelled)

            events = check_log([*await one.rest()])

        assert events[-1]["event_type"] == "task_completed"


async def test_a_slot_freed_by_a_cancel_goes_to_the_next_in_the_queue(served):
    async with scripted_api(served, Cast(plans=[60]), settings=ONE_SLOT) as api:
        blocker, task_id = await api.create("blocks"), await api.create("waits")
        await api.start(blocker)
        async with api.execute(task_id) as stream:
            first = await stream.lines(2)
            await api.cancel(blocker)
            events = check_log([*first, *await stream.rest()])

        assert events[-1]["event_type"] == "task_completed"


async def cancel_later(
    api: Api, task_id: str, wait_s: float, answers: list[httpx.Response]
) -> None:
    await trio.sleep(wait_s)
    answers.append(await api.cancel(task_id))


async def test_a_cancel_that_races_completion_leaves_exactly_one_ending(served):
    seen = set()
    async with scripted_api(served, Cast(parts=["a", "b", "c"], pause_s=0.0005)) as api:
        for n in range(60):
            task_id = await api.create()
            answers: list[httpx.Response] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_later, api, task_id, n * 0.00025, answers)
                streamed = await api.run(task_id)

            events = check_log(streamed)
            assert sum(event["event_type"].startswith("task_c") for event in events) == 2
            task = await api.task(task_id)
            check_fold(task, events)
            (answer,) = answers
            if answer.status_code == 200:
                assert answer.json() == task and task["status"] == "cancelled"
            else:
                check_problem(answer, 409, "illegal_state")
                assert task["status"] == "completed"
            seen.add(answer.status_code)
    assert 200 in seen, "the sweep never hit a working task"


async def test_an_execute_that_races_a_cancel_of_a_pending_task_has_one_outcome(served):
    cast = Cast(writes=[60] * 40)
    async with scripted_api(served, cast) as api:
        for _ in range(20):
            task_id = await api.create()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(api.cancel, task_id)
                nursery.start_soon(api.http.head, "/livez")
                lines = await api.run(task_id)

            assert (await api.task(task_id))["status"] == "cancelled"
            check_log(lines)
            assert cast.working == 0


class Stubborn(ScriptedWriter):
    """A writer that ignores its cancellation until the test allows it to stop."""

    may_stop: trio.Event

    async def _part(self, part, call) -> None:
        with trio.CancelScope(shield=True):
            await self.may_stop.wait()
        await call.part(part)


class StubbornCast(Cast):
    def factories(self):
        def writer():
            made = Stubborn(self.writes, ("a", "b"), 0, 0)
            made.may_stop = self.may_stop
            return made

        self.may_stop = trio.Event()
        return {**super().factories(), "writer": writer}


@asynccontextmanager
async def stubborn(served):
    cast = StubbornCast()
    settings = Settings(cancel_timeout_s=0.1)
    async with scripted_api(served, cast, settings=settings) as api:
        task_id = await api.create()
        await api.start(task_id)
        await wait_until(lambda: cast.writes.working > 0)
        try:
            yield api, cast, task_id
        finally:
            cast.may_stop.set()


async def test_work_that_does_not_stop_is_never_called_cancelled(served):
    async with stubborn(served) as (api, cast, task_id):
        answer = await api.cancel(task_id)

        check_problem(answer, 503, "cancel_unfinished")
        assert cast.working == 1
        assert (await api.task(task_id))["status"] == "executing"
        cast.may_stop.set()
        again = await api.cancel(task_id)
        assert again.status_code == 200 and cast.working == 0
        check_log(await api.log(task_id))


# --- on_disconnect ------------------------------------------------------------------------------


def slow() -> Cast:
    return Cast(parts=[f"{n} " for n in range(10)], writes=[60], act_after=1)


async def steady(api: Api, task_id: str) -> None:
    """A task that runs for longer than the server needs to notice that its client is gone."""
    with trio.move_on_after(NOTICED_S):
        while True:
            assert (await api.task(task_id))["status"] == "executing"
            await trio.sleep(0.02)


async def test_a_reader_that_hangs_up_with_cancel_cancels_the_task(served):
    cast = slow()
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id, on_disconnect="cancel") as stream:
            await stream.until("partial_output")

        task = await api.settled(task_id, *FINAL)

        assert task["status"] == "cancelled" and task["partial_output"] == "0 "
        assert cast.working == 0
        check_log(await api.log(task_id))


@pytest.mark.parametrize("query", [{}, {"on_disconnect": "continue"}], ids=str)
async def test_a_reader_that_hangs_up_otherwise_leaves_the_task_running(served, query):
    cast = Cast(parts=[f"{n} " for n in range(10)], pause_s=0.01)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id, **query) as stream:
            await stream.until("partial_output")

        assert (await api.settled(task_id, *FINAL))["status"] == "completed"


async def test_the_task_goes_on_while_another_reader_is_left(served):
    cast = slow()
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id, on_disconnect="cancel") as second:
            async with api.execute(task_id, on_disconnect="cancel") as first:
                await first.until("partial_output")
                await second.until("partial_output")
            await steady(api, task_id)
            assert cast.working == 1

        assert (await api.settled(task_id, *FINAL))["status"] == "cancelled"


async def test_a_plain_reader_keeps_the_task_alive_and_may_leave_without_harm(served):
    cast = slow()
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.events(task_id) as plain:
            async with api.execute(task_id, on_disconnect="cancel") as asking:
                await asking.until("partial_output")
            await plain.until("partial_output")
            await steady(api, task_id)

        await steady(api, task_id)
        assert cast.working == 1
        await api.cancel(task_id)


async def test_reading_to_the_end_with_cancel_cancels_nothing(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        events = check_log(await api.run(task_id, on_disconnect="cancel"))

        assert events[-1]["event_type"] == "task_completed"
        assert (await api.task(task_id))["status"] == "completed"


async def test_hanging_up_cancels_a_queued_task_too(served):
    async with scripted_api(served, Cast(plans=[60]), settings=ONE_SLOT) as api:
        await api.start(await api.create("the blocker"))
        task_id = await api.create()
        async with api.execute(task_id, on_disconnect="cancel") as stream:
            await stream.until("task_queued")

        task = await api.settled(task_id, *FINAL)

        assert task["status"] == "cancelled"
        assert check_log(await api.log(task_id))[-1]["event_type"] == "task_cancelled"


async def test_hanging_up_on_a_retry_with_cancel_cancels_it(served):
    async with scripted_api(served, Cast(plans=[60, 60])) as api:
        task_id = await api.create()
        await api.start(task_id)
        await api.cancel(task_id)
        async with api.retry(task_id, on_disconnect="cancel") as stream:
            await stream.until("step_started")

        await api.settled(task_id, *FINAL)
        assert types(check_log(await api.log(task_id))).count("task_cancelled") == 2


async def test_a_reader_in_mid_stream_that_hangs_up_while_text_flows_cancels(served):
    for lines in (1, 6, 11):
        cast = Cast(parts=["x" * 50] * 5_000, pause_s=0.001)
        async with scripted_api(served, cast) as api:
            task_id = await api.create()
            async with api.execute(task_id, on_disconnect="cancel") as stream:
                await stream.lines(lines)

            task = await api.settled(task_id, *FINAL)

            assert task["status"] == "cancelled" and cast.working == 0
            check_log(await api.log(task_id))
