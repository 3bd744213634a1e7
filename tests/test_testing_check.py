"""The invariant checker: every log the system writes passes, and every damage to one is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Cast, scripted_system

from actors.errors import AgentFailed
from actors.testing import BrokenLog, check_log

NO = AgentFailed("no")
Event = dict[str, Any]
Damage = Callable[[list[Event]], None]


async def log_of(cast: Cast, *, retried: bool = False) -> list[Event]:
    async with scripted_system(cast) as system:
        task = await system.create("frogs")
        events = [event async for event in system.execute(task.task_id)]
        if retried:
            await system.retry(task.task_id)
            events = [event async for event in system.execute(task.task_id)]
    return [json.loads(event.line()) for event in events]


def lines(events: list[Event]) -> list[bytes]:
    return [json.dumps(event).encode() + b"\n" for event in events]


def first(events: list[Event], kind: str) -> Event:
    return next(event for event in events if event["event_type"] == kind)


def test_an_empty_log_has_no_status() -> None:
    assert check_log(b"") == ""


@pytest.mark.parametrize(
    ("cast", "status"),
    [
        (Cast(), "completed"),
        (Cast(plans=[NO], weighs=[NO], retrieves=[NO] * 10, writes=[NO], act_after=2), "completed"),
        (Cast(writes=[NO] * 5, act_after=1), "failed"),
    ],
)
async def test_what_the_system_writes_passes(
    cast: Cast, status: str, autojump_clock: object
) -> None:
    events = await log_of(cast)
    assert check_log(lines(events), attempts=5, crashed=()) == status
    assert check_log(b"".join(lines(events))) == status


async def test_a_task_that_was_retried_passes(autojump_clock: object) -> None:
    events = await log_of(Cast(writes=[NO] * 5, act_after=1), retried=True)
    assert check_log(lines(events), attempts=5, crashed=()) == "completed"
    with pytest.raises(BrokenLog, match="has had its 4 attempts"):
        check_log(lines(events), attempts=4)


def renumber(events: list[Event]) -> None:
    for number, event in enumerate(events, start=1):
        event["seq"] = number


def gap(events: list[Event]) -> None:
    del events[3]


def changed_last(kind: str, **data: Any) -> Damage:
    def damage(events: list[Event]) -> None:
        first(events[::-1], kind)["data"].update(data)

    return damage


def dropped(kind: str) -> Damage:
    def damage(events: list[Event]) -> None:
        events.remove(first(events, kind))
        renumber(events)

    return damage


def twice(kind: str) -> Damage:
    def damage(events: list[Event]) -> None:
        found = first(events, kind)
        events.insert(events.index(found), json.loads(json.dumps(found)))
        renumber(events)

    return damage


def changed(kind: str, **fields: Any) -> Damage:
    def damage(events: list[Event]) -> None:
        first(events, kind)["data"].update(fields)

    return damage


def another_task(events: list[Event]) -> None:
    events[4]["task_id"] = "another"


DAMAGES = {
    "a gap": gap,
    "another task": another_task,
    "two endings": twice("task_completed"),
    "created twice": twice("task_created"),
    "started twice": twice("task_started"),
    "two plans": twice("plan_created"),
    "no plan": dropped("plan_created"),
    "no start of a step": dropped("step_started"),
    "a part lost": dropped("partial_output"),
    "a part twice": twice("partial_output"),
    "a retry lost": dropped("step_retrying"),
    "a step completed twice": twice("step_completed"),
    "a step not completed": dropped("step_completed"),
    "a wrong run": changed("task_queued", run=2),
    "a wrong attempt": changed("step_started", attempt=2),
    "another agent than planned": changed_last("step_started", agent_type="poet"),
    "another description than planned": changed_last("step_started", description="sing"),
    "a wrong number": changed("step_started", step_number=2),
    "a wrong next attempt": changed("step_retrying", next_attempt=7),
    "degraded without a reason": changed("step_completed", degraded=True),
    "a wrong text": changed("task_completed", final_output="Frogs"),
    "a wrong total": changed("task_completed", total_steps=4),
    "a degraded task that is not": changed("task_completed", degraded=True),
    "a part of another attempt": changed("partial_output", attempt=9),
    "an empty part": changed("partial_output", content=""),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_log_is_refused(name: str, autojump_clock: object) -> None:
    events = await log_of(Cast(writes=[NO], act_after=0))
    DAMAGES[name](events)
    with pytest.raises(BrokenLog, match="event [0-9]+: "):
        check_log(lines(events))


@pytest.mark.parametrize("text", ["", "Frogs"])
async def test_a_failure_that_keeps_another_text_is_refused(
    text: str, autojump_clock: object
) -> None:
    events = await log_of(Cast(writes=[NO] * 5, act_after=2))
    assert first(events, "task_failed")["data"]["partial_output"] == "Frogs sing. "
    changed("task_failed", partial_output=text)(events)
    with pytest.raises(BrokenLog, match="partial_output"):
        check_log(lines(events))


async def test_a_line_that_readers_would_split_is_refused(autojump_clock: object) -> None:
    events = await log_of(Cast())
    events[0]["data"]["task_description"] = "one\u2028two"
    split = json.dumps(events[0], ensure_ascii=False).encode() + b"\n"
    with pytest.raises(BrokenLog, match="split"):
        check_log([split])
