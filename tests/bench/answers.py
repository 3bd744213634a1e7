"""How good the answers are on three real manuals, with questions in people's words.

    apt-get install python3.11-doc sqlite3-doc debian-handbook
    python tests/bench/answers.py [--manual python] [--data FOLDER]

The questions are in tests/answers. Printed are, for each manual and for all: the reports that make all
their points, those that make them in the first 120 words, the reports that say wrongly that there is
nothing, the off-topic tasks whose reports say so, the words of a report, and the milliseconds of a task
that runs alone. With `--data`, the libraries are kept there for the next time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import trio

from actors.system import open_system
from web.command.eval.answer_measures import OPENING_WORDS, AnswerMeasures
from web.command.eval.answers import evaluate_task_file
from web.settings.model import ServerSettings

ANSWERS = Path(__file__).parents[1] / "answers"
DOCS = Path("/usr/share/doc")
MANUALS = {
    "python": [DOCS / "python3.11/html" / part for part in ("library", "howto", "tutorial", "faq")],
    "sqlite": [DOCS / "sqlite3"],
    "debian": [DOCS / "debian-handbook/html/en-US"],
}


def folder_with(manual: str, data: Path) -> Path:
    """A data folder whose library holds a manual."""
    folder = data / manual
    if not folder.exists():
        pages = sorted(page for root in MANUALS[manual] for page in root.glob("*.html"))
        if not pages:
            raise SystemExit(f"The manual {manual} is not installed: see the top of this file.")
        command = [sys.executable, "-m", "web.command", "ingest", "--data", str(folder)]
        subprocess.run([*command, *map(str, pages)], check=True, stdout=subprocess.DEVNULL)
    return folder


async def measured(manual: str, data: Path) -> tuple[list[AnswerMeasures], list[float]]:
    """The measures of all tasks of a manual, and the milliseconds of each when it runs alone."""
    settings = ServerSettings(data_dir=folder_with(manual, data))
    found = await evaluate_task_file(settings, ANSWERS / f"{manual}.jsonl", (), None)
    alone = []
    async with open_system(settings) as system:
        for one in found.tasks:
            task = await system.create(one.task.text)
            begin = perf_counter()
            async for _ in system.execute(task.task_id):
                pass
            alone.append((perf_counter() - begin) * 1000)
            await system.delete(task.task_id)
    return list(found.tasks), alone


def figures(tasks: list[AnswerMeasures]) -> str:
    """The figures in one line."""
    asked = [one for one in tasks if one.task.points]
    off = [one for one in tasks if not one.task.points]
    return (
        f"points {sum(not one.missed_points for one in asked)} of {len(asked)}, "
        f"in the first {OPENING_WORDS} words {sum(not one.late_points for one in asked)}, "
        f"wrongly nothing {sum(one.denies for one in asked)}, "
        f"off-topic right {sum(bool(one.admits_nothing) for one in off)} of {len(off)}, "
        f"words p50 {median(one.words for one in asked):.0f}"
    )


async def main(manuals: list[str], data: Path) -> None:
    every: list[AnswerMeasures] = []
    times: list[float] = []
    for manual in manuals:
        tasks, alone = await measured(manual, data)
        for one in tasks:
            if one.missed_points or one.denies or one.admits_nothing is False:
                missed = ", ".join(one.missed_points) or "the honest answer"
                print(f"  {one.task.name}: misses {missed}")
        print(f"{manual}: {figures(tasks)}, ms p50 {median(alone):.0f}, worst {max(alone):.0f}")
        every += tasks
        times += alone
    print(f"all: {figures(every)}, ms p50 {median(times):.0f}, worst {max(times):.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manual", choices=MANUALS, action="append")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, given.manual or list(MANUALS), given.data or Path(temporary))
