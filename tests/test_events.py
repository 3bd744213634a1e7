"""The encoding of events, which later releases must be able to read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tasks import events as e
from actors.tasks.evidence import Source
from actors.tasks.failure import Failure
from actors.tasks.plan import PlannedStep

ALL = [
    e.TaskCreated("frogs", 5.0, {"a": "b"}),
    e.TaskQueued(0, 1),
    e.TaskStarted(1),
    e.TaskResumed("retry", ("s1", "s2"), 2),
    e.TaskResumed("restart", (), 1),
    e.StepStarted("s1", "analysis", 1, None, "analyzer", "plan", 1),
    e.PlanCreated((PlannedStep("s1", "analysis", "analyzer", "plan", ("s0",)),)),
    e.PartialOutput("s4", "writing", 1, "text"),
    e.StepRetrying("s1", "analysis", 1, 2, 0.1, Failure("agent_failed", "no")),
    e.StepCompleted("s1", "analysis", 1, 0.5, True, Failure("agent_failed", "no"), {"n": 1}),
    e.StepFailed("s1", "analysis", 5, Failure("agent_failed", "no")),
    e.TaskCompleted("text", 5, False, (Source(1, "d", "Title", "Section", 3, "words"),)),
    e.TaskFailed(Failure("agent_failed", "no"), None, "text"),
    e.TaskCancelled("enough", None),
]

# Lines as release 0.1 wrote them. Never remove any; add new forms below them.
CORPUS = [
    (
        b'{"seq":1,"event_type":"task_created","task_id":"t","timestamp":"2026-01-31T12:00:00.123Z",'
        b'"data":{"task_description":"frogs","deadline_s":null,"metadata":{}}}\n'
    ),
    (
        b'{"seq":4,"event_type":"step_started","task_id":"t","timestamp":"2026-01-31T12:00:00.123Z",'
        b'"data":{"step_id":"s1","step":"analysis","step_number":1,"total_steps":null,'
        b'"agent_type":"analyzer","description":"plan","attempt":1}}\n'
    ),
    (
        b'{"seq":9,"event_type":"step_completed","task_id":"t","timestamp":"2026-01-31T12:00:00.123Z",'
        b'"data":{"step_id":"s1","step":"analysis","attempt":1,"duration_s":0.5,"degraded":false,'
        b'"error":null,"result":{},"status":"completed"}}\n'
    ),
]


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.event_type)
def test_an_event_is_read_back_from_its_line(event: e.Event) -> None:
    stamped = e.Stamped(7, "t", "2026-01-31T12:00:00.123Z", event)
    assert e.decode(stamped.line()) == stamped


def test_every_type_of_event_is_in_the_test_above() -> None:
    assert {event.event_type for event in ALL} == set(e.EVENTS)


@pytest.mark.parametrize("line", CORPUS)
def test_old_lines_stay_readable_and_are_written_the_same(line: bytes) -> None:
    assert e.decode(line).line() == line


def test_fields_of_a_later_release_are_passed_over() -> None:
    line = json.loads(CORPUS[0])
    line["data"]["colour"] = "green"
    assert e.decode(json.dumps(line)) == e.decode(CORPUS[0])


@given(st.text())
def test_whatever_the_text_a_line_is_one_line(text: str) -> None:
    text = text.encode(errors="replace").decode()
    line = e.Stamped(1, "t", "now", e.PartialOutput("s4", "writing", 1, text)).line()
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line)["data"]["content"] == text


def test_breaks_that_only_some_readers_know_are_escaped() -> None:
    line = e.Stamped(1, "t", "now", e.PartialOutput("s4", "writing", 1, "\x85\u2028\u2029")).line()
    assert b"\\u0085\\u2028\\u2029" in line
