"""A writer that has a language model write the report, and checks its text while it streams.

Rule: the title and the list of sources are ours, the model writes the text between them. Tokens that
the model reads count towards the budget, too; where the budget ends, the report is written without
the model.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from actors.agents.model.draft import ReportDraft
from actors.agents.model.passages import numbered_passages
from actors.agents.model.prompts import write_prompt
from actors.errors import (
    BudgetReached,
    ModelRejected,
    ModelUnavailable,
    OutputTooLarge,
    PromptTooLong,
)
from actors.messages import Write
from actors.models.fallback import fallback_failure, worth_another_try
from actors.models.model import Model, Prompt, estimated_tokens
from actors.models.parts import Patience, Streamed, stream_parts
from actors.runtime.call import Call
from actors.tasks.evidence import Findings, Report, Source
from actors.tasks.failure import Failure
from actors.tasks.plan import Plan
from actors.tasks.report import PARAGRAPH, numbered_sources
from actors.usage import NO_USAGE, Usage

log = logging.getLogger(__name__)

MAX_TOKENS = 2_000
"""Tokens of a report, by default."""

_MOST_LETTERS_PER_TOKEN = 8
"""A model that writes more characters per token than this ignores its limit of tokens."""

_FEWEST_TOKENS = 64
"""With fewer a model is not asked for a text: it would end within its first sentences."""

_ENDS_THERE = "The model had more to write than its limit allows, so its text ends there."
_ENDS_LATE = "The model took too long to write, so its text ends there."
_NO_TOKENS = "No tokens are left for a language model, so the sources were put together."
_NO_MORE = "No tokens are left for a language model, so its text may end early."
_TAKEN_OVER = "The model was not there to write, so the report was put together from the sources."


@dataclass(frozen=True, slots=True)
class Quotes:
    """What the writer without a model writes: the title of a task's report, all parts of the report,
    its excerpts alone, and notes on what could not be searched."""

    title: Callable[[str], str]
    report: Callable[[str, Findings], Iterable[str]]
    excerpts: Callable[[Findings], Iterable[str]]
    not_searched: Callable[[Iterable[Failure]], Iterable[str]]


class ModelWriter:
    """Writes the report with a language model, its citations checked against the sources.

    The model is asked whenever there are passages. If its text cites none of them, the excerpts
    stand below it.

    Failure mode: partial output is kept. If the model can continue, `Write.kept` is the text of the
    previous attempt, and this one continues it. With `fallback_to_extractive` the report is written
    without the model if there is no text yet and another try is not worth it, or if the first text
    takes longer than `first_text_s`. A model that still writes after `whole_text_s` is stopped, unless
    the next attempt can continue its text.
    """

    name = "writer"
    does = "Has a language model write the report, checks its citations, and streams it."

    def __init__(
        self,
        model: Model,
        quotes: Quotes,
        *,
        fallback_to_extractive: bool = False,
        first_text_s: float = math.inf,
        whole_text_s: float = math.inf,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.can_continue = model.can_continue
        self._model = model
        self._quotes = quotes
        self._falls_back = fallback_to_extractive
        self._first_text_s = first_text_s
        self._whole_text_s = math.inf if model.can_continue else whole_text_s
        self._max_tokens = max_tokens

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        """Stream the text in parts; the reply has its sources and citation figures."""
        findings, sources = request.findings, numbered_passages(request.findings)
        if not sources or self._was_without_model(request):
            why = Failure(ModelUnavailable.code, _TAKEN_OVER) if sources else None
            return await self._without_model(request, call, why, NO_USAGE)
        draft = ReportDraft(sources, findings, "".join(self._quotes.excerpts(findings)), call)
        await draft.begin(self._head(request), request.kept)
        if draft.complete:
            return await draft.report(NO_USAGE)
        left, prompt = request.tokens_left, self._prompt(request, sources, draft.body)
        if left is not None and prompt.max_tokens < _FEWEST_TOKENS:
            if not request.kept:
                why = Failure.of(BudgetReached(_NO_TOKENS))
                return await self._without_model(request, call, why, NO_USAGE)
            await draft.finish(NO_USAGE)
            return await draft.report(NO_USAGE, Failure.of(BudgetReached(_NO_MORE)))
        draft.most = prompt.max_tokens * _MOST_LETTERS_PER_TOKEN
        try:
            streamed = await self._streamed(request, prompt, sources, draft)
            await draft.finish(streamed.usage)
        except (ModelUnavailable, ModelRejected) as error:
            again = worth_another_try(error, last_attempt=request.last_attempt)
            if request.kept or draft.begun or again or not self._falls_back:
                raise
            return await self._without_model(request, call, Failure.of(error), error.usage)
        return await draft.report(streamed.usage, self._shortcoming(streamed, left, draft.too_long))

    def _head(self, request: Write) -> str:
        """Our title, and our notes on what could not be searched."""
        failures = [failure for s in request.findings.sections for failure in s.missed]
        title = self._quotes.title(request.task_description)
        return f"# {title}{PARAGRAPH}{''.join(self._quotes.not_searched(failures))}"

    async def _streamed(
        self, request: Write, prompt: Prompt, sources: tuple[Source, ...], draft: ReportDraft
    ) -> Streamed:
        """Stream the model's text, from as many of the passages, best first, as it can read."""
        waits = self._falls_back and not request.kept
        patience = Patience(self._first_text_s if waits else math.inf, self._whole_text_s)
        while True:
            try:
                return await stream_parts(self._model, prompt, draft.take, patience)
            except PromptTooLong as error:
                if draft.begun or len(sources) == 1:
                    raise
                sources = sources[: len(sources) // 2]
                log.info("%s The best %d passages are tried.", error.message, len(sources))
            await draft.narrow(sources)
            prompt = self._prompt(request, sources, draft.body)

    def _prompt(self, request: Write, sources: tuple[Source, ...], kept: str) -> Prompt:
        """The prompt, limited to the tokens that are left once the model has read it."""
        prompt = write_prompt(
            request.task_description,
            _questions(request.plan),
            _unsure(request.findings),
            sources,
            self._max_tokens,
            kept.rstrip(),
        )
        most, left = prompt.max_tokens, request.tokens_left
        if left is not None:
            most = min(most, left - estimated_tokens(prompt))
        return replace(prompt, max_tokens=most, meter=request.meter)

    def _shortcoming(self, streamed: Streamed, left: int | None, too_long: bool) -> Failure | None:
        """Why the report is less than it should be, if it is."""
        if left is not None and streamed.usage.tokens >= left:
            return Failure.of(BudgetReached(_NO_MORE))
        if streamed.late:
            return Failure(ModelUnavailable.code, _ENDS_LATE)
        if too_long or streamed.cut_off:
            return Failure(OutputTooLarge.code, _ENDS_THERE)
        return fallback_failure(self._model, streamed.answered_by)

    def _was_without_model(self, request: Write) -> bool:
        """Whether the kept text is the beginning of the report without a model."""
        if not request.kept:
            return False
        parts = self._quotes.report(request.task_description, request.findings)
        return "".join(parts).startswith(request.kept)

    async def _without_model(
        self, request: Write, call: Call[Any], why: Failure | None, usage: Usage
    ) -> Report:
        """The report without a model, after the kept text."""
        skipped = len(request.kept)
        for part in self._quotes.report(request.task_description, request.findings):
            if rest := part[skipped:]:
                await call.part(rest)
            skipped = max(0, skipped - len(part))
        return Report(numbered_sources(request.findings.sources), degraded=why, usage=usage)


def _questions(plan: Plan) -> list[str]:
    """The questions that get a section: all but the task, which is the first of a model's plan."""
    own = [question.text for question in plan.questions if not question.of]
    return own[1:] if plan.by_model else own


def _unsure(findings: Findings) -> list[str]:
    sections = findings.sections
    return [s.question.text for s in sections if not (s.findings and s.answers)]
