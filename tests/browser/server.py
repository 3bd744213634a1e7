"""A server for the page: the product's own, with agents that play the part that a task asks for.

    python -m browser.server FOLDER PORT

The first word of a task names its play (`PLAYS`); every other task is played as "Calm".
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

import web.server
from actors.errors import AgentFailed
from actors.messages import Analyze, Retrieve, Synthesize, Write
from actors.runtime import Call
from actors.system import System, open_system
from actors.tasks.evidence import Evidence, Finding, Findings, Passage, Report, Section, Source
from actors.tasks.plan import Plan, PlannedStep, Question
from actors.usage import Usage
from web.settings.model import ServerSettings

CALM = (
    "Restore the newest backup into an empty folder first, and compare its size with that of the",
    " folder that was lost. If the restore stops with an error, keep the log: ",
    "it names the first file that could not be read. [1]\n\n",
    "Three things are worth checking before you try again:\n\n",
    "1. the disk has twice the size of the backup free;\n",
    "2. the key of the backup is the one of the day on which it was made;\n",
    "3. nobody writes to the folder meanwhile. [2]\n\n",
    "A backup that cannot be restored twice in a row counts as lost. Go back by one day, and note it. [1]\n\n",
)
LONG = tuple(
    f"{n}. Paragraph {n} of a **long** report about `threads` and pools, with a source. [1]\n\n"
    for n in range(2_000)
)
HOSTILE = (
    "# Hostile\n\n",
    '<script>window.owned = 1</script> and <img src=x onerror="window.owned=1">\n\n',
    "[a link](javascript:window.owned=1) and [data](data:text/html,<script>1</script>) and ",
    "[JaVa](JaVaScRiPt:alert(1)) and [tab](java&#9;script:alert(1)) and ![pixel](https://tracker.invalid/p.png)\n\n",
    "<https://example.org/ok> and https://example.org/bare\n\n",
    "The file is called annual\u202ecod.exe and not what it seems. [1]\n\n",
    "| a | <b>b</b> |\n| --- | --- |\n| <i>x</i> | `<u>y</u>` |\n\n",
    "> " * 2_000 + "deep\n\n",
    "&lt;script&gt; stays text, and so does \\[1\\].\n\n",
    "</div></main><style>*{display:none}</style>\n",
)
HOSTILE_TITLE = '<img src=x onerror="window.owned=1"> \u202egnp.exe'


@dataclass(frozen=True)
class Play:
    """What the agents do for a task. `failures` counts the failed attempts of a step, by its id."""

    parts: Sequence[str] = CALM
    pause_s: float = 0.0
    work_s: float = 0.0
    failures: Mapping[str, float] = field(default_factory=dict)
    title: str = "Backups › Handbook"
    usage: Usage = field(default_factory=Usage)


PLAYS = {
    "Calm": Play(),
    "Slow": Play(parts=[*CALM * 40], pause_s=0.05),
    "Flaky": Play(
        work_s=0.35,
        failures={"s1": 1, "s3": 3, "s5": 2},
        usage=Usage(1_200, 340, 0.0021),
        pause_s=0.1,
    ),
    "Broken": Play(failures={"s5": math.inf}, work_s=0.05),
    "Degraded": Play(failures={"s3": math.inf}),
    "Thinking": Play(work_s=600),
    "Long": Play(parts=LONG),
    "Hostile": Play(parts=HOSTILE, title=HOSTILE_TITLE),
}


class Stage:
    """Which play each task gets, and how often each step was tried."""

    def __init__(self) -> None:
        self._tries: Counter[str] = Counter()

    def play(self, description: str) -> Play:
        return PLAYS.get(description.split()[0], PLAYS["Calm"])

    async def attempt(self, key: str, play: Play) -> None:
        self._tries[key] += 1
        await trio.sleep(play.work_s)
        if self._tries[key] <= play.failures.get(key.partition("/")[2], 0):
            raise AgentFailed("The index of the library is locked by another program.")


class Analyzer:
    name, does = "analyzer", "Splits a task into questions, and chooses what answers them."

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        play = self._stage.play(request.task_description)
        await self._stage.attempt(request.key, play)
        if isinstance(request, Analyze):
            return plan(request.task_description)
        found = Finding(CALM[0], 0, 1.0)
        passage = Passage("handbook", play.title, "", 1, CALM[0])
        sections = tuple(Section(one.question, (found,)) for one in request.evidence)
        return Findings(sections, (passage,), usage=play.usage)


class Retriever:
    name, does = "retriever", "Searches the library for passages on each question."

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def handle(self, request: Retrieve, call: Call[Any]) -> Evidence:
        play = self._stage.play(request.question.query)
        await self._stage.attempt(request.key, play)
        return Evidence(request.question, (Passage("handbook", play.title, "", 1, CALM[0]),))


class Writer:
    name, does = "writer", "Writes the cited report, and streams it."

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        play = self._stage.play(request.task_description)
        half = len(play.parts) // 2
        await self._write(play.parts[:half], play, call)
        await self._stage.attempt(request.key, play)
        await self._write(play.parts[half:], play, call)
        sources = (
            Source(1, "handbook", play.title, "Restoring", 3, CALM[0]),
            Source(2, "handbook", play.title, "Keys", 7, CALM[4]),
        )
        return Report(sources, usage=play.usage)

    async def _write(self, parts: Sequence[str], play: Play, call: Call[Any]) -> None:
        for part in parts:
            await trio.sleep(play.pause_s)
            await call.part(part)


def plan(description: str) -> Plan:
    """Two questions, then the synthesis and the writing."""
    asked = ("what the handbook says on it", "what was noted about earlier failures")
    questions = tuple(Question(f"s{n}", text, description) for n, text in enumerate(asked, 2))
    return Plan(
        steps=(
            PlannedStep("s1", "analysis", "analyzer", "Work out what the task asks for", ()),
            *(
                PlannedStep(q.step_id, "retrieval", "retriever", f"Find {q.text}", ("s1",))
                for q in questions
            ),
            PlannedStep(
                "s4", "synthesis", "analyzer", "Choose what answers the questions", ("s2", "s3")
            ),
            PlannedStep("s5", "writing", "writer", "Write the report, each part cited", ("s4",)),
        ),
        questions=questions,
    )


def main(folder: Path, port: int) -> int:
    stage = Stage()
    agents: dict[str, Any] = {
        "analyzer": lambda: Analyzer(stage),
        "retriever": lambda: Retriever(stage),
        "writer": lambda: Writer(stage),
    }

    def opened(settings: ServerSettings) -> AbstractAsyncContextManager[System]:
        return open_system(settings, agents=agents)

    settings = ServerSettings(
        data_dir=folder,
        bind=f"127.0.0.1:{port}",
        retry_delays_s=(0.0, 0.25, 0.5),
        max_running_tasks=4,
    )
    return web.server.run(settings, opens=opened)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
