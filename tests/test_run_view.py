"""The fold of events into the view."""

from __future__ import annotations

import json
from typing import Any

import pytest
from command_fakes import HEARTBEAT, Log, whole_log

from web.command.run.view import RunView, kept

ERROR = {"code": "agent_failed", "message": "No luck"}


def seen(log: Log) -> RunView:
    view = RunView()
    for event in log.events:
        view.apply(event)
    return view


def states(view: RunView) -> dict[str, str]:
    return {step.step_id: step.state for step in view.steps.values()}


def test_a_whole_task_ends_completed_with_its_text_and_sources() -> None:
    view = seen(whole_log())

    assert view.state == "completed" and view.ended
    assert view.text == "# Report\n\nThreads cost memory [1].\n"
    assert set(states(view).values()) == {"completed"}
    assert [source["title"] for source in view.sources] == ["On threads"]
    assert view.elapsed_s == pytest.approx((view.seq - 1) * 0.1)


def test_the_analysis_is_shown_before_the_plan_exists() -> None:
    view = seen(Log().begin().start("s1"))

    assert states(view) == {"s1": "running"}
    assert not view.has_plan


def test_the_plan_keeps_the_state_of_the_analysis() -> None:
    view = seen(Log().begin().start("s1", attempt=2).plan())

    assert list(view.steps) == ["s1", "s2", "s3", "s4", "s5"]
    assert view.steps["s1"].state == "running" and view.steps["s1"].attempts == 2
    assert view.steps["s4"].depends_on == ("s2", "s3")


def test_retries_are_noted_with_their_reasons() -> None:
    log = Log().begin().start("s1").retrying("s1", 1, 0, "Bad luck").start("s1", 2)
    log.retrying("s1", 2, 0.1, "Again")

    step = seen(log).steps["s1"]

    assert step.state == "retrying" and step.attempts == 2
    assert step.notes == [
        "attempt 1: Bad luck [agent_failed]; again at once",
        "attempt 2: Again [agent_failed]; again in 0.1 s",
    ]


def test_a_degraded_step_degrades_the_task_and_notes_the_error() -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2")
    view = seen(log.finish("s2", degraded=True, error=ERROR))

    assert view.degraded and view.steps["s2"].degraded
    assert view.steps["s2"].notes == ["degraded: No luck [agent_failed]"]


def test_a_new_attempt_at_writing_starts_the_text_over() -> None:
    log = Log().until_writing().part("One ").part("two").retrying("s5", 1, 0, "x")

    assert seen(log.start("s5", 2)).text == "One two"
    assert seen(log.part("Uno ", 2)).text == "Uno "
    assert seen(log.part("due", 2)).text == "Uno due"


def test_an_attempt_that_continues_goes_on_with_the_text() -> None:
    log = Log().until_writing().part("One ").start("s5", 2, continues=True)

    view = seen(log.part("two", 2, continues=True).part(" three", 2, continues=True))

    assert view.text == "One two three"


def test_a_failure_keeps_the_partial_text_and_stops_what_ran() -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2").start("s3")
    log.add("step_failed", step_id="s2", step="retrieval", attempts=5, error=ERROR)

    view = seen(log.add("task_failed", error=ERROR, step_id="s2", partial_output="So far"))

    assert view.state == "failed" and view.error == ERROR and view.text == "So far"
    assert states(view) == {
        "s1": "completed",
        "s2": "failed",
        "s3": "cancelled",
        "s4": "pending",
        "s5": "pending",
    }
    assert view.steps["s2"].attempts == 5


def test_a_cancelled_task_lists_what_is_kept() -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2").finish("s2").start("s3")

    view = seen(log.add("task_cancelled", reason="enough", partial_output="x" * 1_204))

    assert view.state == "cancelled" and view.reason == "enough"
    assert kept(view) == "the plan, 1 of 2 searches, 1,204 characters of text"


def test_a_task_cancelled_before_its_plan_keeps_only_itself() -> None:
    view = seen(Log().begin().add("task_cancelled", reason=None, partial_output=None))

    assert kept(view) == "the task itself"


@pytest.mark.parametrize("reason", ["restart", "retry"])
def test_a_resumed_task_keeps_its_finished_steps_and_drops_its_ending(reason: str) -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2").finish("s2").start("s3")
    if reason == "retry":
        log.add("task_failed", error=ERROR, step_id="s3", partial_output=None)
        log.add("task_queued", position=0, run=2)
    log.add("task_resumed", reason=reason, kept_steps=["s1", "s2"], run=2)

    view = seen(log)

    assert (view.state, view.run, view.error) == ("executing", 2, None)
    assert states(view) == {
        "s1": "completed",
        "s2": "completed",
        "s3": "pending",
        "s4": "pending",
        "s5": "pending",
    }


def test_heartbeats_and_unknown_events_change_only_the_seq() -> None:
    log = Log().until_writing().part("Text")
    view, same = seen(log), seen(log)

    view.apply(json.loads(HEARTBEAT))
    assert view == same

    log.add("agent_hummed", tune="Terzetto")
    view.apply(log.events[-1])
    assert view.seq == same.seq + 1
    assert (view.text, view.state, view.steps) == (same.text, same.state, same.steps)


def test_a_closing_stream_is_remembered_until_it_goes_on() -> None:
    log = Log().begin()
    view = seen(log)

    closing: dict[str, Any] = {"event_type": "stream_closing", "data": {"reason": "draining"}}
    view.apply(closing)
    assert view.closing == "draining"

    view.apply(log.start("s1").events[-1])
    assert view.closing is None


def test_every_prefix_of_a_log_gives_a_view() -> None:
    log = whole_log()

    for length in range(len(log.events)):
        view = RunView()
        for event in log.events[:length]:
            view.apply(event)
        assert not view.ended
