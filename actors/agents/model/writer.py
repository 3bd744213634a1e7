"""A writer that has a language model write the report, and checks its text while it streams.

Rule: the title and the list of sources are ours, the model writes what stands between. A budget of
tokens pays for what the model reads, too; what it does not pay for is done without the model.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from actors.agents.extractive.report import opening, parts, sources
from actors.agents.model.draft import Draft
from actors.agents.model.parts import Streamed, stream_parts
from actors.agents.model.passages import numbered
from actors.agents.model.prompts import write_prompt
from actors.errors import (
    BudgetReached,
    ModelRejected,
    ModelUnavailable,
    OutputTooLarge,
    PromptTooLong,
)
from actors.messages import Write
from actors.models.fallback import fallback_failure
from actors.models.model import Model, Prompt, estimated_tokens
from actors.runtime.call import Call
from actors.tasks.evidence import Findings, Report, Source
from actors.tasks.failure import Failure
from actors.usage import NO_USAGE, Usage

log = logging.getLogger(__name__)

MAX_TOKENS = 2_000
"""Tokens of a report, unless the operator says otherwise."""

_MOST_LETTERS_PER_TOKEN = 8
"""A model that writes more per token than this does not keep to its limit."""

_FEWEST_TOKENS = 64
"""With fewer of them a model is not asked for a text, as it would end in its first sentences."""

_ENDS_THERE = "The model had more to write than its limit allows, so its text ends there."
_NO_TOKENS = "No tokens are left for a language model, so the sources were put together."
_NO_MORE = "No tokens are left for a language model, so its text may end early."
_TAKEN_OVER = "The model was not there to write, so the report was put together from the sources."


class ModelWriter:
    """Writes the report with a language model, each sentence checked against the sources.

    Failure mode: partial output kept. `Write.kept`, if the model can continue, is the text of the
    attempt before, and this one goes on with it. With `fallback_to_extractive`, a model that fails
    before any text has come is replaced by the writer that needs none.
    """

    name = "writer"
    does = "Has a language model write the report, checks its citations, and streams it."

    def __init__(
        self,
        model: Model,
        *,
        fallback_to_extractive: bool = False,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.can_continue = model.can_continue
        self._model = model
        self._falls_back = fallback_to_extractive
        self._max_tokens = max_tokens

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        """Streams the text in parts; the reply says what it cites."""
        findings = request.findings
        given = numbered(findings)
        head = "".join(opening(request.task_description, findings))
        if not given or _is_extractive(request):
            why = Failure(ModelUnavailable.code, _TAKEN_OVER) if given else None
            return await _extractive(request, call, why, NO_USAGE)
        draft = Draft(given, call)
        await draft.begin(head, request.kept)
        if draft.whole:
            return await draft.report(NO_USAGE)
        left, prompt = request.tokens_left, self._prompt(request, given, draft.body)
        if left is not None and prompt.max_tokens < _FEWEST_TOKENS:
            if not request.kept:
                why = Failure.of(BudgetReached(_NO_TOKENS))
                return await _extractive(request, call, why, NO_USAGE)
            await draft.finish(NO_USAGE)
            return await draft.report(NO_USAGE, Failure.of(BudgetReached(_NO_MORE)))
        draft.most = prompt.max_tokens * _MOST_LETTERS_PER_TOKEN
        try:
            streamed = await self._streamed(request, prompt, given, draft)
            await draft.finish(streamed.usage)
        except (ModelUnavailable, ModelRejected) as error:
            if request.kept or draft.begun or not self._falls_back:
                raise
            return await _extractive(request, call, Failure.of(error), error.usage)
        return await draft.report(streamed.usage, self._shortcoming(streamed, left, draft.too_long))

    async def _streamed(
        self, request: Write, prompt: Prompt, given: tuple[Source, ...], draft: Draft
    ) -> Streamed:
        """The model's text, from as many of the passages, best first, as it has room for."""
        while True:
            try:
                return await stream_parts(self._model, prompt, draft.take)
            except PromptTooLong as error:
                if draft.begun or len(given) == 1:
                    raise
                given = given[: len(given) // 2]
                log.info("%s The best %d passages are tried.", error.message, len(given))
            await draft.narrow(given)
            prompt = self._prompt(request, given, draft.body)

    def _prompt(self, request: Write, given: tuple[Source, ...], kept: str) -> Prompt:
        """What the model is asked. Of the tokens that are left it writes those it does not read."""
        prompt = write_prompt(
            request.task_description,
            [question.text for question in request.plan.questions],
            _missing(request.findings),
            given,
            self._max_tokens,
            kept.rstrip(),
        )
        most, left = prompt.max_tokens, request.tokens_left
        if left is not None:
            most = min(most, left - estimated_tokens(prompt))
        return replace(prompt, max_tokens=most, meter=request.meter)

    def _shortcoming(self, streamed: Streamed, left: int | None, too_long: bool) -> Failure | None:
        """Why the report is less than what was wanted, if it is."""
        if left is not None and streamed.usage.tokens >= left:
            return Failure.of(BudgetReached(_NO_MORE))
        if too_long or streamed.cut_off:
            return Failure(OutputTooLarge.code, _ENDS_THERE)
        return fallback_failure(self._model, streamed.answered_by)


def _missing(findings: Findings) -> list[str]:
    return [
        section.question.text
        for section in findings.sections
        if not section.findings and not section.in_answer
    ]


def _is_extractive(request: Write) -> bool:
    """Whether the kept text is the beginning of the report that needs no model."""
    whole = "".join(parts(request.task_description, request.findings))
    return bool(request.kept) and whole.startswith(request.kept)


async def _extractive(request: Write, call: Call[Any], why: Failure | None, usage: Usage) -> Report:
    """The report put together from the findings, after what was kept of it."""
    skipped = len(request.kept)
    for part in parts(request.task_description, request.findings):
        if rest := part[skipped:]:
            await call.part(rest)
        skipped = max(0, skipped - len(part))
    return Report(sources(request.findings), degraded=why, usage=usage)
