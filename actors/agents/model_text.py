"""A model's text, checked while it streams: citations, links, code, and a section of sources.

    text as it comes -> lines (code fences, headings) -> pieces (words, brackets, code spans) -> text

Rule: what comes out depends on the characters that went in and never on how they were cut. At most
`MOST_HELD` characters of a line and of a piece are held back. What went out ends after a whole word
and never within a citation, so that another attempt can go on from it.

Code fences are written anew in one form, so that what reads as code here does so for everyone.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from actors.agents.model_markup import Markup, characters

MOST_HELD = 400
"""Characters that are held back until it is known what they are."""

_LONGEST_OPENING = 120
_FENCE = re.compile(r"[ \t]*(?:`{3,}(?P<info>[^`\n]*)|~{3,}(?P<tilde_info>[^\n]*))\n?")
_FENCE_END = re.compile(r"[ \t]*(?:`{3}|~{3})")
_FENCE_BEGINNING = re.compile(r"(?:`{1,2}|`{3,}[^`\n]*|~{1,2}|~{3,}[^\n]*)")
_BARE_FENCE = re.compile(r"^(\s*)[`~]{3,}")  # What a removal has left at the start of a line.
_BARE_TILDES = re.compile(r"^(\s*)~{3,}")
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

    `known` are the numbers that may be cited. `kept` is text that came out of another one of these,
    which this one goes on from.
    """

    def __init__(
        self, known: Collection[int], known_urls: frozenset[str] = frozenset(), kept: str = ""
    ) -> None:
        self._markup = Markup(frozenset(known), known_urls)
        self._out: list[str] = []
        self._opening: str | None = ""
        self._piece = ""
        self._gap = ""
        self._newlines = 0
        self._at_start = True
        self._started = False
        self._fenced = False
        self._in_url = False
        self._heading = ""
        self._in_sources = False
        self._skips_line = False
        self._joins = ""
        if kept:
            self._go_on_from(kept)

    @property
    def cited(self) -> list[int]:
        """The sources cited so far, in the order of first citation."""
        return list(self._markup.cited)

    @property
    def removed_citations(self) -> int:
        """How many citations of no known source were taken out."""
        return self._markup.removed_citations

    @property
    def removed_links(self) -> int:
        """How many links, images and unknown URLs were taken out."""
        return self._markup.removed_links

    @property
    def held(self) -> int:
        """How many characters are held back."""
        held = (self._opening or "", self._piece, self._gap, self._heading)
        return sum(len(text) for text in held)

    def feed(self, text: str) -> str:
        """What may be shown now that this has come."""
        for character in characters(text):
            self._take(character)
        return self._taken()

    def finish(self) -> str:
        """What was held back, at the end of the text."""
        opening, self._opening = self._opening, None
        if opening:
            self._whole_line(opening)
        self._heading = ""
        self._settle()
        if self._fenced:
            self._show("```\n" if self._newlines else "\n```\n")
            self._fenced = False
        return self._taken()

    def _taken(self) -> str:
        text = "".join(self._out)
        self._out.clear()
        return text

    def _go_on_from(self, kept: str) -> None:
        self._started = True
        for character in characters(kept):
            self._take(character)
        if self._opening:
            self._begun(self._opening)
            self._opening = None
        self._settle()
        self._out.clear()
        self._gap = ""
        self._markup.removed_citations = self._markup.removed_links = 0
        self._joins = kept[-1:]

    # --- lines ------------------------------------------------------------------------------

    def _take(self, character: str) -> None:
        if self._joins:
            if character == " " and self._joins.isspace():
                return  # The text before ends with one.
            if character.isalnum() and self._joins.isascii() and not self._joins.isspace():
                self._gap = " "
            self._joins = ""
        if self._opening is None:
            self._stream(character)
            if character == "\n":
                self._opening = ""
        elif character == "\n":
            opening, self._opening = self._opening, ""
            self._whole_line(opening + character)
        elif len(self._opening) < _LONGEST_OPENING or not _FENCE.fullmatch(self._opening):
            self._opening += character
            if not self._may_be_special(self._opening):
                opening, self._opening = self._opening, None
                self._begun(opening)

    def _may_be_special(self, opening: str) -> bool:
        """Whether a line that begins so may be a fence, a heading, or head a section of sources."""
        bare = opening.lstrip(" \t")
        if len(opening) > _LONGEST_OPENING:
            return False
        if not bare or _FENCE_BEGINNING.fullmatch(bare):
            return True
        if self._fenced:
            return _FENCE_END.match(bare) is not None
        if (self._heading or self._in_sources) and len(bare) < 5:
            return True
        name = _name(opening)
        return bare[0] == "#" or any(known.startswith(name) for known in _NAMES)

    def _whole_line(self, line: str) -> None:
        if self._fenced:
            if _FENCE_END.match(line):
                self._settle()
                self._fenced = False
                self._show("```\n")
            else:
                self._stream_all(line)
        elif self._is_of_sources(line):
            pass
        elif fence := _FENCE.fullmatch(line):
            language = _LANGUAGE.match((fence["info"] or fence["tilde_info"] or "").strip())
            self._show(f"```{language.group() if language else ''}\n")
            self._fenced = True
        elif _name(line) in _NAMES:
            self._heading = line.rstrip("\n") + "\n"
        elif self._started or (line.strip() and not _TITLE.match(line)):
            self._stream_all(line)

    def _begun(self, opening: str) -> None:
        """A line that is nothing special has begun; the rest of it streams."""
        if not self._fenced and self._is_of_sources(opening):
            self._skips_line = True
        else:
            self._stream_all(opening)

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
        self._stream_all(heading)
        return False

    # --- pieces -----------------------------------------------------------------------------

    def _stream_all(self, text: str) -> None:
        for character in text:
            self._stream(character)

    def _stream(self, character: str) -> None:
        if self._skips_line:
            self._skips_line = character != "\n"
            return
        if self._in_url and not self._ends_piece(character):
            return
        self._in_url = False
        self._piece += character
        if character == "\n" or (self._ends_piece(character) and not self._is_open()):
            self._settle()
        if len(self._piece) > MOST_HELD:
            self._cut()

    @staticmethod
    def _ends_piece(character: str) -> bool:
        """Whether it cannot stand in a URL or a word of code: whitespace, or outside of ASCII."""
        return not "!" <= character <= "~"

    def _is_open(self) -> bool:
        return not self._fenced and self._markup.is_open(self._piece)

    def _cut(self) -> None:
        """The piece is too long to wait for its end: what is open in it stays open."""
        backwards = range(len(self._piece) - 1, -1, -1)
        places = (at for at in backwards if self._ends_piece(self._piece[at]))
        end = next(places, -1) + 1
        rest = self._piece[end:]
        if end:
            self._piece = self._piece[:end]
            self._settle()
            self._piece = rest
        else:
            self._in_url = self._markup.ends_in_url(self._piece)
            self._piece += " "  # Nothing may be put together across a cut.
            self._settle()

    def _settle(self) -> None:
        """Clean the piece and let it go."""
        piece, self._piece = self._piece, ""
        if self._fenced:
            text = self._markup.code(piece)
            self._show(_BARE_FENCE.sub(r"\1", text) if self._at_start else text)
            return
        text = self._markup.line(piece)
        if self._at_start:
            text = _BARE_TILDES.sub(r"\1", text)
        if text[:1] != piece[:1]:
            text = text.lstrip(" ")
            if text and text[0] in ".,;:!?)\n":
                self._gap = ""  # It stood before what was taken out.
        if text == "\n" and (self._newlines > 1 or not self._started):
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
        self._started = True
        _, newline, line = text.rpartition("\n")
        self._at_start = (bool(newline) or self._at_start) and not line.strip()
        bare = text.rstrip("\n")
        self._newlines = len(text) - len(bare) + (0 if bare else self._newlines)


def _name(line: str) -> str:
    return _AROUND_NAME.sub("", line).casefold()
