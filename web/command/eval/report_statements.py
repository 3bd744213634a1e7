"""The sentences of a report that state something, and the sources that each of them cites.

What states nothing: headings, code, the list of sources, sentences of less than three words, and
notes on the library itself, such as that it has nothing on a question. A note that cites a source
is a statement like any other.

Rule: "Frogs sing [1]." and "Frogs sing. [1]" are read alike, so that reports put together from
sources and those that a model wrote are measured by one measure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.library.sentences import sentences

_FEWEST_WORDS = 3

_SOURCES = re.compile(r"^## Sources\s*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?(?:^```\s*$|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^\s*#{1,6}\s.*$", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:[-*+•>|]|\d{1,3}[.)])\s+", re.MULTILINE)
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_STOP_FIRST = re.compile(r"([.!?。！？]+[\"'”’»)*_]*)((?:\s*\[\d[\d,;\s–-]*\])+)")
_CITATION = re.compile(r"\s*\[(\d[\d,;\s–-]*)\]")
_NUMBERS = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_EMPHASIS = re.compile(r"\*+|(?<!\w)_+|_+(?!\w)|`")
_MOST_IN_RANGE = 20

_NOTHING = re.compile(
    r"^(?:unfortunately, )?(?:the|these|your) (?:library|passages|sources|documents)"
    r" (?:(?:ha(?:s|ve)|contains?|says?|offers?|gives?|provides?|mentions?) (?:nothing|no)\b"
    r"|(?:do|does) not (?:cover|mention|say|contain|discuss|address)\b)",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"^What the library has on this stands|^This report draws on Terzetto's sample library"
    r"|^Add (?:your own )?documents .{0,40}terzetto ingest",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence without its citations and markup, and the numbers that it cites."""

    text: str
    cites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report states; `says_nothing` if a note says that the library lacks something."""

    statements: tuple[Statement, ...]
    says_nothing: bool


def read_report(text: str) -> Reading:
    """The statements of a report in Markdown, in their order."""
    body = _SOURCES.split(text)[0]
    body = _HEADING.sub("\n", _FENCED.sub("\n", body))
    body = _STOP_FIRST.sub(r"\2\1", _ITEM.sub("\n\n", body))
    statements: list[Statement] = []
    says_nothing = False
    for sentence in sentences(body):
        statement = _statement(sentence)
        if not statement.cites and _NOTHING.match(statement.text):
            says_nothing = True
        elif _states(statement):
            statements.append(statement)
    return Reading(tuple(statements), says_nothing)


def _states(statement: Statement) -> bool:
    if statement.cites:
        return True
    enough = len(statement.text.split()) >= _FEWEST_WORDS
    return enough and not _NOTE.match(statement.text)


def _statement(sentence: str) -> Statement:
    outside = _CODE_SPAN.sub("", sentence)  # `a[0]` is no citation.
    cites = [n for numbers in _CITATION.findall(outside) for n in _cited(numbers)]
    text = _EMPHASIS.sub("", _CITATION.sub("", sentence))
    return Statement(" ".join(text.split()), tuple(dict.fromkeys(cites)))


def _cited(numbers: str) -> list[int]:
    found: list[int] = []
    for first, last in _NUMBERS.findall(numbers):
        end = min(int(last or first), int(first) + _MOST_IN_RANGE)
        found += range(int(first), end + 1)
    return found
