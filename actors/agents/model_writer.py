"""A writer that has a language model write the report, and checks its text while it streams.

Rule: the title and the list of sources are ours, the model writes what stands between. What was sent
stays true: a part is checked before it goes out, and never taken back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.agents.model_figures import sentence_figures
from actors.agents.model_markup import plain, urls
from actors.agents.model_parts import Streamed, stream_parts
from actors.agents.model_passages import numbered
from actors.agents.model_prompts import write_prompt
from actors.agents.model_text import CheckedText
from actors.agents.report import PARAGRAPH, opening, parts, place, sources
from actors.agents.slices import with_pauses
from actors.errors import BudgetReached, ModelRejected, ModelUnavailable, OutputTooLarge
from actors.messages import Write
from actors.models.fallback import stood_in
from actors.models.model import Model
from actors.runtime.call import Call
from actors.tasks.evidence import CitationFigures, Findings, Report, Source
from actors.tasks.failure import Failure
from actors.usage import NO_USAGE, Usage

MAX_TOKENS = 2_000
"""Tokens of a report, unless the operator says otherwise."""

_LETTERS_PER_TOKEN = 8
"""A model that writes more per token than this does not keep to its limit."""

_SOURCES = "## Sources\n\n"
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
        left = request.tokens_left
        if left == 0 and not request.kept:
            return await _extractive(request, call, Failure.of(BudgetReached(_NO_TOKENS)), NO_USAGE)
        most = self._max_tokens if left is None else min(left, self._max_tokens)
        draft = _Draft(given, call, most * _LETTERS_PER_TOKEN)
        await draft.begin(head, request.kept)
        if draft.whole:
            return await draft.report(NO_USAGE)
        if left == 0:
            await draft.finish(NO_USAGE)
            return await draft.report(NO_USAGE, Failure.of(BudgetReached(_NO_MORE)))
        prompt = write_prompt(
            request.task_description,
            [question.text for question in request.plan.questions],
            _missing(findings),
            given,
            most,
            draft.body.rstrip(),
        )
        prompt = replace(prompt, meter=request.meter)
        try:
            streamed = await stream_parts(self._model, prompt, draft.take)
            await draft.finish(streamed.usage)
        except (ModelUnavailable, ModelRejected) as error:
            if request.kept or draft.begun or not self._falls_back:
                raise
            return await _extractive(request, call, Failure.of(error), error.usage)
        return await draft.report(streamed.usage, self._shortcoming(streamed, left, draft.too_long))

    def _shortcoming(self, streamed: Streamed, left: int | None, too_long: bool) -> Failure | None:
        """Why the report is less than what was wanted, if it is."""
        if left is not None and streamed.usage.tokens >= left:
            return Failure.of(BudgetReached(_NO_MORE))
        if too_long or streamed.cut_off:
            return Failure(OutputTooLarge.code, _ENDS_THERE)
        return stood_in(self._model, streamed.answered_by)


class _Draft:
    """The text so far. `body` is the model's part of it: neither our title nor our sources."""

    def __init__(self, given: tuple[Source, ...], call: Call[Any], most: int) -> None:
        self._given = given
        self._call = call
        self._most = most
        self._came = 0
        self._known = [source.n for source in given]
        self._known_urls = urls(text for s in given for text in (s.text, s.title, s.section))
        self._checked = CheckedText(self._known, self._known_urls)
        self._head = ""
        self.too_long = False
        self.body = ""
        self.begun = False
        self.whole = False

    async def begin(self, head: str, kept: str) -> None:
        """Take up what is kept. It is `whole` if our list of sources stands at its end."""
        self._head = "" if kept else head
        before, heading, entries = kept.removeprefix(head).rpartition(_SOURCES)
        if heading:
            await self._go_on_from(before)
            self.whole = heading + entries == _source_list(self._cited())
        if not self.whole:
            await self._go_on_from(before + heading + entries)

    async def _go_on_from(self, body: str) -> None:
        self._checked = CheckedText(self._known, self._known_urls)
        await with_pauses(self._checked.go_on_from(body))
        self.body = body

    async def take(self, text: str) -> bool:
        """The next of the model's text. False: it is enough."""
        self._came += len(text)
        await self._send(await with_pauses(self._checked.feed(text)))
        self.too_long = self._came > self._most
        return not self.too_long

    async def finish(self, usage: Usage) -> None:
        """The end of the model's text; raises `ModelUnavailable` if there is none."""
        await self._send(self._checked.finish())
        if not self.body.strip():
            nothing = ModelUnavailable("The model wrote nothing that could be used.")
            nothing.usage = usage
            raise nothing
        await self._call.part(_break_after(self.body) + _source_list(self._cited()))

    async def report(self, usage: Usage, degraded: Failure | None = None) -> Report:
        """What the writer answers."""
        checked = self._checked
        cited, uncited = await with_pauses(sentence_figures(self.body))
        return Report(
            tuple(self._cited()),
            CitationFigures(cited, uncited, checked.removed_citations, checked.removed_links),
            degraded,
            usage,
        )

    async def _send(self, text: str) -> None:
        if not text:
            return
        self.body += text
        self.begun = True
        head, self._head = self._head, ""
        await self._call.part(head + text)

    def _cited(self) -> list[Source]:
        cited = set(self._checked.cited)
        return [source for source in self._given if source.n in cited]


def _source_list(cited: list[Source]) -> str:
    """Our list: one part, so that it is there as a whole or not at all.

    Not a numbered list, which Markdown would number anew where the numbers have gaps.
    """
    lines = [f"- [{source.n}] {plain(place(source))}\n" for source in cited]
    return _SOURCES + ("".join(lines) or "The text cites no source.\n")


def _break_after(body: str) -> str:
    newlines = len(body) - len(body.rstrip("\n"))
    return PARAGRAPH[newlines:] if newlines < len(PARAGRAPH) else ""


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
