"""Reports on small documents, written in this process by the agents, as a task runs them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from scripted_model import Slot

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.retriever import RetrieverAgent
from actors.agents.writer import WriterAgent
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.messages import Analyze, Retrieve, Synthesize, Write
from actors.tasks.evidence import Evidence, Findings, Report
from actors.tasks.plan import Plan, Question

NOW = datetime(2026, 1, 31, tzinfo=UTC)

_CITATION = re.compile(r" \[\d+\](?=\s|$)")


@dataclass(frozen=True, slots=True)
class Written:
    """A report and what it was made from."""

    text: str
    plan: Plan
    evidence: tuple[Evidence, ...]
    findings: Findings
    report: Report

    @property
    def body(self) -> str:
        """What stands between the title and the sources, without citations and escapes."""
        body = self.text.partition("\n\n")[2].partition("## Sources\n")[0]
        return _CITATION.sub("", body.replace("\\", ""))

    @property
    def titles(self) -> list[str]:
        """The titles of the cited documents, in the order of citation."""
        return [source.title for source in self.report.sources]


@asynccontextmanager
async def library_of(documents: Mapping[str, str | bytes]) -> AsyncIterator[Library]:
    """A library in memory with these documents, by file name. Without any it is the sample."""
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        for name, body in documents.items():
            content = body.encode() if isinstance(body, str) else body
            await library.add(content, file_name=name, source=name)
        yield library


async def report_on(task: str, library: Library, about: str = "") -> Written:
    """Plan a task, search, choose and write."""
    analyzer, retriever, writer = AnalyzerAgent(), RetrieverAgent(library), WriterAgent()
    plan = await analyzer.handle(Analyze("t/s1", task, about), Slot())
    assert isinstance(plan, Plan)
    retrieved = [await retriever.handle(Retrieve("t/s2", q), Slot()) for q in plan.questions]
    evidence = tuple(retrieved)
    findings = await analyzer.handle(Synthesize("t/s4", task, plan, evidence), Slot())
    assert isinstance(findings, Findings)
    slot = Slot()
    report = await writer.handle(Write("t/s5", task, plan, findings), slot)
    return Written("".join(slot.sent), plan, evidence, findings, report)


async def answer(task: str, **documents: str) -> Written:
    """The report on a task over Markdown documents, each given by its name."""
    async with library_of({f"{name}.md": text for name, text in documents.items()}) as library:
        return await report_on(task, library)


async def planned(task: str, about: str = "") -> tuple[Question, ...]:
    """The questions of a task."""
    plan = await AnalyzerAgent().handle(Analyze("t/s1", task, about), Slot())
    assert isinstance(plan, Plan)
    return plan.questions
