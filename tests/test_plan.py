"""A plan that exists can be run."""

from __future__ import annotations

import pytest

from actors.errors import InvalidPlan
from actors.tasks.plan import MAX_STEPS, Plan, PlannedStep, Question, StepKind, check_graph


def step(step_id: str, kind: StepKind, *needs: str) -> PlannedStep:
    return PlannedStep(step_id, kind, "agent", "does", needs)


ANALYSIS = step("s1", "analysis")
RETRIEVAL = step("s2", "retrieval", "s1")
WRITING = step("s3", "writing", "s2")
ASKED = (Question("s2", "frogs?", "frogs"),)


def test_a_sound_plan_is_made() -> None:
    assert Plan((ANALYSIS, RETRIEVAL, WRITING), ASKED).questions == ASKED


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ((), "1 to 64 steps"),
        ((ANALYSIS, ANALYSIS), "same id"),
        ((ANALYSIS, step("s2", "retrieval", "s9"), WRITING), "unknown"),
        ((step("s1", "analysis", "s3"), RETRIEVAL, WRITING), "wait for one another"),
        ((step("s1", "analysis", "s1"),), "wait for one another"),
        ((RETRIEVAL, WRITING, ANALYSIS), "first step"),
        ((ANALYSIS, RETRIEVAL), "one writing step"),
        ((ANALYSIS, RETRIEVAL, WRITING, step("s4", "synthesis", "s2")), "the last"),
        (tuple(step(f"s{n}", "synthesis") for n in range(MAX_STEPS + 1)), "1 to 64 steps"),
    ],
)
def test_an_unsound_plan_is_refused(steps: tuple[PlannedStep, ...], complaint: str) -> None:
    with pytest.raises(InvalidPlan, match=complaint):
        Plan(steps, ASKED)


def test_each_retrieval_has_its_question() -> None:
    with pytest.raises(InvalidPlan, match="one question"):
        Plan((ANALYSIS, RETRIEVAL, WRITING), ())


def test_an_order_of_needs_is_no_order_of_places() -> None:
    check_graph([step("b", "synthesis", "a"), step("a", "retrieval")])
