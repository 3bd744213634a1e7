"""The retriever: searches the library, and the web pages that the task names, for one question.

Rule: it reads and never writes, so the same question may be asked again at any time.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

from actors.agents.named_pages import NamedPages
from actors.library.library import Library
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage, each_once
from actors.tasks.plan import Question

PASSAGES = 24
"""Passages for one question, by default."""

_WITH_NEIGHBOURS = 4
"""Best passages whose neighbours are added."""


class RetrieverAgent:
    """Searches the library for passages on a question, and `pages` for those that the task names.

    Failure mode: empty evidence. If the library cannot be read, the reply is its error (retryable).
    When no attempt is left, the run goes on with empty `Evidence` and the task is marked degraded.
    A search without a match is no failure: the evidence is empty. A page that cannot be read is
    named in the evidence beside what was found elsewhere.
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
        """Passages of the library, and before them up to half as many as fit from the pages.

        If the task names pages that could be read, the sample library is left out.
        """
        found = await self._in_library(request.question)
        if self._pages is None or not request.urls:
            return found
        task, _, _ = request.key.partition("/")
        pages = await self._pages.search(task, request.urls, request.question.query, self._limit)
        if pages.any_read and found.sample:
            found = Evidence(request.question)
        in_order = (*pages.passages[: self._limit // 2], *found.passages, *pages.passages)
        return replace(found, passages=each_once(in_order)[: self._limit], missed=pages.missed)

    async def _in_library(self, question: Question) -> Evidence:
        """The best passages on the question, interleaved with those found with its context terms.

        In the second search the query terms count twice, because the context terms only choose
        among the passages that contain them. A section is cut into passages, and the answer may
        stand right before or after the terms, so the best passages bring their neighbours.
        """
        query = question.query
        hits = await self._library.search(query, limit=self._limit)
        found = hits.passages
        if question.aside:
            with_context = f"{query} {query} {question.aside}"
            wide = await self._library.search(with_context, limit=self._limit)
            pairs = chain.from_iterable(zip_longest(found, wide.passages))
            found = each_once(passage for passage in pairs if passage is not None)
        best = found[:_WITH_NEIGHBOURS]
        around = await self._library.neighbours(best)
        with_theirs = [(one, *(x for x in around if _is_beside(x, one))) for one in best]
        found = each_once((*chain.from_iterable(with_theirs), *found))
        return Evidence(question, found[: self._limit], hits.sample)


def _is_beside(one: Passage, other: Passage) -> bool:
    return one.document_id == other.document_id and abs(one.position - other.position) == 1
