"""A report while a language model writes it: our title, its text as it was checked, our sources.

Rule: what was sent is never taken back, so it is checked first, and each part is whole in itself.
"""

from __future__ import annotations

from typing import Any

from actors.agents.extractive.report import PARAGRAPH, place
from actors.agents.model.figures import sentence_figures
from actors.agents.model.markup import plain, urls
from actors.agents.model.text import CheckedText
from actors.errors import ModelUnavailable
from actors.runtime.call import Call
from actors.runtime.cooperative import with_pauses
from actors.tasks.evidence import CitationFigures, Report, Source
from actors.tasks.failure import Failure
from actors.usage import Usage

_SOURCES = "## Sources\n\n"


class Draft:
    """The text so far. `body` is the model's part of it: neither our title nor our sources.

    `most` is how many characters of a model's answer are taken.
    """

    def __init__(self, given: tuple[Source, ...], call: Call[Any]) -> None:
        self._given = given
        self._call = call
        self._came = 0
        self._known = [source.n for source in given]
        self._known_urls = urls(text for s in given for text in (s.text, s.title, s.section))
        self._checked = CheckedText(self._known, self._known_urls)
        self._head = ""
        self.too_long = False
        self.most = 0
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

    async def narrow(self, given: tuple[Source, ...]) -> None:
        """Only these are shown to the model: besides what is cited already, it may cite no other."""
        cited = {source.n for source in self._cited()}
        shown = [*given, *(s for s in self._given if s.n in cited and s not in given)]
        self._known = [source.n for source in shown]
        self._known_urls = urls(text for s in shown for text in (s.text, s.title, s.section))
        await self._go_on_from(self.body)

    async def take(self, text: str) -> bool:
        """The next of the model's text. False: it is enough."""
        self._came += len(text)
        await self._send(await with_pauses(self._checked.feed(text)))
        self.too_long = self._came > self.most
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
