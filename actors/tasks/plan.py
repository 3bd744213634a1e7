"""A plan: the steps of a task as a graph without cycles.

Rule: a `Plan` that exists can be run. Its constructor refuses unknown and cyclic dependencies,
repeated ids, and anything but exactly one writing step, the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from actors.errors import InvalidPlan
from actors.tasks.failure import Failure
from actors.usage import NO_USAGE, Usage

StepKind = Literal["analysis", "retrieval", "synthesis", "writing"]

MAX_STEPS = 64
"""The most steps a plan may have, the analysis included."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as clients see it; `depends_on` holds step ids."""

    step_id: str
    step: StepKind
    agent_type: str
    description: str
    depends_on: tuple[str, ...]


ANALYSIS = PlannedStep("s1", "analysis", "analyzer", "Work out what the task asks for", ())
"""The first step of every task. It makes the plan and is part of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to find out: `text` for people, `query` for the search.

    Terms of `context` count less than those of `query`. `sides` are the things that it compares. For
    a tool or plugin, `of` is the step of the question that it adds evidence to, and `arguments` are
    its input.
    """

    step_id: str
    text: str
    query: str
    of: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    context: str = ""
    sides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order of their numbers, the analysis first and the writing last.

    `questions` holds one entry per retrieval step, in the same order. `degraded` says why the plan
    was made without a language model that should have made it; `usage` is what models used.
    """

    steps: tuple[PlannedStep, ...]
    questions: tuple[Question, ...]
    degraded: Failure | None = None
    usage: Usage = NO_USAGE
    by_model: bool = False

    def within(self, steps: int) -> Plan:
        """The plan cut to at most `steps` steps (4 or more): its last questions are left out."""
        over = len(self.steps) - steps
        if over <= 0:
            return self
        gone = {question.step_id for question in self.questions[-over:]}
        kept = tuple(
            replace(s, depends_on=tuple(need for need in s.depends_on if need not in gone))
            for s in self.steps
            if s.step_id not in gone
        )
        return replace(self, steps=kept, questions=self.questions[:-over])

    def __post_init__(self) -> None:
        check_graph(self.steps)
        if self.steps[0].step != "analysis":
            raise InvalidPlan("The first step of a plan is its analysis.")
        if [s.step for s in self.steps].count("writing") != 1 or self.steps[-1].step != "writing":
            raise InvalidPlan("A plan has one writing step, and it is the last.")
        retrievals = tuple(s.step_id for s in self.steps if s.step == "retrieval")
        if retrievals != tuple(q.step_id for q in self.questions):
            raise InvalidPlan("A plan has one question for each retrieval step, in the same order.")


def check_graph(steps: Iterable[PlannedStep]) -> None:
    """Raise `InvalidPlan` unless the steps form a graph that can be run."""
    steps = list(steps)
    ids = {step.step_id for step in steps}
    if not steps or len(steps) > MAX_STEPS:
        raise InvalidPlan(f"A plan has 1 to {MAX_STEPS} steps, and this one has {len(steps)}.")
    if len(ids) < len(steps):
        raise InvalidPlan("Two steps of the plan have the same id.")
    for step in steps:
        if unknown := set(step.depends_on) - ids:
            raise InvalidPlan(f"Step {step.step_id} depends on unknown {sorted(unknown)}.")
    try:
        TopologicalSorter({step.step_id: step.depends_on for step in steps}).prepare()
    except CycleError as cycle:
        raise InvalidPlan(
            f"The steps wait for one another: {' -> '.join(cycle.args[1])}."
        ) from None
