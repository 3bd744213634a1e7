"""The table of a task's life, walked whole: every state meets every event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.tasks import events as e
from actors.tasks.failure import Failure
from actors.tasks.life import STEP_MOVES, TASK_MOVES, IllegalMove, Task, evolve
from actors.tasks.plan import PlannedStep, StepKind

ERROR = Failure("agent_failed", "no")
STEP: tuple[str, StepKind] = ("s1", "analysis")
EVENTS: dict[type[e.Event], e.Event] = {
    type(event): event
    for event in (
        e.TaskCreated("frogs"),
        e.TaskQueued(0, 1),
        e.TaskStarted(1),
        e.TaskResumed("restart", (), 1),
        e.StepStarted(*STEP, 1, None, "analyzer", "plan", 1),
        e.PlanCreated((PlannedStep("s1", "analysis", "analyzer", "plan", ()),)),
        e.PartialOutput(*STEP, 1, "text"),
        e.StepRetrying(*STEP, 1, 2, 0.0, ERROR),
        e.StepCompleted(*STEP, 1, 0.1),
        e.StepFailed(*STEP, 1, ERROR),
        e.TaskCompleted("text", 1, False, ()),
        e.TaskFailed(ERROR, "s1", None),
        e.TaskCancelled(None, None),
    )
}
STARTED = (e.TaskCreated, e.TaskQueued, e.TaskStarted, e.StepStarted)
PATHS: dict[str, tuple[type[e.Event], ...]] = {
    "pending": (e.TaskCreated,),
    "queued": (e.TaskCreated, e.TaskQueued),
    "executing": STARTED,
    "completed": (*STARTED, e.TaskCompleted),
    "failed": (*STARTED, e.TaskFailed),
    "cancelled": (*STARTED, e.TaskCancelled),
}
STEP_PATHS: dict[str, tuple[type[e.Event], ...]] = {
    "running": STARTED,
    "retrying": (*STARTED, e.StepRetrying),
    "completed": (*STARTED, e.StepCompleted),
    "failed": (*STARTED, e.StepFailed),
}


def stamp(event: e.Event, seq: int) -> e.Stamped:
    return e.Stamped(seq, "t1", f"2026-01-01T00:00:{seq:02}.000Z", event)


def fold(*kinds: type[e.Event] | e.Event) -> Task:
    task: Task | None = None
    for seq, kind in enumerate(kinds, start=1):
        task = evolve(task, stamp(EVENTS[kind] if isinstance(kind, type) else kind, seq))
    assert task is not None
    return task


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("status", TASK_MOVES)
def test_a_task_moves_as_the_table_says_and_in_no_other_way(
    status: Any, kind: type[e.Event]
) -> None:
    task = fold(*PATHS[status])
    before = replace(task)
    event = EVENTS[kind]
    if kind is e.StepStarted and status == "executing":
        task = fold(e.TaskCreated, e.TaskQueued, e.TaskStarted)
        before = task
    expected = TASK_MOVES[status].get(kind)
    if expected is None:
        with pytest.raises(IllegalMove):
            evolve(task, stamp(event, task.last_seq + 1))
    else:
        moved = evolve(task, stamp(event, task.last_seq + 1))
        assert (moved.status, moved.last_seq) == (expected, task.last_seq + 1)
    assert task == before


@pytest.mark.parametrize("kind", [*STEP_MOVES["running"], *STEP_MOVES["retrying"]])
@pytest.mark.parametrize("status", STEP_PATHS)
def test_a_step_moves_as_the_table_says_and_in_no_other_way(
    status: Any, kind: type[e.Event]
) -> None:
    task = fold(*STEP_PATHS[status])
    expected = STEP_MOVES[status].get(kind)
    if expected is None:
        with pytest.raises(IllegalMove):
            evolve(task, stamp(EVENTS[kind], task.last_seq + 1))
    else:
        moved = evolve(task, stamp(EVENTS[kind], task.last_seq + 1))
        assert moved.steps["s1"].status == expected


@pytest.mark.parametrize("seq", [0, 1, 4, 6])
def test_a_gap_or_a_repeat_in_the_log_is_refused(seq: int) -> None:
    task = fold(*STARTED)
    with pytest.raises(IllegalMove):
        evolve(task, stamp(EVENTS[e.StepCompleted], seq))


def test_a_log_begins_with_the_task_and_only_there() -> None:
    for kind in EVENTS:
        if kind is not e.TaskCreated:
            with pytest.raises(IllegalMove):
                fold(kind)


def test_after_a_restart_the_step_that_ran_waits_for_its_next_attempt() -> None:
    step = fold(*STARTED, e.TaskResumed("restart", (), 1)).steps["s1"]
    assert (step.status, step.attempts, step.tries) == ("retrying", 1, 1)


def test_a_retry_brings_fresh_tries_and_goes_on_counting_attempts() -> None:
    task = fold(
        *STARTED, e.StepFailed, e.TaskFailed, e.TaskQueued(0, 2), e.TaskResumed("retry", (), 2)
    )
    step = task.steps["s1"]
    assert (step.status, step.attempts, step.tries) == ("pending", 1, 0)
    assert (task.status, task.run, task.error) == ("executing", 2, None)


def test_the_text_of_the_latest_attempt_that_wrote_any_is_kept() -> None:
    writing: tuple[str, StepKind] = ("s1", "writing")
    start = e.StepStarted(*writing, 1, 1, "writer", "write", 1)
    again = replace(start, attempt=2)
    retrying = e.StepRetrying(*writing, 1, 2, 0.0, ERROR)
    begun = (e.TaskCreated, e.TaskQueued, e.TaskStarted, start, e.PartialOutput(*writing, 1, "a"))
    assert fold(*begun).partial_output == "a"
    assert fold(*begun, retrying, again).partial_output == "a"
    assert fold(*begun, retrying, again, e.PartialOutput(*writing, 2, "b")).partial_output == "b"


def test_an_ending_stops_what_had_not_finished() -> None:
    assert fold(*STARTED, e.TaskCancelled).steps["s1"].status == "cancelled"
    assert fold(*STARTED, e.StepFailed, e.TaskFailed).steps["s1"].status == "failed"
