"""The statements of a report, and whether the cited passages support them.

A statement is a sentence that states something, or a row of a table. Not statements are: headings,
code, the list of sources, sentences of less than three words, and notes on the library itself, such as
that it has nothing on a question. A note that cites a source is a statement. "Frogs sing [1]." and
"Frogs sing. [1]" are read alike, so that one measure serves quoting reports and those that a model
wrote. If the only citation of a paragraph, list or table is at its end, it covers the whole of it.

Support is measured by words. The measure is K-Precision, the share of a statement's words that are
in the passage: V. Adlakha, P. BehnamGhader, X. H. Lu, N. Meade and S. Reddy, "Evaluating
Correctness and Faithfulness of Instruction-Following Models for Question Answering", TACL 2024
(arXiv 2307.16877, 2023), where it agrees best with people on faithfulness among the measures that
compare words. Three things differ:

- Words are compared by their stems, without stop words ("the", "of").
- They must be in three neighbouring sentences, with the passage's title and heading, rather than
  anywhere in the passage: 200 words contain the words of nearly any statement on the subject.
- A statement is supported if the passage has four fifths of its words, all of its numbers, and a
  negation if the statement has one.

Comparing words misses who does what to whom ("A waits for B" equals "B waits for A"), a negation
that was left out or moved, and one false word among four true ones. It counts a true statement in
other words as unsupported, so for reports in free words it is a lower bound. For sentences quoted
word for word it is exact.

Rule: pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from actors.library.sentences import sentences
from actors.tasks.evidence import Source
from actors.tasks.words import telling_terms

THRESHOLD = 0.8
"""The share of a statement's words that the passage must have."""

_MIN_WORDS = 3
_MAX_RANGE = 20
_WINDOW_SENTENCES = 3

_SOURCES = re.compile(r"^## Sources\s*$", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_RULE = re.compile(r"^\|(?:\s*-{3,}\s*\|)+$\n?", re.MULTILINE)
_ESCAPE = re.compile(r"\\([^A-Za-z0-9\s])")
_FENCED = re.compile(r"^```.*?(?:^```\s*$|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^\s*#{1,6}\s.*$", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:[-*+•>|]|\d{1,3}[.)])\s+", re.MULTILINE)
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_STOP_FIRST = re.compile(r"([.!?。！？]+[\"'”’»)*_]*)((?:\s*\[\d[\d,;\s–-]*\])+)")
_CITATION = re.compile(r"\s*(?<!\\)\[(\d[\d,;\s–-]*)\]")
_LAST_CITATION = re.compile(r"(?:\s*(?<!\\)\[\d[\d,;\s–-]*\])+[.!?\s|*]*\Z")
_NUMBERS = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_EMPHASIS = re.compile(r"(?<!\\)\*+|(?<![\w\\])_+|(?<!\\)_+(?!\w)|(?<!\\)`")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|cannot|without)\b|n['’]t\b", re.IGNORECASE
)
_NOTHING = re.compile(
    r"^Nothing in the library answers this"
    r"|^(?:unfortunately, )?(?:the|these|your) (?:library|passages|sources|documents)"
    r" (?:(?:ha(?:s|ve)|contains?|says?|offers?|gives?|provides?|mentions?) (?:nothing|no)\b"
    r"|(?:do|does) not (?:cover|mention|say|contain|discuss|address)\b)",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"\*Nowhere in the library: [^\n]*?\.\*")
_NOTE = re.compile(
    r"^What the library has on this stands|^This report draws on Terzetto's sample library"
    r"|^Add (?:your own )?documents .{0,40}terzetto ingest"
    r"|^Not searched: |^The closest passages:$|^The listing goes on in the source",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence without its citations and markup, and the numbers that it cites."""

    text: str
    cites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReportStatements:
    """What a report states; `says_nothing` if a note says that the library lacks something.

    `opens_with_nothing`: such a note stands before the first citation. `body` is the text without
    headings and sources, and with its listings.
    """

    statements: tuple[Statement, ...]
    says_nothing: bool
    opens_with_nothing: bool = False
    body: str = ""


# --- Reading a report -----------------------------------------------------------------------------


def read_report(text: str) -> ReportStatements:
    """The statements of a report in Markdown, in their order."""
    whole = _UNKNOWN.sub("", _HEADING.sub("\n", _SOURCES.split(text)[0]))
    statements: list[Statement] = []
    says_nothing = opens_with_nothing = False
    for block in _BLANK_LINE.split(_FENCED.sub("\n\n", whole)):
        for statement in _stated(block):
            if not statement.cites and _NOTHING.match(statement.text):
                says_nothing = True
                opens_with_nothing |= not any(one.cites for one in statements)
            elif _states(statement):
                statements.append(statement)
    body = _ESCAPE.sub(r"\1", _EMPHASIS.sub("", _CITATION.sub("", whole)))
    return ReportStatements(tuple(statements), says_nothing, opens_with_nothing, body)


def _stated(block: str) -> Iterator[Statement]:
    """The sentences of a paragraph or list; a table is one."""
    last = _LAST_CITATION.search(block)
    covers = last and not _CITATION.search(block[: last.start()])
    shared = _cited_in(last[0]) if last and covers else ()
    if block.lstrip().startswith("|"):
        sentence = _RULE.sub("", block).replace("|", " ")
        yield replace(_statement(sentence), cites=shared or _cited_in(sentence))
        return
    for sentence in sentences(_STOP_FIRST.sub(r"\2\1", _ITEM.sub("\n\n", block))):
        statement = _statement(sentence)
        yield replace(statement, cites=statement.cites or shared)


def _states(statement: Statement) -> bool:
    if statement.cites:
        return any(letter.isalnum() for letter in statement.text)
    enough = len(statement.text.split()) >= _MIN_WORDS
    return enough and not _NOTE.match(statement.text)


def _statement(sentence: str) -> Statement:
    text = _ESCAPE.sub(r"\1", _EMPHASIS.sub("", _CITATION.sub("", sentence)))
    return Statement(" ".join(text.split()), _cited_in(sentence))


def _cited_in(text: str) -> tuple[int, ...]:
    outside = _CODE_SPAN.sub("", text)  # `a[0]` is no citation.
    cites = [n for numbers in _CITATION.findall(outside) for n in _cited(numbers)]
    return tuple(dict.fromkeys(cites))


def _cited(numbers: str) -> list[int]:
    found: list[int] = []
    for first, last in _NUMBERS.findall(numbers):
        end = min(int(last or first), int(first) + _MAX_RANGE)
        found += range(int(first), end + 1)
    return found


# --- Support --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextStems:
    """The stems of a text's words, and whether the text contains a negation."""

    stems: frozenset[str]
    negates: bool

    @staticmethod
    def of(text: str) -> TextStems:
        """The stems of a text."""
        return TextStems(frozenset(telling_terms(text)), _NEGATION.search(text) is not None)

    @staticmethod
    def union(parts: Iterable[TextStems]) -> TextStems:
        """The stems of several texts together."""
        every = tuple(parts)
        joined = frozenset[str]().union(*(part.stems for part in every))
        return TextStems(joined, any(part.negates for part in every))

    def k_precision(self, statement: TextStems) -> float:
        """The share of the statement's stems that are in this text, 0 to 1."""
        here = len(statement.stems & self.stems)
        return here / len(statement.stems) if statement.stems else 0.0

    def supports(self, statement: TextStems) -> bool:
        """Whether this text has enough of the statement's stems, all numbers and its negation."""
        numbers = {stem for stem in statement.stems if any(c.isdigit() for c in stem)}
        return (
            self.k_precision(statement) >= THRESHOLD
            and numbers <= self.stems
            and (self.negates or not statement.negates)
        )


def best_window(source: Source, statement: TextStems) -> TextStems:
    """The neighbouring sentences of a source that support the statement best."""
    heading = TextStems.of(f"{source.title} {source.section}")
    windows = [TextStems.union((heading, *part)) for part in _windows(sentences(source.text))]
    return max(
        windows,
        key=lambda w: (w.supports(statement), w.k_precision(statement)),
        default=TextStems.union(()),
    )


def _windows(every: Sequence[str]) -> list[list[TextStems]]:
    parts = [TextStems.of(sentence) for sentence in every]
    ends = range(min(_WINDOW_SENTENCES, len(parts)), len(parts) + 1)
    return [parts[max(0, end - _WINDOW_SENTENCES) : end] for end in ends if end]
