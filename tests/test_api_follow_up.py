"""Follow-ups and budgets over HTTP."""

from __future__ import annotations

import pytest
from api_client import check_log, check_problem, scripted_api
from scripted import Cast


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
