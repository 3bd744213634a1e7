"""A report while a model writes it: our title, the model's checked text, and our list of sources.

A text that cites no source gets the excerpts that were found below it, with their sources.

Rule: text that was sent is never taken back, so it is checked first, and each part is complete in
itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from actors.agents.model.markup import plain, urls
from actors.agents.model.text import CheckedText
from actors.errors import ModelUnavailable
from actors.library.sentences import each_sentence
from actors.runtime.call import Call
from actors.runtime.cooperative import Cooperative, with_pauses
from actors.tasks.evidence import CitationFigures, Findings, Report, Source
from actors.tasks.failure import Failure
from actors.tasks.report import PARAGRAPH, SAMPLE_NOTE, numbered_sources, place
from actors.usage import Usage

_SOURCES = "## Sources\n\n"
_EXCERPTS = "## Excerpts from the sources\n\n*The text above cites no source.*\n\n"
_UNCITED = "The model's text cites no source."
_QUOTED_BELOW = f"{_UNCITED} The excerpts that were found stand below it."
_FENCE = re.compile(r"^```[^`\n]*$", re.MULTILINE)
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?[^`]\1(?!`)")
_HEADING = re.compile(r"^[^\S\n]*+#{1,6}\s.*$", re.MULTILINE)
_ITEM = re.compile(r"^[^\S\n]*+(?:[-*+•>|]|\d{1,3}[.)])\s+", re.MULTILINE)
_STOP_FIRST = re.compile(r"(?<![.!?。！？])([.!?。！？]++[\"'”’»)]*+)((?:\s*+\[\d[\d, ]*+\])+)")
_CITED = re.compile(r"\[\d[\d, ]*\]")
_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 3
_SENTENCES_AT_ONCE = 16


class ReportDraft:
    """The text so far. `body` is the model's part of it, without our title and what follows it.

    `sources` are what the model may cite, and `excerpts` is the text that stands below a text without
    citations. `most` is how many characters of a model's answer are read. `complete` is true if the
    kept text was a complete report, and `begun` once text was sent.
    """

    def __init__(
        self, sources: tuple[Source, ...], findings: Findings, excerpts: str, call: Call[Any]
    ) -> None:
        self._sources = sources
        self._findings = findings
        self._excerpts = excerpts
        self._call = call
        self._received = 0
        self._allow(sources)
        self._checked = CheckedText(self._known, self._known_urls)
        self._head = ""
        self.too_long = False
        self.most = 0
        self.body = ""
        self.begun = False
        self.complete = False

    async def begin(self, head: str, kept: str) -> None:
        """Continue the kept text, which is `complete` if it ends with what we put below a text."""
        self._head = "" if kept else head
        text = kept.removeprefix(head)
        below = self._below([])  # As if nothing is cited.
        before = text.removesuffix(below) if text.endswith(below) else text.rpartition(_SOURCES)[0]
        if before != text:
            await self._continue(before)
            self.complete = text == before + self._below(self._cited())
        if not self.complete:
            await self._continue(text)

    async def narrow(self, sources: tuple[Source, ...]) -> None:
        """Allow citations only of these sources, and of those that are cited already."""
        cited = self._cited()
        self._allow([*sources, *(source for source in cited if source not in sources)])
        await self._continue(self.body)

    async def take(self, text: str) -> bool:
        """Check and send the next of the model's text. False: it is too long."""
        self._received += len(text)
        await self._send(await with_pauses(self._checked.feed(text)))
        self.too_long = self._received > self.most
        return not self.too_long

    async def finish(self, usage: Usage) -> None:
        """Send what was held back and what stands below; raises `ModelUnavailable` without a text."""
        await self._send(self._checked.finish())
        if not self.body.strip():
            nothing = ModelUnavailable("The model wrote nothing that could be used.")
            nothing.usage = usage
            raise nothing
        await self._call.part(_break_after(self.body) + self._below(self._cited()))

    async def report(self, usage: Usage, degraded: Failure | None = None) -> Report:
        """The writer's reply."""
        checked = self._checked
        cited, uncited = await with_pauses(sentence_figures(self.body))
        if not self._cited():
            without = Failure(ModelUnavailable.code, _QUOTED_BELOW if self._excerpts else _UNCITED)
            reasons = [without.message, *([degraded.message] if degraded else [])]
            degraded = replace(degraded or without, message=" ".join(reasons))
        return Report(
            self._listed(self._cited()),
            CitationFigures(cited, uncited, checked.removed_citations, checked.removed_links),
            degraded,
            usage,
        )

    def _allow(self, sources: Iterable[Source]) -> None:
        shown = list(sources)
        self._known = [source.n for source in shown]
        self._known_urls = urls(text for s in shown for text in (s.text, s.title, s.section))

    async def _continue(self, body: str) -> None:
        self._checked = CheckedText(self._known, self._known_urls)
        await with_pauses(self._checked.continue_from(body))
        self.body = body

    async def _send(self, text: str) -> None:
        if not text:
            return
        self.body += text
        self.begun = True
        head, self._head = self._head, ""
        await self._call.part(head + text)

    def _listed(self, cited: list[Source]) -> tuple[Source, ...]:
        """The sources of the report: those that it cites, or else those of the excerpts below it."""
        if cited or not self._excerpts:
            return tuple(cited)
        return numbered_sources(self._findings.sources)

    def _below(self, cited: list[Source]) -> str:
        """What stands below the text, sent as one part, so that a text has all of it or none."""
        listed = self._listed(cited)
        quoted = _EXCERPTS + self._excerpts if listed and not cited else ""
        samples = set(self._findings.sample_documents)
        note = SAMPLE_NOTE if any(source.document_id in samples for source in listed) else ""
        return quoted + note + _source_list(listed)

    def _cited(self) -> list[Source]:
        cited = set(self._checked.cited)
        return [source for source in self._sources if source.n in cited]


def sentence_figures(text: str) -> Cooperative[tuple[int, int]]:
    """How many sentences of a checked text are cited, and how many are not.

    Only prose counts: headings, code, and fragments of fewer than three words state nothing. Linear
    in the length of the text, whatever it contains.
    """
    unfenced = "\n".join(_FENCE.split(text)[::2])  # In a checked text fences come in pairs.
    prose = _CODE.sub("code", _HEADING.sub("\n", unfenced))
    prose = _ITEM.sub("\n\n", prose)
    cited = uncited = 0
    # "Frogs sing. [1]" cites as "Frogs sing [1]." does.
    for number, sentence in enumerate(each_sentence(_STOP_FIRST.sub(r"\2\1", prose))):
        if number % _SENTENCES_AT_ONCE == 0:
            yield
        if _CITED.search(sentence):
            cited += 1
        elif len(_WORD.findall(sentence)) >= _FEWEST_WORDS:
            uncited += 1
    return cited, uncited


def _source_list(cited: tuple[Source, ...]) -> str:
    """Our list of sources.

    Not a numbered list: Markdown would number it anew where the numbers have gaps.
    """
    lines = [f"- [{source.n}] {plain(place(source))}\n" for source in cited]
    return _SOURCES + ("".join(lines) or "The text cites no source.\n")


def _break_after(body: str) -> str:
    newlines = len(body) - len(body.rstrip("\n"))
    return PARAGRAPH[newlines:] if newlines < len(PARAGRAPH) else ""
