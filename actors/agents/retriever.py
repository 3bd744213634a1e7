"""The retriever: finds what the library, and the pages that the task names, have on one question.

Rule: it reads and never writes, so the same question may be asked again at any time.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

from actors.agents.named_pages import NamedPages
from actors.library.library import Library
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Question

PASSAGES = 24
"""Passages for one question, if nothing else is asked for."""


_WITH_NEIGHBOURS = 4


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
        """The best passages on the question; in turns with those found with what is aside of it.

        The words of the question count twice there: what is aside only says which of many passages
        that name them is meant. A section is cut into passages, and what is asked may be told right
        before or after the words that are searched for, so the first few bring their neighbours.
        """
        query = question.query
        hits = await self._library.search(query, limit=self._limit)
        found = hits.passages
        if question.aside:
            aside = f"{query} {query} {question.aside}"
            wide = await self._library.search(aside, limit=self._limit)
            pairs = zip_longest(found, wide.passages)
            found = _merged([tuple(hit for pair in pairs for hit in pair if hit is not None)])
        best = found[:_WITH_NEIGHBOURS]
        around = await self._library.neighbours(best)
        with_theirs = [(one, *(x for x in around if _is_beside(x, one))) for one in best]
        found = _merged([*with_theirs, found])
        return Evidence(question, found[: self._limit], hits.sample)


def _is_beside(one: Passage, other: Passage) -> bool:
    return one.document_id == other.document_id and abs(one.position - other.position) == 1


def _merged(lists: list[tuple[Passage, ...]]) -> tuple[Passage, ...]:
    """The passages of all lists in their order, each once."""
    found: dict[tuple[str, int], Passage] = {}
    for passages in lists:
        for passage in passages:
            found.setdefault((passage.document_id, passage.position), passage)
    return tuple(found.values())
