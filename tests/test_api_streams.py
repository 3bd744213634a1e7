"""Streams: their headers, their events, and reading a log from any position."""

from __future__ import annotations

import json

import pytest
import trio
from api_client import (
    Api,
    check_fold,
    check_log,
    of_type,
    parse,
    parse_note,
    parse_sse,
    scripted_api,
    types,
)
from scripted import Cast

from actors.errors import AgentFailed, OutputTooLarge, StepTimeout
from actors.journal.ledger import Window
from actors.journal.tail import TailBounds
from actors.settings import Settings
from actors.system import Tuning

QUICK = Settings(retry_delays_s=(0.0, 0.01, 0.01, 0.01))
ODD = "a\u0085b\u2028c\u2029d\r\ne\vf\fg\x1ch\x1di\x1ej\ufeffk\U0001f438"
SSE = {"Accept": "text/event-stream"}


async def test_a_stream_has_its_media_type_and_forbids_caches_and_buffers(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        for opened in (api.execute(task_id), api.events(task_id), api.events(task_id, after=1)):
            async with opened as stream:
                await stream.rest()

            assert stream.headers["content-type"].split(";")[0] == "application/x-ndjson"
            assert stream.headers["cache-control"] == "no-store"
            assert stream.headers["x-accel-buffering"] == "no"
            assert stream.headers["x-task-id"] == task_id


async def test_a_task_that_completes_streams_all_its_events(served):
    async with scripted_api(served) as api:
        task_id = await api.create("frogs", deadline_s=60, metadata={"a": "b"})

        events = check_log(await api.run(task_id))

        assert types(events)[:4] == ["task_created", "task_queued", "task_started", "step_started"]
        assert types(events)[4:6] == ["plan_created", "step_completed"]
        assert types(events)[-2:] == ["step_completed", "task_completed"]
        assert {event["task_id"] for event in events} == {task_id}
        created, queued = events[0]["data"], events[1]["data"]
        assert created == {
            "task_description": "frogs",
            "deadline_s": 60,
            "metadata": {"a": "b"},
        }
        assert queued == {"position": 0, "run": 1}
        assert [d["content"] for d in of_type(events, "partial_output")] == [
            "Frogs ",
            "sing. ",
            "[1]",
        ]
        assert events[-1]["data"]["final_output"] == "Frogs sing. [1]"
        assert len(events[-1]["data"]["sources"]) == 1
        assert events[-1]["data"]["degraded"] is False


async def test_steps_that_fail_are_tried_again_and_the_text_starts_anew(served):
    no = AgentFailed("no")
    cast = Cast(plans=[no, no], weighs=[StepTimeout("late")], writes=[no], act_after=1)
    async with scripted_api(served, cast, settings=QUICK) as api:
        task_id = await api.create()

        events = check_log(await api.run(task_id))

        retrying = of_type(events, "step_retrying")
        assert [(d["step"], d["attempt"], d["delay_s"]) for d in retrying] == [
            ("analysis", 1, 0),
            ("analysis", 2, 0.01),
            ("synthesis", 1, 0),
            ("writing", 1, 0),
        ]
        assert [d["error"]["code"] for d in retrying] == [
            "agent_failed",
            "agent_failed",
            "step_timeout",
            "agent_failed",
        ]
        assert events[-1]["data"]["final_output"] == "Frogs sing. [1]"
        check_fold(await api.task(task_id), events)


async def test_a_retriever_that_fails_leaves_the_task_degraded_with_empty_context(served):
    cast = Cast(retrieves=[AgentFailed("no database")] * 100)
    async with scripted_api(served, cast, settings=QUICK) as api:
        task_id = await api.create()

        events = check_log(await api.run(task_id))
        task = await api.task(task_id)

        retrievals = [d for d in of_type(events, "step_completed") if d["step"] == "retrieval"]
        assert retrievals and all(d["degraded"] for d in retrievals)
        assert all(d["error"]["code"] == "agent_failed" for d in retrievals)
        assert events[-1]["data"]["degraded"] is True and task["degraded"] is True
        check_fold(task, events)


async def test_an_analysis_that_always_fails_fails_the_task_after_five_attempts(served):
    cast = Cast(plans=[AgentFailed("no plan")] * 9)
    async with scripted_api(served, cast, settings=QUICK) as api:
        task_id = await api.create()

        events = check_log(await api.run(task_id))

        (failed,) = of_type(events, "step_failed")
        assert (failed["step"], failed["attempts"]) == ("analysis", 5)
        assert types(events)[-2:] == ["step_failed", "task_failed"]
        assert events[-1]["data"]["step_id"] == failed["step_id"]
        assert events[-1]["data"]["error"]["code"] == "agent_failed"
        assert events[-1]["data"]["partial_output"] is None
        check_fold(await api.task(task_id), events)


async def test_an_error_not_worth_another_try_fails_at_once_and_keeps_the_text(served):
    cast = Cast(writes=[OutputTooLarge("enough")], act_after=2)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()

        events = check_log(await api.run(task_id))
        task = await api.task(task_id)

        assert "step_retrying" not in types(events)
        assert events[-1]["data"]["error"]["code"] == "output_too_large"
        assert events[-1]["data"]["partial_output"] == "Frogs sing. "
        assert task["partial_output"] == "Frogs sing. " and task["final_output"] is None
        check_fold(task, events)


async def test_text_past_the_limit_fails_the_task_with_output_too_large(served):
    settings = Settings(max_output_bytes=1_024)
    async with scripted_api(served, Cast(parts=["ü" * 400] * 3), settings=settings) as api:
        events = check_log(await api.run(await api.create()))

        assert events[-1]["data"]["error"]["code"] == "output_too_large"


async def test_a_crash_of_an_agent_is_a_failed_attempt_and_no_more(served):
    cast = Cast(weighs=[ZeroDivisionError("a bug at /work/secret.py")])
    async with scripted_api(served, cast, settings=QUICK) as api:
        lines = await api.run(await api.create())

        events = check_log(lines)

        (retrying,) = of_type(events, "step_retrying")
        assert retrying["error"]["code"] == "agent_crashed"
        assert events[-1]["event_type"] == "task_completed"
        assert b"Traceback" not in b"".join(lines) and b"/work/secret" not in b"".join(lines)


async def test_line_separators_never_break_a_line(served):
    async with scripted_api(served, Cast(parts=[ODD, "\u2028", "\n", "\u0085"])) as api:
        task_id = await api.create(f"frogs {ODD}", metadata={"\u2028": "\u2029"})

        lines = await api.run(task_id)
        events = check_log(lines)

        assert all(len(line.decode().splitlines()) == 1 for line in lines)
        assert events[0]["data"]["task_description"] == f"frogs {ODD}"
        assert events[-1]["data"]["final_output"] == ODD + "\u2028\n\u0085"
        check_fold(await api.task(task_id), events)
        async with api.ask("GET", f"/tasks/{task_id}/events", headers=SSE) as stream:
            blocks, _ = parse_sse(await stream.whole())
        assert [data for _, _, data in blocks] == lines


async def test_a_task_past_its_deadline_fails_and_nothing_works_for_it(served):
    cast = Cast(writes=[60], act_after=1)
    async with scripted_api(served, cast) as api:
        task_id = await api.create(deadline_s=1)

        events = check_log(await api.run(task_id))
        task = await api.task(task_id)

        assert events[-1]["event_type"] == "task_failed"
        assert events[-1]["data"]["error"]["code"] == "deadline_exceeded"
        assert events[-1]["data"]["partial_output"] == task["partial_output"] == "Frogs "
        assert cast.working == 0
        check_fold(task, events)


async def test_the_real_agents_follow_the_same_rules(served):
    from actors.system import open_system

    async with open_system(Settings(data_dir=None)) as system, served(system) as http:
        api = Api(http)
        task_id = await api.create("Compare caching and event sourcing. When do queues help?")

        events = check_log(await api.run(task_id))

        task = await api.task(task_id)
        check_fold(task, events)
        (plan,) = of_type(events, "plan_created")
        assert task["steps"][0]["description"] == plan["steps"][0]["description"]
        assert events[-1]["data"]["sources"]
        for source in events[-1]["data"]["sources"]:
            assert f"[{source['n']}]" in events[-1]["data"]["final_output"]


# --- Attach and resume --------------------------------------------------------------------------


async def test_execute_on_a_finished_task_attaches_and_runs_nothing_again(served):
    cast = Cast()
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        first = await api.run(task_id)

        again = await api.run(task_id)

        assert again == first
        assert len(cast.plans.keys) == len(cast.writes.keys) == 1


async def test_every_after_gives_exactly_the_rest_on_every_route(served):
    async with scripted_api(served, Cast(parts=["\u2028", "ü", "c"] * 4)) as api:
        task_id = await api.create()
        lines = await api.run(task_id)

        for after in range(len(lines) + 1):
            assert await api.run(task_id, after=after) == lines[after:]
            assert await api.log(task_id, after=after) == lines[after:]
            async with api.events(task_id, after=after, follow="true") as stream:
                assert await stream.rest() == lines[after:]


async def test_a_small_memory_gives_the_same_bytes(served):
    tuning = Tuning(tail=TailBounds(events=1), window=Window(events=1))
    async with scripted_api(served, Cast(parts=["x"] * 30), tuning=tuning) as api:
        task_id = await api.create()
        lines = await api.run(task_id)
        check_log(lines)

        for after in range(0, len(lines), 7):
            assert await api.log(task_id, after=after) == lines[after:]


async def test_ten_readers_at_once_get_identical_bytes(served):
    cast = Cast(parts=[f"{n} " for n in range(30)], pause_s=0.003)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        bodies: list[bytes] = []

        async def read(method: str, what: str) -> None:
            async with api.stream(method, f"/tasks/{task_id}/{what}") as stream:
                bodies.append(await stream.whole())

        async with trio.open_nursery() as nursery:
            for n in range(10):
                args = ("POST", "execute") if n % 2 else ("GET", "events")
                nursery.start_soon(read, *args)

        assert len(bodies) == 10 and len(set(bodies)) == 1
        check_log(bodies[0].splitlines(keepends=True))
        assert len(cast.plans.keys) == 1


async def test_a_reader_that_leaves_and_comes_back_gets_exactly_the_rest(served):
    cast = Cast(parts=[f"{n} " for n in range(10)], pause_s=0.005)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        read: list[bytes] = []
        while not read or parse(read[-1])["event_type"] != "task_completed":
            async with api.execute(task_id, after=len(read)) as stream:
                read += [line for line in await stream.lines(3) if line]

        check_log(read)
        assert read == await api.log(task_id)


async def test_events_without_follow_are_what_is_there_now(served):
    cast = Cast(writes=[60], act_after=1)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        assert types(map(parse, await api.log(task_id))) == ["task_created"]
        async with api.execute(task_id) as stream:
            lines = await stream.until("partial_output")

            assert await api.log(task_id) == lines
            assert await api.log(task_id, after=len(lines)) == []


async def test_reading_the_events_of_a_pending_task_does_not_start_it(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        async with api.events(task_id) as stream:
            first = await stream.line()
            assert (await api.task(task_id))["status"] == "pending"
            await api.start(task_id)
            lines = [first, *await stream.rest()]

        check_log(lines)


async def test_what_is_streamed_is_already_in_the_log(served):
    async with scripted_api(served, Cast(pause_s=0.002)) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            read = []
            while line := await stream.line():
                read.append(line)
                log = await api.log(task_id)
                assert log[: len(read)] == read
                assert (await api.task(task_id))["last_seq"] >= len(read)


# --- Without a stream ---------------------------------------------------------------------------


async def test_respond_async_starts_without_a_stream_and_answers_the_task(served):
    async with scripted_api(served) as api:
        task_id = await api.create()

        started = await api.start(task_id)
        assert started["task_id"] == task_id
        assert started["status"] in {"queued", "executing", "completed"}
        task = await api.ended(task_id)

        headers = {"Prefer": "respond-async"}
        again = await api.http.post(f"/tasks/{task_id}/execute", headers=headers)
        assert again.status_code == 200 and again.json() == task


async def test_respond_async_is_found_among_other_preferences(served):
    async with scripted_api(served, Cast(writes=[60])) as api:
        headers = {"Prefer": "wait=5, Respond-Async"}
        path = f"/tasks/{await api.create()}/execute"
        async with api.ask("POST", path, headers=headers) as answer:
            assert answer.status == 202


# --- Heartbeats ---------------------------------------------------------------------------------


async def test_a_quiet_stream_sends_heartbeats_that_are_not_in_the_log(served):
    cast = Cast(writes=[0.4])
    async with scripted_api(served, cast, server={"heartbeat_s": 0.05}) as api:
        task_id = await api.create()

        lines = await api.run(task_id)

        notes = [line for line in lines if b'"seq"' not in line]
        assert 3 <= len(notes) <= 8
        for note in map(parse_note, notes):
            assert note["event_type"] == "heartbeat" and note["task_id"] == task_id
        events = [line for line in lines if b'"seq"' in line]
        check_log(events)
        assert await api.log(task_id) == events


async def test_heartbeats_are_comments_among_server_sent_events(served):
    cast = Cast(writes=[0.3])
    async with scripted_api(served, cast, server={"heartbeat_s": 0.05}) as api:
        path = f"/tasks/{await api.create()}/execute"
        async with api.ask("POST", path, headers=SSE) as stream:
            blocks, comments = parse_sse(await stream.whole())

        assert len(comments) >= 2
        check_log([data for _, _, data in blocks])


async def test_a_pending_task_is_followed_with_heartbeats(served):
    async with scripted_api(served, server={"heartbeat_s": 0.05}) as api:
        task_id = await api.create()
        async with api.events(task_id) as stream:
            lines = await stream.lines(3)

        assert [json.loads(line)["event_type"] for line in lines] == [
            "task_created",
            "heartbeat",
            "heartbeat",
        ]


# --- Server-sent events -------------------------------------------------------------------------


async def test_server_sent_events_carry_the_same_lines(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        path = f"/tasks/{task_id}/execute"
        async with api.ask("POST", path, headers=SSE) as stream:
            body = await stream.whole()

        assert stream.status == 200 and body.endswith(b"\n\n")
        assert stream.headers["content-type"].split(";")[0] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-task-id"] == task_id
        blocks, _ = parse_sse(body)
        assert [data for _, _, data in blocks] == await api.log(task_id)
        for id_, name, data in blocks:
            event = parse(data)
            assert (id_, name) == (str(event["seq"]), event["event_type"])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/x-ndjson"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, text/event-stream", "application/x-ndjson"),
        ("text/event-stream;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream, application/x-ndjson;q=0.5", "text/event-stream"),
        ("text/event-stream, */*;q=0.1", "text/event-stream"),
        ("text/event-stream;q=0, */*", "application/x-ndjson"),
        ("text/html", "application/x-ndjson"),
    ],
)
async def test_the_form_of_the_stream_follows_what_is_preferred(served, accept, expected):
    async with scripted_api(served) as api:
        task_id = await api.create()
        await api.run(task_id)
        path = f"/tasks/{task_id}/events"
        async with api.ask("GET", path, headers={"Accept": accept}) as stream:
            assert stream.headers["content-type"].split(";")[0] == expected


async def test_last_event_id_beats_after(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        lines = await api.run(task_id)
        headers = {**SSE, "Last-Event-ID": "5"}
        for method, what in [("GET", "events"), ("POST", "execute")]:
            path = f"/tasks/{task_id}/{what}"
            async with api.ask(method, path, params={"after": 2}, headers=headers) as stream:
                blocks, _ = parse_sse(await stream.whole())

            assert [data for _, _, data in blocks] == lines[5:]


async def test_an_event_source_stops_at_a_finished_task_with_nothing_left(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        count = len(await api.run(task_id))
        headers = {**SSE, "Last-Event-ID": str(count)}

        answer = await api.http.get(f"/tasks/{task_id}/events", headers=headers)
        plain = await api.http.get(f"/tasks/{task_id}/events", params={"after": count})

        assert answer.status_code == 204 and answer.content == b""
        assert plain.status_code == 200 and plain.content == b""
