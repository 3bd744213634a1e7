"""The page's fold of events against the server's `evolve`, event by event."""

from __future__ import annotations

import json

import httpx
import pytest

from actors.tasks.events import decode
from actors.tasks.life import evolve
from web.api.views import task_view

FOLD = """async (lines) => {
    const { fold, partialOutput, FINAL } = await import("/page/task/fold.js");
    const fields = ["task_id", "status", "task_description", "created_at", "updated_at", "last_seq",
        "final_output", "degraded", "deadline_s", "metadata"];
    const stepFields = ["step_id", "step", "agent_type", "description", "depends_on", "status",
        "attempts", "started_at", "finished_at", "error"];
    const pick = (one, names) => Object.fromEntries(names.map((name) => [name, one[name]]));
    let task = null;
    return lines.map((line) => {
        task = deepFreeze(fold(task, deepFreeze(JSON.parse(line))));
        return {
            ...pick(task, fields),
            run: Math.max(task.run, 1),
            error: FINAL.has(task.status) ? task.error : null,
            partial_output: partialOutput(task),
            steps: task.steps.map((step) => pick(step, stepFields)),
            ...(task.usage ? { usage: task.usage } : {}),
            ...(task.context_task_id ? { context_task_id: task.context_task_id } : {}),
            ...(task.budget ? { budget: task.budget } : {}),
        };
    });
    function deepFreeze(value) {
        if (value && typeof value === "object") Object.values(value).forEach(deepFreeze);
        return Object.freeze(value);
    }
}"""
"""The page's fold of each beginning of a log, as the API shows tasks. It may change no value."""


def served(lines):
    """The same by the server's own functions."""
    task, shown = None, []
    for line in lines:
        task = evolve(task, decode(line))
        shown.append(task_view(task))
    return shown


def post(server, path, **body):
    answer = httpx.post(f"{server.url}{path}", json=body, timeout=30)
    return answer.raise_for_status()


def retried(server, task_id):
    post(server, f"/tasks/{task_id}/retry")


def cancelled_and_retried(server, task_id):
    """A task that is cancelled while it writes, retried, and cancelled again."""
    created = {"task_description": "Slow task", "budget": {"tokens": 1000}, "deadline_s": 60}
    created |= {"metadata": {"for": "frogs"}}
    slow = post(server, "/tasks", **created).json()["task_id"]
    for verb in ("execute", "retry"):
        with httpx.stream("POST", f"{server.url}/tasks/{slow}/{verb}", timeout=30) as stream:
            for line in stream.iter_lines():
                if json.loads(line)["event_type"] == "partial_output":
                    break
        post(server, f"/tasks/{slow}/cancel", reason="Enough.")
    return slow


@pytest.mark.parametrize(
    ("description", "then"),
    [
        ("Calm task", None),
        ("Flaky task", None),
        ("Degraded task", None),
        ("Broken task", retried),
        ("Calm before a slow task", cancelled_and_retried),
    ],
)
def test_the_page_folds_every_beginning_of_a_log_as_the_server_does(
    plays, open_page, run_task, description, then
):
    task_id = run_task(plays, description)
    task_id = (then and then(plays, task_id)) or task_id
    lines = httpx.get(f"{plays.url}/tasks/{task_id}/events?follow=false").text.splitlines()

    folded = open_page(plays.url).evaluate(FOLD, lines)

    assert folded == served(lines)
    assert folded[-1] == httpx.get(f"{plays.url}/tasks/{task_id}").json()


def test_a_restart_is_folded_as_the_server_does(own_server, open_page):
    slow = post(own_server, "/tasks", task_description="Slow task").json()["task_id"]
    with httpx.stream("POST", f"{own_server.url}/tasks/{slow}/execute") as stream:
        for line in stream.iter_lines():
            if json.loads(line)["event_type"] == "partial_output":
                break
    own_server.kill()
    own_server.start()
    post(own_server, f"/tasks/{slow}/cancel")
    lines = httpx.get(f"{own_server.url}/tasks/{slow}/events?follow=false").text.splitlines()

    assert "task_resumed" in {json.loads(line)["event_type"] for line in lines}
    assert open_page(own_server.url).evaluate(FOLD, lines) == served(lines)


def test_any_moment_of_a_long_past_is_that_of_folding_up_to_it(plays, open_page, run_task):
    task_id = run_task(plays, "Long report")
    lines = httpx.get(f"{plays.url}/tasks/{task_id}/events?follow=false").text.splitlines()

    differ = open_page(plays.url).evaluate(
        """async (lines) => {
            const { Past } = await import("/page/task/past.js");
            const past = new Past();
            const states = lines.map((line) => (past.add(JSON.parse(line)), past.now));
            const seqs = [1, 2, 63, 64, 65, 66, 127, 128, 129, 130, 1999, lines.length, lines.length + 9];
            const same = (seq) => JSON.stringify(past.at(seq)) ===
                JSON.stringify(states[Math.min(seq, states.length) - 1]);
            return seqs.filter((seq) => !same(seq));
        }""",
        lines,
    )

    assert differ == []
