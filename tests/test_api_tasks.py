"""Create, read and list tasks, with idempotency keys, follow-ups and budgets."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
from api_client import (
    ITEM_FIELDS,
    Api,
    check_fold,
    check_item,
    check_log,
    check_problem,
    check_task,
    check_time,
    scripted_api,
)
from scripted import Cast

from actors.settings import Settings


async def test_creating_a_task_answers_201_with_its_id_and_location(served):
    async with scripted_api(served) as api:
        answer = await api.http.post("/tasks", json={"task_description": "Why do frogs sing?"})

        assert answer.status_code == 201
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        assert answer.json().keys() == {"task_id", "status", "created_at"}
        assert answer.json()["status"] == "pending"
        check_time(answer.json()["created_at"])
        located = await api.http.get(answer.headers["location"])
        assert located.json()["task_id"] == answer.json()["task_id"]


async def test_a_pending_task_shows_what_it_was_created_with(served):
    async with scripted_api(served) as api:
        task_id = await api.create("Why? \u2028", deadline_s=90.5, metadata={"team": "frogs"})

        task = await api.task(task_id)

        assert task["status"] == "pending" and task["last_seq"] == 1
        assert task["task_description"] == "Why? \u2028"
        assert task["deadline_s"] == 90.5 and task["metadata"] == {"team": "frogs"}
        assert task["final_output"] is task["partial_output"] is task["error"] is None
        assert task["steps"] == [] and task["degraded"] is False


async def test_what_was_not_given_is_null_or_empty(served):
    async with scripted_api(served) as api:
        task = await api.task(await api.create())

        assert task["deadline_s"] is None and task["metadata"] == {}


async def test_both_paths_of_the_status_give_the_same(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        await api.run(task_id)

        short = await api.http.get(f"/tasks/{task_id}")
        long = await api.http.get(f"/tasks/{task_id}/status")

        assert short.status_code == 200 and short.content == long.content
        check_task(short.json())


async def test_a_completed_task_says_what_its_log_says(served):
    async with scripted_api(served, Cast(parts=["A", "ü\u2028", "\u0085 \U0001f438"])) as api:
        task_id = await api.create("frogs")

        events = check_log(await api.run(task_id))
        task = await api.task(task_id)

        check_fold(task, events)
        assert task["status"] == "completed" and task["run"] == 1
        assert task["final_output"] == "Aü\u2028\u0085 \U0001f438"
        assert all(step["started_at"] <= step["finished_at"] for step in task["steps"])


@pytest.mark.parametrize(
    "values",
    [
        {"task_description": "x" * 20_000},
        {"task_description": "\U0001f438" * 20_000},
        {"task_description": "a", "deadline_s": 1},
        {"task_description": "a", "deadline_s": 86_400},
        {"task_description": "a", "deadline_s": None},
        {"task_description": "a", "metadata": {str(n): "v" for n in range(32)}},
        {"task_description": "a", "metadata": {"": ""}},
        {"task_description": "\u0085\u2028\u2029 \r\n\t x \x1b \ufffe"},
    ],
    ids=lambda values: str(values)[:60],
)
async def test_the_last_values_within_the_limits_are_accepted_and_kept(served, values):
    async with scripted_api(served) as api:
        answer = await api.http.post("/tasks", json=values)

        assert answer.status_code == 201, answer.text
        task = await api.task(answer.json()["task_id"])
        assert {name: task[name] for name in values} == values


# --- Idempotency-Key ----------------------------------------------------------------------------


async def keyed(api: Api, key: str, text: str = "frogs", **more: Any) -> Any:
    body = {"task_description": text, **more}
    return await api.http.post("/tasks", json=body, headers={"Idempotency-Key": key})


async def test_the_same_key_and_values_give_the_same_task_and_answer(served):
    async with scripted_api(served) as api:
        first = await keyed(api, "k" * 255, metadata={"a": "1", "b": "2"}, deadline_s=5)
        again = await keyed(api, "k" * 255, metadata={"b": "2", "a": "1"}, deadline_s=5.0)
        listed = (await api.http.get("/tasks")).json()["tasks"]

        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert first.headers["location"] == again.headers["location"]
        assert len(listed) == 1


async def test_the_answer_to_a_key_stays_the_same_when_the_task_has_gone_on(served):
    async with scripted_api(served) as api:
        first = await keyed(api, "key")
        await api.run(first.json()["task_id"])

        again = await keyed(api, "key")

        assert again.status_code == 201 and again.content == first.content


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({}, {"text": "toads"}),
        ({}, {"deadline_s": 60}),
        ({}, {"metadata": {"a": "b"}}),
        ({}, {"budget": {"steps": 5}}),
        ({"budget": {"steps": 5}}, {}),
        ({"budget": {"steps": 5}}, {"budget": {"steps": 6}}),
        ({"budget": {"steps": 5}}, {"budget": {"steps": 5, "tokens": 10}}),
    ],
    ids=str,
)
async def test_the_same_key_with_other_values_is_refused(served, first, again):
    async with scripted_api(served) as api:
        await keyed(api, "key", **first)

        answer = await keyed(api, "key", **again)

        assert "Idempotency-Key" in check_problem(answer, 422, "invalid_request")["detail"]


async def test_the_same_key_with_another_context_task_is_refused(served):
    async with scripted_api(served) as api:
        one, other = [await api.create() for _ in range(2)]
        await api.run(one)
        await api.run(other)
        first = await keyed(api, "key", context_task_id=one)

        same = await keyed(api, "key", context_task_id=one)
        assert (same.status_code, same.content) == (201, first.content)
        for further in ({"context_task_id": other}, {}):
            answer = await keyed(api, "key", **further)
            assert "Idempotency-Key" in check_problem(answer, 422, "invalid_request")["detail"]


async def test_the_same_key_with_the_same_budget_gives_the_same_task(served):
    async with scripted_api(served) as api:
        first = await keyed(api, "key", budget={"steps": 5})
        again = await keyed(api, "key", budget={"tokens": None, "steps": 5})

        assert (again.status_code, again.content) == (201, first.content)


async def test_a_key_lives_as_long_as_its_task(served):
    async with scripted_api(served) as api:
        first = (await keyed(api, "key")).json()["task_id"]
        await api.http.delete(f"/tasks/{first}")

        second = await keyed(api, "key", "something else")

        assert second.status_code == 201
        assert (await api.task(second.json()["task_id"]))["task_description"] == "something else"


async def test_ten_simultaneous_posts_with_one_key_make_one_task(served):
    async with scripted_api(served) as api:
        answers: list[bytes] = []

        async def post() -> None:
            answers.append((await keyed(api, "one")).content)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(post)

        assert len(answers) == 10 and len(set(answers)) == 1
        assert len((await api.http.get("/tasks")).json()["tasks"]) == 1


# --- Follow-ups and budgets ---------------------------------------------------------------------


async def test_a_task_may_follow_up_a_completed_one(served):
    async with scripted_api(served) as api:
        first = await api.create("Why do frogs sing?")
        await api.run(first)
        second = await api.create("And toads?", context_task_id=first)

        check_log(await api.run(second))
        task = await api.task(second)
        assert task["context_task_id"] == first
        assert "context_task_id" not in await api.task(first)


@pytest.mark.parametrize("other", ["7c9e6679-7425-40de-944b-e07fc1f90ae7", "not-an-id"])
async def test_following_up_what_is_not_there_is_a_mistake(served, other):
    async with scripted_api(served) as api:
        body = {"task_description": "And toads?", "context_task_id": other}
        answer = await api.http.post("/tasks", json=body)

        problem = check_problem(answer, 422, "invalid_request")
        assert "context_task_id" in problem["detail"]


async def test_following_up_an_unfinished_task_is_a_conflict(served):
    async with scripted_api(served) as api:
        body = {"task_description": "And toads?", "context_task_id": await api.create()}
        answer = await api.http.post("/tasks", json=body)

        check_problem(answer, 409, "illegal_state")


async def test_a_budget_is_kept_and_shown(served):
    async with scripted_api(served, Cast(questions=5)) as api:
        task_id = await api.create(budget={"steps": 5})

        events = check_log(await api.run(task_id))
        task = await api.task(task_id)
        assert task["budget"] == {"tokens": None, "steps": 5, "output_bytes": None}
        assert len(task["steps"]) == 5 and task["degraded"]
        assert events[0]["data"]["budget"]["steps"] == 5


@pytest.mark.parametrize(
    "budget", [{"steps": 3}, {"tokens": -1}, {"output_bytes": 10}, {"time": 4}, {"steps": "many"}]
)
async def test_a_budget_out_of_range_is_a_mistake(served, budget):
    async with scripted_api(served) as api:
        body = {"task_description": "Why?", "budget": budget}
        answer = await api.http.post("/tasks", json=body)

        check_problem(answer, 422, "invalid_request")


# --- Lists --------------------------------------------------------------------------------------


async def test_the_list_is_newest_first_and_without_steps_and_texts(served):
    async with scripted_api(served) as api:
        made = [await api.create(f"task {n}") for n in range(3)]
        await api.run(made[0])

        page = (await api.http.get("/tasks")).json()

        assert page.keys() == {"tasks", "next_cursor"} and page["next_cursor"] is None
        assert [task["task_id"] for task in page["tasks"]] == made[::-1]
        for item in page["tasks"]:
            check_item(item)
            whole = await api.task(item["task_id"])
            assert item == {name: whole[name] for name in ITEM_FIELDS}


async def test_no_tasks_are_an_empty_page(served):
    async with scripted_api(served) as api:
        answer = await api.http.get("/tasks")

        assert answer.json() == {"tasks": [], "next_cursor": None}
        assert "link" not in answer.headers


async def test_paging_by_the_link_neither_loses_nor_repeats_a_task(served):
    async with scripted_api(served) as api:
        made = [await api.create(f"task {n}") for n in range(5)]
        path, seen, pages = "/tasks?limit=2", [], 0

        while path:
            answer = await api.http.get(path)
            pages += 1
            await api.create("one more while somebody reads")
            seen += [task["task_id"] for task in answer.json()["tasks"]]
            link = re.fullmatch(r'<([^>]+)>; ?rel="next"', answer.headers.get("link", ""))
            assert (link is None) == (answer.json()["next_cursor"] is None)
            path = link[1] if link else ""

        assert seen == made[::-1] and pages == 3


async def test_paging_by_the_cursor_keeps_the_filter_and_survives_deletes(served):
    async with scripted_api(served) as api:
        made = [await api.create(f"task {n}") for n in range(5)]
        ran = await api.create("ran")
        await api.run(ran)
        query: dict[str, Any] = {"limit": 2, "status": "pending"}

        first = (await api.http.get("/tasks", params=query)).json()
        await api.http.delete(f"/tasks/{made[3]}")
        second = (
            await api.http.get("/tasks", params={**query, "cursor": first["next_cursor"]})
        ).json()

        assert [t["task_id"] for t in first["tasks"]] == [made[4], made[3]]
        assert [t["task_id"] for t in second["tasks"]] == [made[2], made[1]]


async def test_a_full_last_page_has_no_next(served):
    async with scripted_api(served) as api:
        for n in range(2):
            await api.create(f"task {n}")

        answer = await api.http.get("/tasks", params={"limit": 2})

        assert answer.json()["next_cursor"] is None and "link" not in answer.headers


async def test_the_list_can_be_filtered_by_every_status(served):
    cast = Cast(writes=[None, 60])
    settings = Settings(max_running_tasks=1)
    async with scripted_api(served, cast, settings=settings) as api:
        ids = {"pending": await api.create("p")}
        ids["completed"] = await api.create("c")
        await api.run(ids["completed"])
        ids["cancelled"] = await api.create("x")
        await api.cancel(ids["cancelled"])
        ids["executing"] = await api.create("e")
        async with api.execute(ids["executing"]) as stream:
            await stream.until("task_started")
            ids["queued"] = await api.create("q")
            await api.start(ids["queued"])

            for status, task_id in ids.items():
                page = (await api.http.get("/tasks", params={"status": status})).json()
                assert [task["task_id"] for task in page["tasks"]] == [task_id], status
            failed = (await api.http.get("/tasks", params={"status": "failed"})).json()
            assert failed["tasks"] == []
