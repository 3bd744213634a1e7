"""A small run of the load test of cancellation: what must hold whatever the times are.

It fails if an agent worked after a cancel was answered, a run has not exactly one ending, a task
that was stopped has one, or Trio tasks or objects are left behind.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCENARIOS = ("singles", "disconnect", "deadline", "shutdown")


def test_a_hundred_streaming_tasks_are_stopped_for_good() -> None:
    size = ["--tasks", "100", "--singles", "10", "--pause", "0.3", "--only", *SCENARIOS]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.load.cancel", *size],
        check=False,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    assert all(f"{scenario} (" in ran.stdout for scenario in SCENARIOS)
