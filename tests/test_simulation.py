"""The simulation's first seeds, and the simulation itself: it replays, and it shrinks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from simulate import GATE_SEEDS
from simulate.__main__ import report
from simulate.generate import generate
from simulate.model import Model
from simulate.program import Program
from simulate.shrink import shrink
from simulate.verdict import judge
from simulate.world import play

EACH = 20


@pytest.mark.parametrize("first", range(0, GATE_SEEDS, EACH))
def test_random_programs_keep_every_promise(first: int) -> None:
    for seed in range(first, first + EACH):
        program = generate(seed)
        if troubles := play(program):
            pytest.fail(report(program, troubles, seed))


def test_the_same_seed_is_the_same_run() -> None:
    def trace(seed: int) -> list[Any]:
        told: list[Any] = []

        def listen(model: Model) -> None:
            told.extend((what, task.status, task.last_seq) for what, task in model.views)
            told.extend((part.after, len(part.lines)) for part in model.slices)
            told.append(model.boots)
            judge(model)

        assert play(generate(seed), listen) == []
        return told

    for seed in range(10):
        assert trace(seed) == trace(seed)


def test_a_program_is_printed_so_that_it_can_be_run_again() -> None:
    for seed in range(50):
        program = generate(seed)
        assert Program.loads(program.dumps()) == program


def test_a_failing_program_is_made_short() -> None:
    long = max((generate(seed) for seed in range(50)), key=lambda program: len(program.ops))

    short = shrink(long, lambda program: any(op.verb == "cancel" for op in program.ops))

    assert [op.verb for op in short.ops] == ["cancel"]
    assert replace(short, ops=()) == replace(long, ops=())
