"""A few cycles of the crash test; `python -m tests.crash --cycles 1000` is the same by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HANG_S = 240.0
"""A hang guard: eleven seconds alone, but more than a minute beside four busy processes."""


def test_nothing_is_lost_or_repeated_when_the_server_is_killed() -> None:
    test = [sys.executable, "-m", "tests.crash", "--cycles", "16", "--seed", "1"]
    ran = subprocess.run(
        test,
        check=False,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert "16 cycles" in ran.stdout


def test_a_death_is_charged_to_the_agent_that_caused_it_and_to_nobody_else() -> None:
    test = [sys.executable, "-m", "tests.crash.quick_kills", "--kills", "8"]
    ran = subprocess.run(
        test,
        check=False,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert "8 kills from outside" in ran.stdout
