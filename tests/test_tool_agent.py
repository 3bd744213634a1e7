"""The tool agent: what a tool says, as evidence that can be weighed and cited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from actors.agents.tool import ToolAgent
from actors.errors import ToolFailed
from actors.messages import CallTool
from actors.runtime import spawn
from actors.tasks.evidence import Evidence
from actors.tasks.failure import Failure
from actors.tasks.plan import Question
from actors.tools import ToolResult, Tools

QUESTION = Question("s2", "Where do frogs live?", "frogs live")


class Pond:
    """Tools that answer from a list, or fail."""

    def __init__(self, *answers: ToolResult | Exception) -> None:
        self.answers = list(answers)
        self.called: list[tuple[str, dict[str, Any], str]] = []

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str) -> ToolResult:
        self.called.append((tool, dict(arguments), key))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def arguments(self, tool: str, question: Question) -> Mapping[str, Any]:
        return {}


async def evidence(pond: Pond, nursery: Any, **arguments: Any) -> Evidence:
    agent = spawn(nursery, "tool", lambda: ToolAgent(cast(Tools, pond)), capacity=1)
    return await agent.ask(CallTool("task/s2", "pond/search", QUESTION, arguments, ""))


async def test_a_text_is_cut_into_passages_that_say_where_they_are_from(nursery: Any) -> None:
    sentences = [f"Frog number {n} lives in pond number {n} near the old mill." for n in range(100)]
    pond = Pond(ToolResult(" ".join(sentences)))

    found = await evidence(pond, nursery, query="frogs")

    assert pond.called == [("pond/search", {"query": "frogs"}, "task/s2")]
    assert found.question == QUESTION
    assert len(found.passages) > 3
    assert [passage.position for passage in found.passages] == [*range(1, len(found.passages) + 1)]
    for passage in found.passages:
        assert passage.document_id.startswith("tool:pond/search:")
        assert (passage.title, passage.section) == ("pond/search", "query: frogs")
        assert len(passage.text.split()) <= 240
    text = " ".join(passage.text for passage in found.passages)
    assert text.split() == " ".join(sentences).split()


async def test_the_same_arguments_make_the_same_document_in_any_order(nursery: Any) -> None:
    pond = Pond(*[ToolResult("Frogs.")] * 3)

    one = await evidence(pond, nursery, a=1, b=2)
    two = await evidence(pond, nursery, b=2, a=1)
    other = await evidence(pond, nursery, a=2, b=2)

    ids = [found.passages[0].document_id for found in (one, two, other)]
    assert ids[0] == ids[1] != ids[2]


async def test_json_becomes_its_texts_word_for_word(nursery: Any) -> None:
    hits = [{"title": "Frogs", "score": 0.5, "text": "Frogs live in ponds.\n\nToads do not."}]
    pond = Pond(ToolResult(json.dumps({"hits": hits, "next": None})))

    found = await evidence(pond, nursery, query="frogs")

    text = found.passages[0].text
    assert text == "- title: Frogs\n- score: 0.5\n\nFrogs live in ponds.\n\nToads do not."


async def test_what_is_not_in_the_passages_is_named(nursery: Any) -> None:
    pond = Pond(ToolResult("A frog.", ("image image/png",), cut=True), ToolResult(""))

    found = await evidence(pond, nursery, query="x " * 200)
    empty = await evidence(pond, nursery)

    assert found.passages[0].section.endswith("… (without image image/png, what did not fit)")
    assert empty.passages == ()


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a": \ud800}', "{not json", '["\\ud800 half"]'])
async def test_text_that_only_looks_like_json_is_text(nursery: Any, text: str) -> None:
    found = await evidence(Pond(ToolResult(text)), nursery)

    for passage in found.passages:
        passage.text.encode()


async def test_an_error_that_the_tool_answers_with_is_named_as_missed(nursery: Any) -> None:
    found = await evidence(Pond(ToolResult("", error="The tool pond/search: no frogs")), nursery)

    assert not found.passages and not found.excerpts
    assert found.missed == (Failure("tool_failed", "The tool pond/search: no frogs"),)
    assert found.degraded == found.missed[0]


async def test_a_failure_of_the_tool_is_the_answer(nursery: Any) -> None:
    with pytest.raises(ToolFailed, match="no index"):
        await evidence(Pond(ToolFailed("The tool pond/search failed: no index")), nursery)
