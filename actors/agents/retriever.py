"""The retriever: finds passages and excerpts on one question in the library and in named pages.

Rule: it reads and never writes, so the same question may be asked again at any time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.agents.named_pages import NamedPages
from actors.library.library import Library
from actors.library.readers import Reader
from actors.library.retrieval import Found, Query
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, each_once

PASSAGES = 14
"""Passages for one question, if nothing else is set."""


class RetrieverAgent:
    """Searches the library, and with `pages` the web pages that the task names.

    Failure mode: empty context. If the library cannot be read, its error (retryable) is the reply;
    after the last attempt the task goes on with empty `Evidence` that names the failure, and is
    marked degraded. No match is no failure. A page that cannot be read is named in the evidence.
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
        """The evidence of the library, and before it that of the pages.

        If a page could be read, the sample library is left out.
        """
        question = request.question
        query = Query(question.query, question.context, question.sides, Reader(request.owner))
        found = await self._library.find(query, limit=self._limit)
        if self._pages is None or not request.urls:
            return _evidence(request, found)
        task, _, _ = request.key.partition("/")
        pages = await self._pages.find(task, request.urls, query, self._limit)
        if pages.any_read and found.sample:
            found = replace(found, passages=(), excerpts=(), sample=False)
        evidence = _evidence(request, found)
        page_excerpts = await self._library.with_similarity(question.query, pages.excerpts)
        return replace(
            evidence,
            passages=each_once((*pages.passages, *evidence.passages)),
            excerpts=(*page_excerpts, *evidence.excerpts),
            weights={**pages.weights, **evidence.weights},
            missed=pages.missed,
        )


def _evidence(request: Retrieve, found: Found) -> Evidence:
    return Evidence(
        request.question,
        found.passages,
        found.sample,
        excerpts=found.excerpts,
        weights=found.weights,
        units=found.units,
        unknown=found.unknown,
    )
