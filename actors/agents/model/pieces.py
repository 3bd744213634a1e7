"""Pieces of a model's text: a word, or a bracket, a link or a code span with all that it encloses.

Rule: a piece goes out once nothing that follows can change how it reads, and at most `MOST_HELD`
characters and `MOST_MARKS` marks are waited for. Nothing can be put together across the end of a piece: there stands
whitespace, or a character that is in no URL and in no markup.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from actors.agents.model.markup import Markup

MOST_HELD = 400
"""Characters that are held back until it is known what they are."""

MOST_MARKS = 100
"""Brackets and backticks among them; with more, looking at them again and again takes too long."""

# What is whitespace or outside of ASCII stands neither in a URL nor in markup.
_RUNS = re.compile(r"(?P<run>[!-~]+)|(?P<end>[^!-~])")
_MARK = re.compile(r"[\[\]()`]")  # Only these make a piece open, or close it.
_LAST_RUN = re.compile(r"[!-~]+\Z")
_STOP = re.compile(r"[.,;:!?)]*(?:\n|[.,;:!?)](?:\s|\Z))")
_BARE_FENCE = re.compile(r"^(\s*)[`~]{3,}")  # What a removal has left at the start of a line.
_BARE_TILDES = re.compile(r"^(\s*)~{3,}")


class Pieces:
    """Cleans a text piece by piece; `fenced` while it stands between code fences."""

    def __init__(self, known: Collection[int], known_urls: frozenset[str]) -> None:
        self.markup = Markup(frozenset(known), known_urls)
        self.fenced = False
        self.started = False
        self._out: list[str] = []
        self._piece = ""
        self._gap = ""
        self._newlines = 0
        self._at_start = True
        self._in_url = False
        self._open: bool | None = None  # Not known, since the piece is new or has new marks.
        self._marks = 0

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._piece) + len(self._gap)

    def taken(self) -> str:
        """What has gone out since this was last asked."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def add(self, text: str) -> None:
        """More of the text."""
        for run in _RUNS.finditer(text):
            if run.lastgroup == "end":
                self._add_end(run.group())
            else:
                self._add_run(run.group())

    def settle(self) -> None:
        """Clean the piece as it is, and let it go."""
        piece, self._piece, self._open, self._marks = self._piece, "", None, 0
        if self.fenced:
            text = self.markup.code(piece)
            self._show(_BARE_FENCE.sub(r"\1", text) if self._at_start else text)
        elif piece:
            text = self.markup.line(piece)
            if self._at_start:
                text = _BARE_TILDES.sub(r"\1", text)
            gone = text[:1] != piece[0] and piece[0] != "]"  # Which only becomes another bracket.
            self._show_prose(text, after_gone=gone)

    def open_fence(self, language: str) -> None:
        """What follows is code."""
        self._show(f"```{language}\n")
        self.fenced = True

    def close_fence(self) -> None:
        """What follows is prose again."""
        self.settle()
        self._show("```\n" if self._newlines else "\n```\n")
        self.fenced = False

    def begin(self) -> None:
        """What was added so far has gone out before; only what follows counts."""
        self.settle()
        self._out.clear()
        self._gap = ""
        self.started = True
        self.markup.removed_citations = self.markup.removed_links = 0

    def _add_end(self, character: str) -> None:
        self._in_url = False
        self._piece += character
        if character == "\n" or not self._is_open():
            self.settle()
        elif len(self._piece) > MOST_HELD or self._marks > MOST_MARKS:
            self._cut()

    def _add_run(self, run: str) -> None:
        if marks := len(_MARK.findall(run)):
            self._marks += marks
            self._open = None
        while run and not self._in_url:
            room = MOST_HELD + 1 - len(self._piece)
            self._piece += run[:room]
            run = run[room:]
            if len(self._piece) > MOST_HELD:
                self._cut()

    def _is_open(self) -> bool:
        if self._open is None:
            self._open = not self.fenced and self.markup.is_open(self._piece)
        return self._open

    def _cut(self) -> None:
        """The piece is too long to wait for its end: what is open in it stays open."""
        last = _LAST_RUN.search(self._piece)
        rest = last.group() if last else ""
        if len(rest) < len(self._piece):
            self._piece = self._piece.removesuffix(rest)
        else:
            self._in_url = self.markup.ends_in_url(self._piece)
            self._piece, rest = self._piece + " ", ""  # So that nothing joins across the cut.
        self.settle()
        self._piece = rest

    def _show_prose(self, text: str, *, after_gone: bool) -> None:
        """Spaces wait for what follows them; `after_gone` if what stood first was taken out."""
        if after_gone:
            text = text.lstrip(" ")
            if _STOP.match(text):
                self._gap = ""
        if text == "\n" and (self._newlines > 1 or not self.started):
            self._gap = ""
            return
        bare = text.rstrip(" \t")
        if bare:
            self._show(self._gap + bare)
            self._gap = ""
        self._gap += text[len(bare) :]

    def _show(self, text: str) -> None:
        if not text:
            return
        self._out.append(text)
        self.started = True
        _, newline, line = text.rpartition("\n")
        self._at_start = (bool(newline) or self._at_start) and not line.strip()
        bare = text.rstrip("\n")
        self._newlines = len(text) - len(bare) + (0 if bare else self._newlines)
