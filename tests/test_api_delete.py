"""Delete tasks: what is removed, and what open readers receive."""

from __future__ import annotations

from typing import Any

import trio
from api_client import check_problem, parse, parse_note, parse_sse, scripted_api, wait_until
from scripted import Cast

from actors.errors import AgentFailed
from actors.settings import Settings


async def test_a_deleted_task_is_gone_from_every_route(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        await api.run(task_id)

        answer = await api.http.delete(f"/tasks/{task_id}")

        assert answer.status_code == 204 and answer.content == b""
        for path in ("", "/status", "/events"):
            check_problem(await api.http.get(f"/tasks/{task_id}{path}"), 404, "task_not_found")
        for verb in ("execute", "cancel", "retry"):
            answer = await api.http.post(f"/tasks/{task_id}/{verb}")
            check_problem(answer, 404, "task_not_found")
        check_problem(await api.http.delete(f"/tasks/{task_id}"), 404, "task_not_found")
        assert (await api.http.get("/tasks")).json()["tasks"] == []


async def test_pending_failed_and_cancelled_tasks_can_be_deleted(served):
    cast, settings = Cast(plans=[AgentFailed("no")]), Settings(retry_delays_s=())
    async with scripted_api(served, cast, settings=settings) as api:
        pending, failed, cancelled = [await api.create(f"{n}") for n in range(3)]
        await api.run(failed)
        await api.cancel(cancelled)

        for task_id in (pending, failed, cancelled):
            assert (await api.http.delete(f"/tasks/{task_id}")).status_code == 204
            check_problem(await api.http.get(f"/tasks/{task_id}"), 404, "task_not_found")


async def test_open_readers_of_a_deleted_task_get_stream_closing(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        async with api.events(task_id) as one, api.events(task_id, after=1) as other:
            first = await one.line()

            answer = await api.http.delete(f"/tasks/{task_id}")

            assert answer.status_code == 204
            assert parse(first)["event_type"] == "task_created"
            for reader in (one, other):
                (last,) = await reader.rest()
                note = parse_note(last)
                assert note["event_type"] == "stream_closing" and note["task_id"] == task_id
                assert note["data"]["reason"] == "deleted"


async def test_a_reader_of_server_sent_events_gets_stream_closing_as_well(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        path, headers = f"/tasks/{task_id}/events", {"Accept": "text/event-stream"}
        async with api.ask("GET", path, headers=headers) as stream:
            await stream.line()
            await api.http.delete(f"/tasks/{task_id}")
            blocks, _ = parse_sse(await stream.whole())

        assert [name for _, name, _ in blocks] == ["task_created", "stream_closing"]
        assert blocks[-1][0] == "", "a line without a seq must not move Last-Event-ID"
        assert parse_note(blocks[-1][2])["data"]["reason"] == "deleted"


async def test_a_followed_task_that_starts_while_it_is_deleted_has_one_outcome(served):
    async with scripted_api(served) as api:
        for _ in range(20):
            task_id = await api.create()
            deleted: list[Any] = []
            started: list[Any] = []

            async def delete(task_id=task_id, deleted=deleted) -> None:
                deleted.append((await api.http.delete(f"/tasks/{task_id}")).status_code)

            async def execute(task_id=task_id, started=started) -> None:
                headers = {"Prefer": "respond-async"}
                answer = await api.http.post(f"/tasks/{task_id}/execute", headers=headers)
                started.append(answer.status_code)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(execute)
                nursery.start_soon(delete)

            assert (deleted[0], started[0]) in {(204, 404), (204, 200), (204, 202), (409, 202)}
            if deleted[0] == 409:
                assert (await api.ended(task_id))["status"] == "completed"
            else:
                answer = await api.http.get(f"/tasks/{task_id}")
                check_problem(answer, 404, "task_not_found")


async def test_a_task_may_be_deleted_as_soon_as_its_cancel_is_answered(served):
    cast = Cast(writes=[60] * 9)
    async with scripted_api(served, cast) as api:
        for _ in range(5):
            task_id = await api.create()
            await api.start(task_id)
            await wait_until(lambda: cast.writes.working == 1)
            await api.cancel(task_id)

            assert (await api.http.delete(f"/tasks/{task_id}")).status_code == 204


async def test_a_task_may_be_deleted_as_soon_as_its_ending_is_read(served):
    async with scripted_api(served) as api:
        for _ in range(10):
            task_id = await api.create()
            await api.run(task_id)

            assert (await api.http.delete(f"/tasks/{task_id}")).status_code == 204
