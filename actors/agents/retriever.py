"""The retriever: finds what the library, and the pages that the task names, have on one question.

Rule: it reads and never writes, so the same question may be asked again at any time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.agents.named_pages import NamedPages
from actors.knowledge.library import Library
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Question

PASSAGES = 24
"""Passages for one question, if nothing else is asked for."""

MAX_WORDS = 6
"""Words of a question that are also searched one by one."""


class RetrieverAgent:
    """Searches the library for passages on a question, and `pages` for those that the task names.

    Failure mode: empty context. When the library cannot be read, its error (retryable) is the
    answer, and who asked decides: when no attempt is left, the task goes on with empty `Evidence`
    and is marked degraded. That nothing matches is no failure: the evidence is just empty. A page
    that cannot be read is told in the evidence, which then is what else was found.
    """

    name = "retriever"
    does = "Searches the document library, and pages the task names, for passages on each question."

    def __init__(
        self, library: Library, *, pages: NamedPages | None = None, limit: int = PASSAGES
    ) -> None:
        self._library = library
        self._pages = pages
        self._limit = limit

    async def handle(self, request: Retrieve, call: Call[Any]) -> Evidence:
        """What the library has, and before it as much of what the pages have.

        Who names pages needs no sample library to stand in.
        """
        found = await self._in_library(request.question)
        if self._pages is None or not request.urls:
            return found
        task, _, _ = request.key.partition("/")
        pages = await self._pages.search(task, request.urls, request.question.query, self._limit)
        if pages.any_read and found.sample:
            found = Evidence(request.question)
        lists = [pages.passages[: self._limit // 2], found.passages, pages.passages]
        return replace(found, passages=_merged(lists)[: self._limit], missed=pages.missed)

    async def _in_library(self, question: Question) -> Evidence:
        """The best passages on the question, best first; then those on its single words.

        The library finds by words, and by meaning too where it has vectors. Either way one long
        chapter that repeats every word may come first, and what introduces a word stands elsewhere,
        mostly under a heading of its own.
        """
        query = question.query
        hits = await self._library.search(query, limit=self._limit)
        half = self._limit // 2
        found = [hits.passages[:half]]
        words = query.split()[:MAX_WORDS]
        if len(words) > 1:
            for word in words:
                each = await self._library.search(word, limit=max(1, half // len(words)))
                found.append(each.passages)
        found.append(hits.passages)
        return Evidence(question, _merged(found)[: self._limit], hits.sample)


def _merged(lists: list[tuple[Passage, ...]]) -> tuple[Passage, ...]:
    """The passages of all lists in their order, each once."""
    found: dict[tuple[str, int], Passage] = {}
    for passages in lists:
        for passage in passages:
            found.setdefault((passage.document_id, passage.position), passage)
    return tuple(found.values())
