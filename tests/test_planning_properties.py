"""What holds for the plan of any text at all."""

from __future__ import annotations

import os
import subprocess
import sys
from time import thread_time

import pytest
from hostile_texts import UNITS, hard_choice
from hypothesis import given
from hypothesis import strategies as st
from slice_calls import executed_lines, most_calls

from actors.agents.extractive.questions import questioned
from actors.agents.extractive.synthesis import synthesized
from actors.runtime.cooperative import at_once
from actors.tasks.plan import Plan
from actors.tasks.planning import MAX_CONTEXT, MAX_HEADING, MAX_QUERY, MAX_QUESTIONS, assemble_plan

WORDS = "how what why when and or then compare threads with vs. it that one or between a list und"
SIGNS = [*',.?;:()"`-', "```", "1.", "2)", "\n", "\n\n", "😀", "é", "中文。", "asyncio.run()"]
PIECES = st.sampled_from(WORDS.split() + SIGNS)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map(" ".join))


def plan(text: str) -> Plan:
    return assemble_plan(at_once(questioned(text)))


@given(TEXTS)
def test_any_text_gives_a_plan_that_can_be_run(text: str) -> None:
    made = plan(text)  # Its constructor refuses anything but a graph that can be run.

    assert 1 <= len(made.questions) <= MAX_QUESTIONS
    assert all(question.text.strip() for question in made.questions) or not text.strip()
    for question in made.questions:
        assert "\n" not in question.text
        assert len(question.text) <= MAX_HEADING
        assert len(question.query) <= MAX_QUERY
        assert len(question.context) <= MAX_CONTEXT
        assert len(question.sides) in (0, 2)


@given(TEXTS)
def test_the_questions_are_the_words_of_the_person(text: str) -> None:
    said = " ".join(text.split())

    for question in plan(text).questions:
        for word in question.query.removesuffix("…").split():
            assert word in said
        for side in question.sides:
            assert side in said


@given(TEXTS)
def test_the_same_text_gives_the_same_plan(text: str) -> None:
    assert plan(text) == plan(text)


def test_the_plan_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "from actors.agents.extractive.questions import questioned\n"
        "from actors.runtime.cooperative import at_once\n"
        "print(at_once(questioned('Compare threads or tasks, and how do pools grow? And why?')))"
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


# --- time ---------------------------------------------------------------------------------------

MOST_CHARACTERS = 20_000
MOST_SECONDS = 1.0
"""Of the CPU, for the longest text of a task. Linear work takes a quarter at most; the quadratic
regular expressions that were here took 3 s and more, and executed no line while they did."""
MOST_CALLS = 30_000
"""Calls of functions in one slice of work."""


def repeated(unit: str, characters: int) -> str:
    return (unit * characters)[:characters]


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_the_work_on_a_text_doubles_at_most_when_the_text_doubles(unit: str) -> None:
    half = executed_lines(lambda: plan(repeated(unit, MOST_CHARACTERS // 2)))
    whole = executed_lines(lambda: plan(repeated(unit, MOST_CHARACTERS)))

    assert whole <= 2.2 * half


@pytest.mark.parametrize("unit", [*UNITS, " ", "  \n", "\u3000", "A", "Ä1", "-1."], ids=ascii)
def test_the_longest_text_is_planned_in_no_time_and_in_short_slices(unit: str) -> None:
    text = repeated(unit, MOST_CHARACTERS)

    began = thread_time()
    plan(text)

    assert thread_time() - began < MOST_SECONDS
    assert most_calls(questioned(text)) < MOST_CALLS


def test_choosing_from_much_evidence_is_done_in_short_slices() -> None:
    request = hard_choice(plan("When do frogs sing, and how do herons listen to them?"))

    assert most_calls(synthesized(request)) < MOST_CALLS
