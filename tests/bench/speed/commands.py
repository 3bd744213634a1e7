"""The command line as whole processes, in turn with a Python that does nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from .figures import Aim, Effort, Part, Table, number

TERZETTO = str(Path(sys.executable).with_name("terzetto"))
QUESTION = "How do supervisors handle crashes?"
TIMES = 10
AS_INSTALLED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""Modules are compiled when they are installed, or by the first run, and not by each."""


Times = tuple[float, float]
"""Seconds by the clock and of CPU."""


def timed(command: list[str]) -> Times:
    before, began = children_cpu_s(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=AS_INSTALLED)
    return time.perf_counter() - began, children_cpu_s() - before


def children_cpu_s() -> float:
    """The CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(effort: Effort) -> Part:
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "terzetto --help": [TERZETTO, "--help"],
            "terzetto run": [TERZETTO, "run", QUESTION, "--data", folder],
        }
        found: dict[str, list[Times]] = {name: [] for name in commands}
        for command in commands.values():
            timed(command)  # Its modules are compiled, and its folder is made.
        for _ in range(effort.of(TIMES, 3)):
            for name, command in commands.items():
                found[name].append(timed(command))
    rows, medians = [], {}
    for name, times in found.items():
        clock, cpu = zip(*times, strict=True)
        medians[name] = median(clock)
        rows.append([name, *(number(s * 1e3) for s in (median(clock), min(clock), median(cpu)))])
    head = ("process", "median, ms", "fastest, ms", "its CPU, median ms")
    aims = [
        Aim("terzetto --help", medians["terzetto --help"], 0.12, "s", at_most=True),
        Aim("terzetto run of a small task", medians["terzetto run"], 0.5, "s", at_most=True),
    ]
    return Part("The command line", [Table(head, rows, "From its start to its end.")], aims)
