"""The agents as actors are asked: requests in, replies and parts out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio
from hostile_texts import hard_choice
from reporting import library_of, report_on
from scripted_model import Slot
from trio.testing import MockClock

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.extractive.report import parts
from actors.agents.retriever import RetrieverAgent
from actors.agents.writer import WriterAgent
from actors.errors import StorageUnavailable
from actors.library.library import Library
from actors.library.readers import Reader
from actors.library.retrieval import Found, Query
from actors.messages import Analyze, Retrieve, Write
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Plan, Question
from actors.tasks.report import numbered_sources


class FixedLibrary:
    """A library that answers with the same passages, or an error, and keeps what it was asked."""

    def __init__(self, *passages: Passage, error: Exception | None = None) -> None:
        self.passages = passages
        self.error = error
        self.asked: list[tuple[Query, int]] = []

    async def find(self, query: Query, *, limit: int) -> Found:
        self.asked.append((query, limit))
        if self.error:
            raise self.error
        return Found(self.passages, weights={"frog": 2.0}, units=7)


async def test_a_task_goes_from_its_text_to_a_cited_report() -> None:
    task = "Compare threads and async I/O for a web server, and how do retries do harm?"
    async with library_of({}) as library:
        written = await report_on(task, library)

    assert written.text == "".join(parts(task, written.findings))
    assert [
        f"## {q.text[:1].upper()}{q.text[1:]}" in written.text for q in written.plan.questions
    ] == [
        True,
        True,
    ]
    assert written.report.sources == numbered_sources(written.findings.sources)
    assert [source.n for source in written.report.sources] == list(
        range(1, len(written.report.sources) + 1)
    )
    assert written.findings.sample


async def test_the_report_is_the_same_every_time() -> None:
    task = "Explain supervision and restart strategies, and how retries differ from them"
    async with library_of({}) as library:
        first = await report_on(task, library)
        second = await report_on(task, library)

    assert first == second


async def test_the_retriever_asks_for_the_question_its_context_and_its_sides() -> None:
    library = FixedLibrary(Passage("d", "Frogs", "", 1, "A frog."))
    question = Question(
        "s2", "Frogs or toads?", "frogs or toads", "", {}, "ponds", ("frogs", "toads")
    )

    evidence = await RetrieverAgent(cast(Library, library), limit=6).handle(
        Retrieve("k", question, owner="ann"), Slot()
    )

    assert library.asked == [
        (Query("frogs or toads", "ponds", ("frogs", "toads"), Reader("ann")), 6)
    ]
    assert evidence == Evidence(question, library.passages, weights={"frog": 2.0}, units=7)


async def test_the_retriever_lets_a_storage_error_be_the_answer() -> None:
    library = FixedLibrary(error=StorageUnavailable("The library cannot be used now."))
    retriever = RetrieverAgent(cast(Library, library))

    with pytest.raises(StorageUnavailable) as raised:
        await retriever.handle(Retrieve("k", Question("s2", "Frogs?", "frogs")), Slot())

    assert raised.value.retryable


@pytest.mark.parametrize("task", ["😀😀", "?!", "—"])
async def test_a_question_without_words_finds_nothing(task: str) -> None:
    async with library_of({}) as library:
        written = await report_on(task, library)

    assert "The library has nothing on this." in written.text
    assert written.report.sources == ()
    assert "sample library" not in written.text


async def test_the_writer_sends_an_excerpt_at_a_time_and_the_same_parts_on_each_attempt() -> None:
    task = "What is backpressure?"
    async with library_of({}) as library:
        written = await report_on(task, library)
    request = Write("t/s5", task, written.plan, written.findings)
    broken, whole = Slot(break_after=3), Slot()

    with pytest.raises(trio.BrokenResourceError):
        await WriterAgent().handle(request, broken)
    await WriterAgent().handle(request, whole)

    assert broken.sent == whole.sent[:3]
    assert len(whole.sent) > 3 + len(written.report.sources)


async def turns_during(work: Callable[[], Awaitable[Any]]) -> int:
    """How many times others had their turn while the work was done."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await work()
        nursery.cancel_scope.cancel()
    return turns


async def test_planning_and_choosing_let_others_run_in_between(mock_clock: MockClock) -> None:
    task = "Which green frog sings at night? " * 600
    agent = AnalyzerAgent()
    plan = await agent.handle(Analyze("k", task), Slot())
    assert isinstance(plan, Plan)

    planning = await turns_during(lambda: agent.handle(Analyze("k", task), Slot()))
    choosing = await turns_during(lambda: agent.handle(hard_choice(plan), Slot()))

    assert planning > 10
    assert choosing > 30
    assert mock_clock.current_time() == 0


@pytest.mark.parametrize("agent", [AnalyzerAgent, RetrieverAgent, WriterAgent])
def test_every_agent_says_its_name_and_what_it_does(agent: Any) -> None:
    assert agent.name
    assert agent.does.endswith(".")
