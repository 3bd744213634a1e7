"""What holds for the plan of any text at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slice_calls import most_calls

from actors.agents.extractive.planning import plan, planned
from actors.tasks.planning import MAX_QUESTIONS

WORDS = "how what why when and or then compare threads with vs. it that one recommend explain the a"
SIGNS = [*',.?;:()"`-', "```", "1.", "2)", "\n", "\n\n", "😀", "é", "中文。", "asyncio.run()"]
PIECES = st.sampled_from(WORDS.split() + SIGNS)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map(" ".join))


@given(TEXTS)
def test_any_text_gives_a_plan_that_can_be_run(text: str) -> None:
    made = plan(text)  # Its constructor refuses anything but a graph that can be run.

    assert 1 <= len(made.questions) <= MAX_QUESTIONS
    assert all(question.text.strip() for question in made.questions)
    assert all("\n" not in question.text for question in made.questions)
    assert all(len(q.text) <= 200 and len(q.query.split()) <= 32 for q in made.questions)
    assert made.intents


@given(TEXTS)
def test_the_same_text_gives_the_same_plan(text: str) -> None:
    assert plan(text) == plan(text)


def test_the_plan_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "from actors.agents.extractive.planning import plan;"
        "print(plan('Compare threads, tasks and processes, explain why, recommend one'))"
    )
    plans = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(plans) == 1


MOST_CALLS = 60_000
"""Calls of functions in one slice of work."""

HARD = [
    "and " * 5000,
    "vs " * 6600,
    "what is x and how? " * 1000,
    "compare a and b " * 1250,
    "(" * 20_000,
    "“" * 20_000,
    "`" * 20_000,
    "a, " * 6600,
    "1. 2. " * 3300,
    "a" * 20_000,
    "\n- a" * 5000,
    "if " * 6600,
    "how is the difference between " * 650,
]


@pytest.mark.parametrize("text", HARD, ids=[text[:16] for text in HARD])
def test_the_longest_text_is_planned_in_short_slices(text: str) -> None:
    assert most_calls(planned(text)) < MOST_CALLS
