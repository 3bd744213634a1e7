"""The retriever: finds what the library has on one question.

Rule: it reads and never writes, so the same question may be asked again at any time.
"""

from __future__ import annotations

from typing import Any

from actors.knowledge.library import Library
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage

PASSAGES = 24
"""Passages for one question, if nothing else is asked for."""

MAX_WORDS = 6
"""Words of a question that are also searched one by one."""


class RetrieverAgent:
    """Searches the library for passages on a question.

    Failure mode: empty context. When the library cannot be read, its error (retryable) is the
    answer, and who asked decides: when no attempt is left, the task goes on with empty `Evidence`
    and is marked degraded. That nothing matches is no failure: the evidence is just empty.
    """

    name = "retriever"
    does = "Searches the document library for passages on each question."

    def __init__(self, library: Library, *, limit: int = PASSAGES) -> None:
        self._library = library
        self._limit = limit

    async def handle(self, request: Retrieve, call: Call[Any]) -> Evidence:
        """The best passages on the question, best first; then those on its single words.

        The library finds by words, and by meaning too where it has vectors. Either way one long
        chapter that repeats every word may come first, and what introduces a word stands elsewhere,
        mostly under a heading of its own.
        """
        query = request.question.query
        hits = await self._library.search(query, limit=self._limit)
        half = self._limit // 2
        found = [hits.passages[:half]]
        words = query.split()[:MAX_WORDS]
        if len(words) > 1:
            for word in words:
                each = await self._library.search(word, limit=max(1, half // len(words)))
                found.append(each.passages)
        found.append(hits.passages)
        return Evidence(request.question, _merged(found)[: self._limit], hits.sample)


def _merged(lists: list[tuple[Passage, ...]]) -> tuple[Passage, ...]:
    """The passages of all lists in their order, each once."""
    found: dict[tuple[str, int], Passage] = {}
    for passages in lists:
        for passage in passages:
            found.setdefault((passage.document_id, passage.position), passage)
    return tuple(found.values())
