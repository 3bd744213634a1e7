"""What each weight of choosing and retrieval is worth: the measures with it, and without it.

    python tests/answers/ablation.py [--data FOLDER] [--only COVERAGE ...]

Run it by hand after a change of a weight. It switches off one weight at a time and measures the tasks
of the sample library, the everyday documents and, if `tests/bench/answers.py --data FOLDER` has made
their libraries, the three manuals. A weight without which no figure changes should be deleted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import trio

from actors.agents.extractive import choose
from actors.library import retrieval
from actors.tasks import words
from web.command.eval.answer_measures import AnswerMeasures
from web.command.eval.answers import evaluate_task_file
from web.settings.model import ServerSettings

HERE = Path(__file__).parent

OFF: dict[str, tuple[ModuleType, Any]] = {
    "COVERAGE": (choose, 0.0),
    "OWN_COVERAGE": (choose, 0.0),
    "HEADING": (choose, 0.0),
    "DOCUMENT": (choose, 0.0),
    "LEAD": (choose, 0.0),
    "SAME": (choose, 0.0),
    "ELSEWHERE": (choose, 0.0),
    "STOP": (choose, 0.0),
    "NOTHING_AT": (choose, (0.0, 0.0)),
    "CLOSEST_AT": (choose, (0.0, 0.0)),
    "MOST_EXCERPTS": (choose, 99),
    "MOST_WORDS": (choose, 9_999),
    "PARAGRAPH_WORDS": (choose, 9_999),
    "MOST_CANDIDATES": (choose, 9_999),
    "PASSAGE_WEIGHTS": (retrieval, "1.0, 1.0, 1.0"),
    "CONTEXT_WEIGHT": (retrieval, 0.0),
    "FURNITURE": (retrieval, 9_999),
    "PASSAGES_PER_SIDE": (retrieval, 0),
    "EXCERPTS_PER_SIDE": (retrieval, 0),
    "EXCERPTS_FOUND": (retrieval, 0),
    "STOP_WEIGHT": (words, 1.0),
    "SHORT_WEIGHT": (words, 1.0),
}
"""Each weight, and the value with which it does nothing."""

SETS = ("tasks", "everyday", "python", "sqlite", "debian")


@contextmanager
def without(name: str) -> Iterator[None]:
    """The weight switched off while the block runs."""
    module, neutral = OFF[name]
    weight = getattr(module, name)
    setattr(module, name, neutral)
    try:
        yield
    finally:
        setattr(module, name, weight)


async def measured(folders: dict[str, Path]) -> list[AnswerMeasures]:
    found: list[AnswerMeasures] = []
    with contextlib.redirect_stderr(io.StringIO()):  # No lines of progress.
        for name, folder in folders.items():
            settings = ServerSettings(data_dir=folder)
            tasks = await evaluate_task_file(settings, HERE / f"{name}.jsonl", (), None)
            found += tasks.tasks
    return found


def figures(tasks: list[AnswerMeasures]) -> list[float]:
    asked = [one for one in tasks if one.task.points]
    return [
        sum(one.points or 0 for one in asked),
        sum(one.early_points or 0 for one in asked),
        sum(one.denies for one in asked),
        sum(bool(one.admits_nothing) for one in tasks),
        sum(one.words for one in asked) / len(asked),
    ]


def row(name: str, values: list[float], whole: list[float], changed: str = "") -> str:
    cells = [
        f"{value:8.2f} {value - before:+6.2f}" for value, before in zip(values, whole, strict=True)
    ]
    return f"{name:20}{''.join(cells)}  {changed}"


async def main(data: Path, only: list[str]) -> None:
    folders = {name: data / name for name in SETS if (data / name).exists()}
    whole = await measured(folders)
    print(f"{len(whole)} tasks of {', '.join(folders)}")
    print(f"{'without':20}  points          early          denied         off-topic      words")
    print(row("nothing", figures(whole), figures(whole)))
    for name in only:
        if not hasattr(OFF[name][0], name):
            continue
        with without(name):
            found = await measured(folders)
        reports = [one.outcome.report for one in whole]
        other = sum(
            one.outcome.report != report for one, report in zip(found, reports, strict=True)
        )
        print(row(name, figures(found), figures(whole), f"{other} reports differ"), flush=True)


def prepared(data: Path) -> None:
    """Make the library of the everyday documents; an empty folder has the sample library."""
    (data / "tasks").mkdir(parents=True, exist_ok=True)
    if not (data / "everyday").exists():
        command = [sys.executable, "-m", "web.command", "ingest", str(HERE / "everyday")]
        subprocess.run(
            [*command, "--data", str(data / "everyday")], check=True, capture_output=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", choices=OFF, default=list(OFF))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.data or Path(temporary)
        prepared(folder)
        trio.run(main, folder, given.only)
