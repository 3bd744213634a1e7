"""A server that is full or draining refuses work, and loses none that it accepted."""

from __future__ import annotations

import trio
from api_client import (
    GUARD_S,
    Api,
    check_log,
    check_problem,
    parse,
    parse_note,
    scripted_api,
    types,
)
from scripted import Cast, scripted_system

from actors.journal.memory import MemoryStore
from actors.settings import Settings

FULL = Settings(max_running_tasks=1, max_queued_tasks=1)


async def test_a_full_queue_refuses_and_the_task_stays_pending(served):
    async with scripted_api(served, Cast(plans=[60]), settings=FULL) as api:
        running, queued, task_id = [await api.create(f"{n}") for n in range(3)]
        await api.start(running)
        assert (await api.start(queued))["status"] == "queued"
        for headers in ({}, {"Prefer": "respond-async"}):
            answer = await api.http.post(f"/tasks/{task_id}/execute", headers=headers)

            check_problem(answer, 503, "overloaded")
            task = await api.task(task_id)
            assert task["status"] == "pending" and task["last_seq"] == 1

        await api.cancel(running)
        await api.ended(queued)
        assert check_log(await api.run(task_id))[-1]["event_type"] == "task_completed"


async def test_a_full_queue_refuses_a_retry_and_the_task_stays_cancelled(served):
    async with scripted_api(served, Cast(plans=[60]), settings=FULL) as api:
        running, queued, task_id = [await api.create(f"{n}") for n in range(3)]
        await api.cancel(task_id)
        await api.start(running)
        await api.start(queued)

        answer = await api.http.post(f"/tasks/{task_id}/retry")

        check_problem(answer, 503, "overloaded")
        assert (await api.task(task_id))["status"] == "cancelled"


async def test_attaching_is_possible_when_the_queue_is_full(served):
    async with scripted_api(served, Cast(plans=[60]), settings=FULL) as api:
        done, running, queued = [await api.create(f"{n}") for n in range(3)]
        await api.cancel(done)
        await api.start(running)
        await api.start(queued)

        async with api.execute(queued) as stream:
            assert types(map(parse, await stream.lines(2))) == ["task_created", "task_queued"]
        assert len(await api.run(done)) == 2


async def test_positions_in_the_queue_count_from_one(served):
    async with scripted_api(
        served, Cast(plans=[60]), settings=Settings(max_running_tasks=1)
    ) as api:
        ids = [await api.create(f"{n}") for n in range(4)]
        positions = []
        for task_id in ids:
            await api.start(task_id)
            positions.append(parse((await api.log(task_id))[1])["data"]["position"])

        assert positions == [0, 1, 2, 3]


async def test_queued_tasks_start_in_the_order_they_came(served):
    cast = Cast(plans=[60])
    async with scripted_api(served, cast, settings=Settings(max_running_tasks=1)) as api:
        blocker, *ids = [await api.create(f"{n}") for n in range(5)]
        for task_id in (blocker, *ids):
            await api.start(task_id)
        await api.cancel(blocker)
        for task_id in ids:
            await api.ended(task_id)

        assert [key.split("/")[0] for key in cast.plans.keys] == [blocker, *ids]


async def test_too_many_pending_tasks_are_refused(served):
    settings = Settings(max_pending_tasks=2)
    async with scripted_api(served, settings=settings) as api:
        first = await api.create()
        await api.create()

        answer = await api.http.post("/tasks", json={"task_description": "one more"})

        check_problem(answer, 503, "overloaded")
        await api.run(first)
        await api.create("there is room again")


async def streams_open(api, count):
    """Until so many are open: that a client has closed its connection is noticed in a moment."""
    with trio.fail_after(GUARD_S):
        while (await api.http.get("/health")).json()["gauges"]["streams"] != count:
            await trio.sleep(0.01)


async def test_a_client_may_have_so_many_streams_open_and_the_next_is_refused(served):
    async with scripted_api(served, server={"max_streams_per_client": 2}) as api:
        task_id = await api.create()
        async with api.events(task_id) as first:
            async with api.events(task_id) as second:
                await first.line()
                await second.line()
                for method, path in (("GET", "events"), ("POST", "execute"), ("POST", "retry")):
                    refused = await api.http.request(method, f"/tasks/{task_id}/{path}")

                    check_problem(refused, 429, "too_many_requests")
                    assert refused.headers["retry-after"] == "1"
                assert (await api.task(task_id))["status"] == "pending"
            await streams_open(api, 1)
            async with api.execute(task_id) as third:
                assert third.status == 200


async def test_a_draining_server_refuses_new_work_and_ends_its_streams(served):
    cast, store = Cast(writes=[60], act_after=1), MemoryStore()
    with trio.fail_after(20):
        async with scripted_system(cast, store=store) as system, served(system) as http:
            api = Api(http)
            task_id, pending = await api.create(), await api.create()
            cancelled = await api.create()
            await api.cancel(cancelled)
            async with api.execute(task_id) as stream, trio.open_nursery() as nursery:
                first = await stream.until("partial_output")

                nursery.start_soon(system.drain, 0.3)
                while not system.draining:
                    await trio.lowlevel.checkpoint()

                new = await http.post("/tasks", json={"task_description": "new"})
                check_problem(new, 503, "draining")
                execute = await http.post(f"/tasks/{pending}/execute")
                check_problem(execute, 503, "draining")
                retry = await http.post(f"/tasks/{cancelled}/retry")
                check_problem(retry, 503, "draining")
                ready = await http.get("/readyz")
                assert ready.status_code == 503
                assert (await http.get("/livez")).status_code == 200
                assert (await api.task(task_id))["status"] == "executing"

                rest = await stream.rest()
            note = parse_note(rest[-1])
            assert note["event_type"] == "stream_closing"
            log = [*first, *rest[:-1]]
            assert note["data"] == {"reason": "draining", "resume_after": len(log)}
            check_log(log, ended=False)
            assert cast.working == 0

    cast.writes.acts.clear()
    async with scripted_api(served, cast, store=store) as api:
        async with api.events(task_id, after=len(log)) as stream:
            events = check_log([*log, *await stream.rest()])
        assert events[-1]["event_type"] == "task_completed"
        assert (await api.task(pending))["status"] == "pending"


async def test_a_stream_that_the_drain_closes_does_not_count_as_a_disconnect(served):
    cast, store = Cast(writes=[60], act_after=1), MemoryStore()
    with trio.fail_after(20):
        async with scripted_system(cast, store=store) as system, served(system) as http:
            api = Api(http)
            task_id = await api.create()
            async with api.execute(task_id, on_disconnect="cancel") as stream:
                await stream.until("partial_output")
                await system.drain(0)
                rest = await stream.rest()
            assert parse_note(rest[-1])["data"]["reason"] == "draining"

    cast.writes.acts.clear()
    async with scripted_api(served, cast, store=store) as api:
        assert (await api.ended(task_id))["status"] == "completed"


async def test_a_client_that_reads_nothing_is_disconnected_and_delays_no_other(served):
    cast = Cast(parts=["x" * 4_000] * 60)
    server = {"write_timeout_s": 0.2}
    async with scripted_api(served, cast, server=server) as api:
        task_id = await api.create()
        ids = [await api.create(f"{n}") for n in range(20)]
        async with api.execute(task_id):  # Its reader stops reading.
            for other in ids:
                check_log(await api.run(other))

            assert (await api.ended(task_id))["status"] == "completed"
