"""Check a model's text while it streams: citations, links, code, and a list of sources of its own.

    text as it comes -> lines (code fences, headings) -> pieces (words, brackets, code spans) -> text

A piece is a word, or a bracket, a link or a code span with all that it encloses.

Rule: the output depends on the characters that came in, never on how they were divided. It always
ends after a whole word and never within a citation, so that another attempt can continue it. A
piece goes out once nothing that follows can change how it reads; at most `MOST_HELD` characters and
`MOST_MARKS` marks are held back. Nothing can join across the end of a piece: it ends with
whitespace, or with a character that is in no URL and in no markup.

Code fences are rewritten in one form, so that every Markdown reader takes the same text for code.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from actors.agents.model.markup import Markup, characters
from actors.runtime.cooperative import Cooperative

MOST_HELD = 400
"""Characters that are held back until it is known what they are."""

MOST_MARKS = 100
"""Brackets and backticks among them; with more, matching them again and again takes too long."""

# Whitespace and characters outside of ASCII are in no URL and in no markup.
_RUNS = re.compile(r"(?P<run>[!-~]+)|(?P<end>[^!-~])")
_MARK = re.compile(r"[\[\]()`]")  # Only these make a piece open, or close it.
_LAST_RUN = re.compile(r"[!-~]+\Z")
_STOP = re.compile(r"[.,;:!?)]*(?:\n|[.,;:!?)](?:\s|\Z))")
_BARE_FENCE = re.compile(r"^(\s*)[`~]{3,}")  # A removal can leave one at the start of a line.
_BARE_TILDES = re.compile(r"^(\s*)~{3,}")

_READ_AT_ONCE = 16
"""Characters that are read between two pauses."""

_LONGEST_OPENING = 120
_SHORTEST_ENTRY = 5
_FENCE = re.compile(r"[ \t]*(?:`{3,}(?P<info>[^`\n]*)|~{3,}(?P<tilde_info>[^\n]*))\n?")
_FENCE_END = re.compile(r"[ \t]*(?:`{3}|~{3})")
_FENCE_BEGINNING = re.compile(r"(?:`{1,2}|`{3,}[^`\n]*|~{1,2}|~{3,}[^\n]*)")
_LANGUAGE = re.compile(r"[A-Za-z][\w+#.-]{0,19}")
_ENTRY = re.compile(r"\s*(?:[-*+•]\s|\**\[|\**\(?\d|http|www\.)")
_TITLE = re.compile(r"\s*#\s")
_AROUND_NAME = re.compile(r"^[#*_\s\d.]+|[*_:\s#]+$")
_NAMES = (
    "sources",
    "source list",
    "sources used",
    "sources cited",
    "references",
    "citations",
    "bibliography",
    "works cited",
)


class CheckedText:
    """Checks a model's text as it comes, and returns what may be shown.

    `known` are the numbers that may be cited, `known_urls` the URLs that may be shown.
    """

    def __init__(self, known: Collection[int], known_urls: frozenset[str] = frozenset()) -> None:
        self._pieces = Pieces(known, known_urls)
        self._opening: str | None = ""
        self._heading = ""
        self._in_sources = False
        self._skips_line = False
        self._joins = ""

    @property
    def cited(self) -> list[int]:
        """The sources cited so far, in the order of first citation."""
        return list(self._pieces.markup.cited)

    @property
    def removed_citations(self) -> int:
        """How many citations of unknown sources were removed."""
        return self._pieces.markup.removed_citations

    @property
    def removed_links(self) -> int:
        """How many links, images and unknown URLs were removed."""
        return self._pieces.markup.removed_links

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._opening or "") + len(self._heading) + self._pieces.held

    def feed(self, text: str) -> Cooperative[str]:
        """Add text; return what may be shown now."""
        yield from self._read(text)
        return self._pieces.taken()

    def finish(self) -> str:
        """End the text; return what was held back."""
        opening, self._opening = self._opening, None
        if opening:
            self._whole_line(opening)
        self._heading = ""
        self._pieces.settle()
        if self._pieces.fenced:
            self._pieces.close_fence()
        return self._pieces.taken()

    def continue_from(self, kept: str) -> Cooperative[None]:
        """Continue a text; `kept` is the output of another `CheckedText`."""
        self._pieces.started = bool(kept)
        yield from self._read(kept)
        if self._opening:
            self._begun(self._opening)
            self._opening = None
        self._pieces.start_here()
        self._joins = kept[-1:]

    def _read(self, text: str) -> Cooperative[None]:
        for start in range(0, len(text), _READ_AT_ONCE):
            self._read_some(characters(text[start : start + _READ_AT_ONCE]))
            yield

    def _read_some(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self._opening is not None or self._joins:
                self._take(text[at])
                at += 1
            else:
                end = text.find("\n", at) + 1 or len(text)
                self._stream(text[at:end])
                at = end

    def _take(self, character: str) -> None:
        if self._joins:
            before, self._joins = self._joins, ""
            if character == " " and before.isspace():
                self._joins = before  # The kept text ends with a space of its own.
                return
            if character.isalnum() and before.isascii() and not before.isspace():
                self._pieces.add(" ")
        if self._opening is None:
            self._stream(character)
        elif character == "\n":
            opening, self._opening = self._opening, ""
            self._whole_line(opening + character)
        elif len(self._opening) < _LONGEST_OPENING or not _FENCE.fullmatch(self._opening):
            self._opening += character
            if not self._may_be_markup(self._opening):
                opening, self._opening = self._opening, None
                self._begun(opening)

    def _stream(self, text: str) -> None:
        """Add more of an ordinary line."""
        if not self._skips_line:
            self._pieces.add(text)
        if text.endswith("\n"):
            self._skips_line = False
            self._opening = ""

    def _may_be_markup(self, opening: str) -> bool:
        """Whether a line with this beginning may be a fence, a heading or a heading of sources."""
        bare = opening.lstrip(" \t")
        if len(opening) > _LONGEST_OPENING:
            return False
        if not bare or _FENCE_BEGINNING.fullmatch(bare):
            return True
        if self._pieces.fenced:
            return _FENCE_END.match(bare) is not None
        if (self._heading or self._in_sources) and len(bare) < _SHORTEST_ENTRY:
            return True
        name = _name(opening)
        return bare[0] == "#" or any(known.startswith(name) for known in _NAMES)

    def _whole_line(self, line: str) -> None:
        if self._pieces.fenced:
            if _FENCE_END.match(line):
                self._pieces.close_fence()
            else:
                self._pieces.add(line)
        elif self._is_in_source_list(line):
            pass
        elif fence := _FENCE.fullmatch(line):
            language = _LANGUAGE.match((fence["info"] or fence["tilde_info"] or "").strip())
            self._pieces.open_fence(language.group() if language else "")
        elif _name(line) in _NAMES:
            self._heading = line.rstrip("\n") + "\n"
        elif self._pieces.started or (line.strip() and not _TITLE.match(line)):
            self._pieces.add(line)

    def _begun(self, opening: str) -> None:
        """Begin an ordinary line, of which the rest is streamed."""
        if not self._pieces.fenced and self._is_in_source_list(opening):
            self._skips_line = True
        else:
            self._pieces.add(opening)

    def _is_in_source_list(self, line: str) -> bool:
        """Whether a line belongs to a list of sources, which is dropped, because we write our own."""
        if not self._heading and not self._in_sources:
            return False
        if not line.strip():
            self._heading += "\n" if self._heading and len(self._heading) < MOST_HELD else ""
            return True
        if _ENTRY.match(line) or (self._in_sources and line[0] in " \t"):
            self._heading, self._in_sources = "", True
            return True
        heading, self._heading, self._in_sources = self._heading, "", False
        self._pieces.add(heading)
        return False


class Pieces:
    """Cleans a text piece by piece; `fenced` is true between code fences."""

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
        self._open: bool | None = None  # None: unknown, because the piece is new or has new marks.
        self._marks = 0

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._piece) + len(self._gap)

    def taken(self) -> str:
        """Return the output since the last call."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def add(self, text: str) -> None:
        """Add more of the text."""
        for run in _RUNS.finditer(text):
            if run.lastgroup == "end":
                self._add_end(run.group())
            else:
                self._add_run(run.group())

    def settle(self) -> None:
        """Clean the piece as it is, and output it."""
        piece, self._piece, self._open, self._marks = self._piece, "", None, 0
        if self.fenced:
            text = self.markup.code(piece)
            self._show(_BARE_FENCE.sub(r"\1", text) if self._at_start else text)
        elif piece:
            text = self.markup.line(piece)
            if self._at_start:
                text = _BARE_TILDES.sub(r"\1", text)
            removed = text[:1] != piece[0] and piece[0] != "]"  # "]" only becomes another bracket.
            self._show_prose(text, after_removal=removed)

    def open_fence(self, language: str) -> None:
        """Begin a block of code."""
        self._show(f"```{language}\n")
        self.fenced = True

    def close_fence(self) -> None:
        """End the block of code."""
        self.settle()
        self._show("```\n" if self._newlines else "\n```\n")
        self.fenced = False

    def start_here(self) -> None:
        """Drop the output so far, which another attempt has sent, and count from here."""
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
        """End a piece that is too long to wait for its end. What is open in it stays open."""
        last = _LAST_RUN.search(self._piece)
        rest = last.group() if last else ""
        if len(rest) < len(self._piece):
            self._piece = self._piece.removesuffix(rest)
        else:
            self._in_url = self.markup.ends_in_url(self._piece)
            self._piece, rest = self._piece + " ", ""  # So that nothing joins across the cut.
        self.settle()
        self._piece = rest

    def _show_prose(self, text: str, *, after_removal: bool) -> None:
        """Hold spaces until text follows; `after_removal`: the beginning of the piece was removed."""
        if after_removal:
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


def _name(line: str) -> str:
    return _AROUND_NAME.sub("", line).casefold()
