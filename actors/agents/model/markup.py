"""Clean Markdown that a model wrote: no links, images or HTML, and only citations of known sources.

Rule: a piece is cleaned until nothing changes any more, so that no removal can join the text around
it to something that would have been removed. In the result every `[` opens a citation of a known
source, and every URL occurs in a source. Cleaning is idempotent.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_OPEN, _CLOSE = "\ue000", "\ue001"  # Placeholders for the brackets of accepted citations.

_JOINERS = "\u200c\u200d"
_BRACKETS = {"【": "[", "】": "]", "［": "[", "］": "]", "\u2028": "\n", "\u2029": "\n"}


class _Characters(dict[int, str]):
    """A table for `str.translate`, filled as characters occur."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = _BRACKETS.get(character, character)
        if unicodedata.category(kept) in ("Cc", "Cf", "Cs", "Co", "Cn") and kept not in "\n\t":
            kept = kept if kept in _JOINERS else ""
        self[code] = kept
        return kept


_CHARACTERS: Final = _Characters()

_TRAILING = ".,;:!?'\"*_)]}"
_URL_TEXT = r"[!#-;=?-~]"  # Printable ASCII without the double quote, `<` and `>`.
_URL = re.compile(
    rf"(?<![a-z0-9+.-])(?:[a-z0-9+.-]+\\?:\\?/\\?/{_URL_TEXT}*|www\.{_URL_TEXT}+)", re.IGNORECASE
)
_URL_BEFORE = re.compile(rf"{_URL.pattern}(?={_OPEN})", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*(?:\([^()]*\)[^()]*)*\)")
_NUMBERS = r"\d{1,9}(?:\s*[-–]\s*\d{1,9})?"
_WORD = r"(?:\^|(?:passages?|sources?)\s+)?#?"
_CITATION = re.compile(
    rf"\[\s*{_WORD}{_NUMBERS}(?:\s*(?:[,;&]|and)\s*{_WORD}{_NUMBERS})*\s*\]"
    r"|\[\s*\d+(?:[\s,;]+\d+)*\s*\]",  # Any number at all, however long.
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.*?[^`])\1(?!`)")
_MARKED = re.compile(r"[\[\]`<&:]|www", re.IGNORECASE)  # A piece without any of these is clean.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MOST_PASSES = 8
"""A removal can leave something else to remove. After so many, all brackets are removed."""
_NO_MARKS = str.maketrans("", "", "[]&")
_LONGEST_RANGE = 20
_LONGEST_PLAIN = 1_000


def characters(text: str) -> str:
    """The text without invisible characters: controls, direction marks, lone surrogates."""
    return text.translate(_CHARACTERS)


def urls(texts: Iterable[str]) -> frozenset[str]:
    """The URLs in these texts."""
    found = (match.group() for text in texts for match in _URL.finditer(characters(text)))
    return frozenset(url.rstrip(_TRAILING) for url in found)


def plain(text: str) -> str:
    """A title or the like as plain text on one line, with nothing that Markdown reads as markup."""
    bare = _LINK.sub(r"\1", characters(text[:_LONGEST_PLAIN]))
    bare = bare.replace("[", "(").replace("]", ")").replace("`", "'")
    return " ".join(Markup().prose(bare).split())


@dataclass(slots=True)
class Markup:
    """Cleans pieces of text, and counts removals and the citations of each source."""

    known: frozenset[int] = frozenset()
    known_urls: frozenset[str] = frozenset()
    cited: Counter[int] = field(default_factory=Counter)
    removed_citations: int = 0
    removed_links: int = 0

    def is_open(self, piece: str) -> bool:
        """Whether this piece opens something that later text may close."""
        if "`" not in piece and "[" not in piece:
            return False
        bare = _CODE.sub("", piece)
        if "`" in bare:
            return True
        if bare.rfind("[") > bare.rfind("]"):
            return True
        return bare.rfind("](") > bare.rfind(")")

    def line(self, piece: str) -> str:
        """Clean prose that may contain code spans, which keep their brackets."""
        if not _MARKED.search(piece):
            return piece
        done = ""
        at = 0
        for code in _CODE.finditer(piece):
            if "|" in code.group():
                continue  # In a table the cell would end it, so it is cleaned as prose.
            done = _joined(done, self.prose(piece[at : code.start()])).rstrip("\\")
            done += " " if self.ends_in_url(done) else ""
            done = _joined(done, code.group(1) + self.code(code.group(2)) + code.group(1))
            at = code.end()
        return _joined(done, self.prose(piece[at:]))

    def prose(self, piece: str) -> str:
        """Clean prose without code spans."""
        text = piece.replace("`", "")
        before, passes = None, 0
        while text != before:
            before, passes = text, passes + 1
            if passes > _MOST_PASSES:
                text = text.translate(_NO_MARKS)
            text = _ENTITY.sub(_decoded, text)
            text = _LINK.sub(self._unlinked, text)
            text = _CITATION.sub(self._checked, text)
            text = self.code(text)
        text = text.replace("[", "(").replace("]", ")")
        text = _TAG.sub("< ", text)
        return self._shown(text)

    def code(self, piece: str) -> str:
        """Clean code: remove unknown URLs only."""
        before = None if _MARKED.search(piece) else piece
        while piece != before:
            before, piece = piece, _URL.sub(self._known_url, piece)
        return piece

    def ends_in_url(self, piece: str) -> bool:
        """Whether a piece may end within a URL."""
        return any(found.end() == len(piece) for found in _URL.finditer(piece))

    def _unlinked(self, link: re.Match[str]) -> str:
        self.removed_links += 1
        text = link.group(1)
        return f"[{text}]" if _CITATION.fullmatch(f"[{text}]") else text

    def _checked(self, citation: re.Match[str]) -> str:
        good: list[int] = []
        for first, last in _NUMBER.findall(citation.group()):
            wanted = _range(first, last or first)
            kept = [number for number in wanted if number in self.known]
            self.removed_citations += len(wanted) - len(kept) if wanted else 1
            good += [number for number in kept if number not in good]
        return f"{_OPEN}{', '.join(map(str, good))}{_CLOSE}" if good else ""

    def _known_url(self, found: re.Match[str]) -> str:
        whole = found.group()
        url = whole.rstrip(_TRAILING)
        if url in self.known_urls:
            return whole
        self.removed_links += 1
        return whole[len(url) :]

    def _shown(self, text: str) -> str:
        for numbers in re.findall(rf"{_OPEN}([\d, ]+){_CLOSE}", text):
            self.cited.update(int(number) for number in numbers.split(","))
        text = _URL_BEFORE.sub(r"\g<0> ", text).replace(_OPEN, "[").replace(_CLOSE, "]")
        return re.sub(r"\](?=[(:])", "] ", text)  # Otherwise a link, or the definition of one.


def _decoded(entity: re.Match[str]) -> str:
    shown = html.unescape(entity.group())
    return " " if shown.isspace() else characters(shown)


def _range(first: str, last: str) -> range:
    """The numbers of "2-4"; none if the range is reversed or unreasonably long."""
    if max(len(first), len(last)) > 9:
        return range(0)
    low, high = int(first), int(last)
    return range(low, high + 1) if 0 <= high - low < _LONGEST_RANGE else range(0)


def _joined(before: str, after: str) -> str:
    """Join two pieces, with a space between backticks, which would be read as one run."""
    if before.endswith("`") and after.startswith("`"):
        return f"{before} {after}"
    return before + after
