"""The command line as whole processes, in turn with a Python that does nothing."""

from __future__ import annotations

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


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return time.perf_counter() - began


def measure(effort: Effort) -> Part:
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "terzetto --help": [TERZETTO, "--help"],
            "terzetto run": [TERZETTO, "run", QUESTION, "--data", folder],
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            seconds(command)  # The library of samples is made once.
        for _ in range(effort.of(TIMES, 3)):
            for name, command in commands.items():
                found[name].append(seconds(command))
    medians = {name: median(took) for name, took in found.items()}
    rows = [[name, number(took * 1e3), number(min(found[name]) * 1e3)] for name, took in medians.items()]
    table = Table(("process", "median, ms", "fastest, ms"), rows, "From its start to its end.")
    aims = [
        Aim("terzetto --help", medians["terzetto --help"], 0.12, "s", at_most=True),
        Aim("terzetto run of a small task", medians["terzetto run"], 0.5, "s", at_most=True),
    ]
    return Part("The command line", [table], aims)
