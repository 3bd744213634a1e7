"""The agents as actors are asked: requests in, replies and parts out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import trio
from scripted_model import Slot
from trio.testing import MockClock

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.extractive.planning import plan
from actors.agents.extractive.report import parts
from actors.agents.retriever import RetrieverAgent
from actors.agents.writer import WriterAgent
from actors.errors import StorageUnavailable
from actors.library.documents import Hits
from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser
from actors.messages import Analyze, Retrieve, Synthesize, Write
from actors.tasks.evidence import Evidence, Findings, Passage, Report
from actors.tasks.plan import Plan, Question

NOW = datetime(2026, 1, 31, tzinfo=UTC)


class Database:
    """A library that answers from a list, or with an error, and remembers what it was asked."""

    def __init__(self, *passages: Passage, error: Exception | None = None) -> None:
        self.passages = passages
        self.error = error
        self.asked: list[str] = []

    async def search(self, query: str, *, limit: int) -> Hits:
        self.asked.append(query)
        if self.error:
            raise self.error
        return Hits(self.passages[:limit], sample=False)

    async def neighbours(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        return ()


async def report_on(task: str, library: Library) -> tuple[str, Plan, Findings, Report]:
    analyzer, retriever, writer = AnalyzerAgent(), RetrieverAgent(library), WriterAgent()
    made = await analyzer.handle(Analyze("t/s1", task), Slot())
    assert isinstance(made, Plan)
    evidence = [await retriever.handle(Retrieve("t/s2", q), Slot()) for q in made.questions]
    findings = await analyzer.handle(Synthesize("t/s4", task, made, tuple(evidence)), Slot())
    assert isinstance(findings, Findings)
    slot = Slot()
    report = await writer.handle(Write("t/s5", task, made, findings), slot)
    return "".join(slot.sent), made, findings, report


async def test_a_task_goes_from_its_text_to_a_cited_report() -> None:
    task = "Compare threads and async I/O for a web server, then recommend one"
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        text, made, findings, report = await report_on(task, library)

    assert text == "".join(parts(task, findings))
    assert [f"## {question.text}" in text for question in made.questions] == [True, True]
    assert "recommended" in text.partition("## Answer")[2].partition("\n## ")[0]
    assert [source.n for source in report.sources] == list(range(1, len(report.sources) + 1))
    assert findings.sample


async def test_the_sample_library_answers_for_either_side_of_a_choice() -> None:
    task = "Should I use SQLite or PostgreSQL for a small web app?"
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        _, _, findings, _ = await report_on(task, library)

    answer = " ".join(finding.text for finding in findings.answer)
    assert "SQLite is recommended" in answer
    assert "PostgreSQL is recommended" in answer


async def test_the_report_is_the_same_every_time() -> None:
    task = "Explain supervision and restart strategies, and how retries differ from them"
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        first = await report_on(task, library)
        second = await report_on(task, library)

    assert first == second


async def test_the_best_passages_bring_what_stands_beside_them_in_their_section() -> None:
    words = [f"Word{n} " * 120 for n in range(4)]
    text = f"# Ponds\n\n{words[0]}\n\nOf frogs. {words[1]}\n\n{words[2]}\n\n# Toads\n\n{words[3]}"
    question = Question("s2", "Frogs", "frogs")
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        await library.add(text.encode(), media_type="text/markdown", title="Pond")
        evidence = await RetrieverAgent(library).handle(Retrieve("k", question), Slot())

    assert [(found.section, found.position) for found in evidence.passages] == [
        ("Ponds", 2),
        ("Ponds", 1),
        ("Ponds", 3),
    ]


async def test_the_retriever_searches_what_is_aside_of_a_question_too_each_passage_once() -> None:
    passages = [Passage("d", "Frogs", "", n, "A frog.") for n in range(1, 9)]
    database = Database(*passages)
    question = Question("s2", "Frogs in ponds", "frogs", aside="toads ponds")

    retriever = RetrieverAgent(cast(Library, database), limit=6)

    evidence = await retriever.handle(Retrieve("k", question), Slot())

    assert database.asked == ["frogs", "frogs frogs toads ponds"]
    assert evidence == Evidence(question, tuple(passages[:6]), sample=False)


async def test_the_retriever_lets_a_storage_error_be_the_answer() -> None:
    database = Database(error=StorageUnavailable("The library cannot be used now."))
    retriever = RetrieverAgent(cast(Library, database))

    with pytest.raises(StorageUnavailable) as raised:
        await retriever.handle(Retrieve("k", Question("s2", "Frogs?", "frogs")), Slot())

    assert raised.value.retryable


async def test_a_question_without_words_finds_nothing() -> None:
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        text, made, _, report = await report_on("😀😀", library)

    assert made.questions[0].query == ""
    assert "The library has nothing on this." in text
    assert report.sources == ()


async def test_the_writer_sends_a_sentence_at_a_time_and_the_same_parts_on_each_attempt() -> None:
    task = "What is backpressure?"
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        _, made, findings, _ = await report_on(task, library)
    request = Write("t/s5", task, made, findings)
    broken, whole = Slot(break_after=4), Slot()

    with pytest.raises(trio.BrokenResourceError):
        await WriterAgent().handle(request, broken)
    await WriterAgent().handle(request, whole)

    assert broken.sent == whole.sent[:4]
    assert max(part.count(" [") for part in whole.sent) == 1


async def wait_of(work: Callable[[], Awaitable[Any]]) -> int:
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


async def test_planning_and_weighing_let_others_run_in_between(mock_clock: MockClock) -> None:
    passages = tuple(
        Passage("d", "Frogs", "", n, f"A frog of kind {n} is a small animal near water. " * 9)
        for n in range(1, 30)
    )
    task = "What is a frog? " * 30
    made = plan(task)
    weigh = Synthesize("k", task, made, tuple(Evidence(q, passages) for q in made.questions))

    planning = await wait_of(lambda: AnalyzerAgent().handle(Analyze("k", task), Slot()))
    weighing = await wait_of(lambda: AnalyzerAgent().handle(weigh, Slot()))

    assert planning > 30
    assert weighing > 30
    assert mock_clock.current_time() == 0


@pytest.mark.parametrize("agent", [AnalyzerAgent, RetrieverAgent, WriterAgent])
def test_every_agent_says_its_name_and_what_it_does(agent: Any) -> None:
    assert agent.name
    assert agent.does.endswith(".")
