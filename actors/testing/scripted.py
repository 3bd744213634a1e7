"""Fake agents that follow a script, so that a run is the same every time.

They can be slow, fail, hang, stream slowly and crash. Rule: they use Trio's clock only.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import trio

from actors.clock import virtual_clock
from actors.library.documents import Hits
from actors.library.readers import EVERYTHING, Reader
from actors.library.retrieval import Found, Query
from actors.messages import Analyze, Retrieve, Synthesize, Write
from actors.runtime import Call
from actors.settings import Settings
from actors.system import System, open_system
from actors.tasks.evidence import Evidence, Finding, Findings, Passage, Report, Section, Source
from actors.tasks.plan import Plan, PlannedStep, Question


class ScriptedCrash(Exception):
    """Stands for a bug in an agent: the actor's supervision handles it."""


@dataclass(frozen=True, slots=True)
class Stubborn:
    """Work that ignores cancellation for so many seconds."""

    seconds: float


HANG = math.inf
"""An attempt that never ends by itself."""

Act: TypeAlias = BaseException | Stubborn | float | None
"""What an attempt does before it works: raise this, sleep so many seconds, or nothing.

An `ActorError` is the agent's answer, any other exception a crash of the agent.
"""

PASSAGE = Passage("d1", "Title", "Section", 1, "Frogs sing at night.")


class NoLibrary:
    """A library with nothing in it, for systems whose retriever is scripted."""

    def gauges(self) -> dict[str, int]:
        """Has none."""
        return {}

    async def search(self, query: str, *, limit: int, reader: Reader = EVERYTHING) -> Hits:
        """Finds nothing."""
        return Hits((), False)

    async def find(self, query: Query, *, limit: int) -> Found:
        """Finds nothing."""
        return Found()

    async def counts(self, *, reader: Reader = EVERYTHING) -> dict[str, int]:
        """As of a library without documents."""
        return dict.fromkeys(("documents", "excerpts", "encoded", "to_rebuild"), 0)

    async def check(self) -> None:
        """It needs no room."""

    problem = ""


def plan_for(text: str, questions: int = 2, plugin: str = "") -> Plan:
    """A plan with so many questions, whose steps are s1, s2, ... in their order.

    With `plugin` the last question is put to the agent of that name, as {"question": text}.
    """
    asked = [Question(f"s{n}", f"question {n}", text) for n in range(2, questions + 2)]
    agents = {q.step_id: "retriever" for q in asked}
    if plugin:
        agents[asked[-1].step_id] = plugin
        asked[-1] = replace(asked[-1], of="s2", arguments={"question": text})
    synthesis, writing = f"s{questions + 2}", f"s{questions + 3}"
    return Plan(
        steps=(
            PlannedStep("s1", "analysis", "analyzer", "plan", ()),
            *(
                PlannedStep(q.step_id, "retrieval", agents[q.step_id], q.text, ("s1",))
                for q in asked
            ),
            PlannedStep(
                synthesis, "synthesis", "analyzer", "weigh", tuple(q.step_id for q in asked)
            ),
            PlannedStep(writing, "writing", "writer", "write", (synthesis,)),
        ),
        questions=tuple(asked),
    )


class Script:
    """What the attempts do, one entry each; attempts past the end succeed."""

    def __init__(self, acts: Sequence[Act] = ()) -> None:
        self.acts = list(acts)
        self.keys: list[str] = []
        self.working = 0

    def next_act(self, key: str) -> Act:
        """What the attempt of `key` ("task_id/step_id") that begins now does."""
        return self.acts.pop(0) if self.acts else None

    @asynccontextmanager
    async def attempt(self, key: str) -> AsyncIterator[None]:
        """The script's next act; then the block is the work itself."""
        self.keys.append(key)
        self.working += 1
        try:
            await perform(self.next_act(key))
            yield
        finally:
            self.working -= 1


async def perform(act: Act) -> None:
    """Do what an act says."""
    match act:
        case BaseException():
            await trio.lowlevel.checkpoint()
            raise act
        case Stubborn(seconds):
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)
        case math.inf:
            await trio.sleep_forever()
        case _:
            await trio.sleep(act or 0)


class ScriptedAnalyzer:
    """Plans and weighs as two scripts say."""

    name, does = "analyzer", "plans as the script says"

    def __init__(self, plans: Script, weighs: Script, questions: int = 2, plugin: str = "") -> None:
        self._plans, self._weighs = plans, weighs
        self._questions, self._plugin = questions, plugin

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        if isinstance(request, Analyze):
            async with self._plans.attempt(request.key):
                return self.plan(request.task_description)
        async with self._weighs.attempt(request.key):
            found = Finding(PASSAGE.text, 0, 1.0)
            sections = tuple(Section(e.question, (found,)) for e in request.evidence)
            return Findings(sections, (PASSAGE,))

    def plan(self, text: str) -> Plan:
        """The plan of a task; subclasses may make another."""
        return plan_for(text, self._questions, self._plugin)


class ScriptedRetriever:
    """Finds the same passage for every question."""

    name, does = "retriever", "finds what the script says"

    def __init__(self, script: Script) -> None:
        self._script = script

    async def handle(self, request: Retrieve, call: Call[Any]) -> Evidence:
        async with self._script.attempt(request.key):
            return Evidence(request.question, (PASSAGE,))


class ScriptedWriter:
    """Writes `parts`, `pause_s` seconds before each; the script's act comes after `act_after` parts."""

    name, does = "writer", "writes what the script says"

    def __init__(
        self, script: Script, parts: Sequence[str], pause_s: float, act_after: int
    ) -> None:
        self._script, self._parts = script, parts
        self._pause_s, self._act_after = pause_s, act_after

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        for part in self._parts[: self._act_after]:
            await self._part(part, call)
        async with self._script.attempt(request.key):
            for part in self._parts[self._act_after :]:
                await self._part(part, call)
        p = PASSAGE
        return Report((Source(1, p.document_id, p.title, p.section, p.position, p.text),))

    async def _part(self, part: str, call: Call[Any]) -> None:
        if self._pause_s:
            await trio.sleep(self._pause_s)
        await call.part(part)


class Cast:
    """The three scripted agents and their scripts.

    `plugin` names an agent of the settings that plans ask the last question.
    """

    def __init__(
        self,
        *,
        plans: Sequence[Act] = (),
        weighs: Sequence[Act] = (),
        retrieves: Sequence[Act] = (),
        writes: Sequence[Act] = (),
        parts: Sequence[str] = ("Frogs ", "sing. ", "[1]"),
        pause_s: float = 0.0,
        act_after: int = 0,
        questions: int = 2,
        plugin: str = "",
    ) -> None:
        self._questions, self._plugin = questions, plugin
        self.plans, self.weighs = Script(plans), Script(weighs)
        self.retrieves, self.writes = Script(retrieves), Script(writes)
        self._parts, self._pause_s, self._act_after = parts, pause_s, act_after

    def factories(self) -> dict[str, Callable[[], Any]]:
        """For `open_system(agents=...)`."""
        return {
            "analyzer": lambda: ScriptedAnalyzer(
                self.plans, self.weighs, self._questions, self._plugin
            ),
            "retriever": lambda: ScriptedRetriever(self.retrieves),
            "writer": lambda: ScriptedWriter(
                self.writes, self._parts, self._pause_s, self._act_after
            ),
        }

    @property
    def working(self) -> int:
        """How many agents are at work now."""
        scripts = (self.plans, self.weighs, self.retrieves, self.writes)
        return sum(script.working for script in scripts)


@asynccontextmanager
async def scripted_system(cast: Cast | None = None, **more: Any) -> AsyncIterator[System]:
    """A system in memory with scripted agents, on Trio's clock; `more` goes to `open_system`."""
    settings = more.pop("settings", Settings(data_dir=None))
    async with open_system(
        settings,
        library=more.pop("library", NoLibrary()),
        agents=(cast or Cast()).factories(),
        now=more.pop("now", virtual_clock),
        **more,
    ) as system:
        yield system
