"""A model's text, checked while it streams: citations, links, code, and a section of sources.

    text as it comes -> lines (code fences, headings) -> pieces (words, brackets, code spans) -> text

Rule: what comes out depends on the characters that went in and never on how they were cut. What went
out ends after a whole word and never within a citation, so that another attempt can go on from it.

Code fences are written anew in one form, so that what reads as code here does so for everyone.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from actors.agents.model.markup import characters
from actors.agents.model.pieces import MOST_HELD, Pieces
from actors.runtime.cooperative import Cooperative

_SLICE = 16
"""Characters that are read at once; many of them may make much work of what is held back."""

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
    """Takes a model's text in pieces and gives what may be shown of it.

    `known` are the numbers that may be cited, `known_urls` the URLs that may stand.
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
        """How many citations of no known source were taken out."""
        return self._pieces.markup.removed_citations

    @property
    def removed_links(self) -> int:
        """How many links, images and unknown URLs were taken out."""
        return self._pieces.markup.removed_links

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._opening or "") + len(self._heading) + self._pieces.held

    def feed(self, text: str) -> Cooperative[str]:
        """What may be shown now that this has come."""
        yield from self._read(text)
        return self._pieces.taken()

    def finish(self) -> str:
        """What was held back, at the end of the text."""
        opening, self._opening = self._opening, None
        if opening:
            self._whole_line(opening)
        self._heading = ""
        self._pieces.settle()
        if self._pieces.fenced:
            self._pieces.close_fence()
        return self._pieces.taken()

    def go_on_from(self, kept: str) -> Cooperative[None]:
        """Begin where another one of these has ended; `kept` is what came out of it."""
        self._pieces.started = bool(kept)
        yield from self._read(kept)
        if self._opening:
            self._begun(self._opening)
            self._opening = None
        self._pieces.begin()
        self._joins = kept[-1:]

    def _read(self, text: str) -> Cooperative[None]:
        for start in range(0, len(text), _SLICE):
            self._read_slice(characters(text[start : start + _SLICE]))
            yield

    def _read_slice(self, text: str) -> None:
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
            if not self._may_be_special(self._opening):
                opening, self._opening = self._opening, None
                self._begun(opening)

    def _stream(self, text: str) -> None:
        """More of a line that is nothing special."""
        if not self._skips_line:
            self._pieces.add(text)
        if text.endswith("\n"):
            self._skips_line = False
            self._opening = ""

    def _may_be_special(self, opening: str) -> bool:
        """Whether a line that begins so may be a fence, a heading, or head a section of sources."""
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
        elif self._is_of_sources(line):
            pass
        elif fence := _FENCE.fullmatch(line):
            language = _LANGUAGE.match((fence["info"] or fence["tilde_info"] or "").strip())
            self._pieces.open_fence(language.group() if language else "")
        elif _name(line) in _NAMES:
            self._heading = line.rstrip("\n") + "\n"
        elif self._pieces.started or (line.strip() and not _TITLE.match(line)):
            self._pieces.add(line)

    def _begun(self, opening: str) -> None:
        """A line that is nothing special has begun; the rest of it streams."""
        if not self._pieces.fenced and self._is_of_sources(opening):
            self._skips_line = True
        else:
            self._pieces.add(opening)

    def _is_of_sources(self, line: str) -> bool:
        """Whether a line belongs to a section of sources, which is ours to write."""
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


def _name(line: str) -> str:
    return _AROUND_NAME.sub("", line).casefold()
