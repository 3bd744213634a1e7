"""The text of a task as lines, list items and sentences.

Rule: what is quoted, in brackets or code is masked as one word before anything is cut, so that no
cut falls within it, and shown again at the end. Every text is read in bounded time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 20_000
"""Characters of a task that are looked at."""

MAX_SENTENCE = 1_000
"""Characters of a sentence; what is longer is taken for several."""

_MAX_LINES = 1_000
_SHORT_LINE = 60
"""A line that ends before this, with a capital after it, was ended on purpose."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。？！])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|dr|mr|mrs|ms|no|fig|approx|resp)\.)$", re.IGNORECASE
)
_KEPT = re.compile(
    r"`[^`\n]{1,300}`|\"[^\"\n]{1,300}\"|“[^”“\n]{1,300}”|«[^»«\n]{1,300}»"
    r"|\([^()\n]{0,300}\)|\[[^\[\]\n]{0,300}\]"
)
_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_MARK = re.compile("\ue000(\\d+)\ue001")
_ITEM = re.compile(r"\s*(?:[-*+•‣–—]|\(?(?:\d{1,3}|[a-hA-H])[.)])\s+(?=\S)")
_INLINE_ITEM = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)]\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its masks; `lead` is the line above the list that it is an item of."""

    text: str
    is_item: bool = False
    lead: str = ""


class TaskText:
    """The text of a task, its quotations masked."""

    def __init__(self, text: str) -> None:
        self._kept: list[str] = []
        bare = _FENCED.sub(" ", text[:MAX_TEXT].replace("\ue000", " ").replace("\ue001", " "))
        self._masked = _KEPT.sub(self._mask, bare)

    def sentences(self) -> Iterator[Sentence]:
        """Its sentences in their order; a line that opens a list is the lead of its items."""
        lead = ""
        lines = _lines(self._masked)
        for number, (line, is_item) in enumerate(lines):
            if line.endswith(":") and not is_item and number + 1 < len(lines):
                lead = line
                continue
            lead = lead if is_item else ""
            for sentence in _sentences(line):
                yield Sentence(sentence, is_item, lead)

    def shown(self, text: str) -> str:
        """A piece of it as the person wrote it."""
        return _MARK.sub(lambda found: self._kept[int(found.group(1))], text)

    def _mask(self, quoted: re.Match[str]) -> str:
        self._kept.append(quoted.group())
        return f"\ue000{len(self._kept) - 1}\ue001"


def _lines(text: str) -> list[tuple[str, bool]]:
    """Paragraphs and list items, each on one line, with whether it is an item."""
    lines: list[tuple[list[str], bool]] = []
    fresh = True
    for raw in _numbered(text).splitlines()[:_MAX_LINES]:
        line = " ".join(raw.split())
        item = _ITEM.match(raw)
        if item and line:
            lines.append(([" ".join(raw[item.end() :].split())], True))
        elif line and (fresh or _starts_anew(line, *lines[-1], indented=raw[:1].isspace())):
            lines.append(([line], False))
        elif line:
            lines[-1][0].append(line)
        fresh = not line or (line.endswith(":") and not item) or not lines
    return [(" ".join(parts), is_item) for parts, is_item in lines]


def _starts_anew(line: str, above: list[str], is_item: bool, *, indented: bool) -> bool:
    """Whether a line that follows another is a thing of its own and not the rest of it."""
    if is_item:
        return not indented
    return len(above[-1]) < _SHORT_LINE and line[:1].isupper()


def _numbered(text: str) -> str:
    """A list that is numbered within a line, one item a line."""
    numbers = [int(found.group(1)) for found in _INLINE_ITEM.finditer(text)]
    if numbers[:2] != [1, 2]:
        return text
    return _INLINE_ITEM.sub(lambda found: f"\n{found.group(1)}. ", text)


def _sentences(line: str) -> Iterator[str]:
    """The sentences of a line; one that never ends is cut, between words if it has any."""
    sentence = ""
    for part in _SENTENCE_END.split(line):
        if sentence and not _ABBREVIATED.search(sentence):
            yield from _bounded(sentence)
            sentence = ""
        sentence = f"{sentence} {part}".strip()
    yield from _bounded(sentence)


def _bounded(sentence: str) -> Iterator[str]:
    while len(sentence) > MAX_SENTENCE:
        cut = (
            sentence.rfind(" ", 1, MAX_SENTENCE)
            if " " in sentence[1:MAX_SENTENCE]
            else MAX_SENTENCE
        )
        yield sentence[:cut].strip()
        sentence = sentence[cut:]
    if sentence.strip():
        yield sentence.strip()
