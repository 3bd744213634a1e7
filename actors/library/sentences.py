"""Split a text into sentences.

Rule: a sentence is a verbatim slice of its text, and in doubt two sentences stay one, because half a
sentence is worse than two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CLOSERS = "\"'”’»)\\]}`*_"
_OPENERS = "\"'“‘«([{`*_¿¡"

# A run of stops is matched once, from its beginning, so that ten thousand dots take linear time.
_BOUNDARY = re.compile(
    rf"""(?P<stop>(?<!\.)\.++|(?<![?!؟])[?!؟]++|…)         # a stop,
        [{_CLOSERS}]*+(?P<gap>\s+)                      # what closes with it, and a gap
      | (?P<wide>[。！？।]+)[」』”’）]*                      # scripts that write no spaces
      | (?P<blank>\n[^\S\n]*\n\s*)                        # a blank line ends anything
    """,
    re.VERBOSE,
)
_LAST_WORD = re.compile(r"[^\s(\[{“‘\"'`/—–]*$")
_NEXT_WORD = re.compile(rf"[{_OPENERS}]*(?P<word>\S*)")
_IDENTIFIER = re.compile(r"\w+(?:[._(]\w*)+\(?|[a-z]+[A-Z0-9]\w*")

_TITLES = "dr mr mrs ms prof st jr sr gen col capt lt sgt rev hon messrs"
_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec"
_POINTERS = "fig figs eq eqs sec ch vol pp ed eds dept univ assoc"
_ASIDES = "e.g i.e eg ie cf vs viz al ca approx resp incl esp a.k.a w.r.t"
_ENDINGS = "etc inc ltd co corp bros a.m p.m ph.d m.sc b.sc"
_COUNTERS = "no nos nr p art para vers v"

_NEVER_LAST = frozenset(f"{_TITLES} {_MONTHS} {_POINTERS} {_ASIDES}".split())
_LAST_BEFORE_CAPITAL = frozenset(_ENDINGS.split())
_NOT_LAST_BEFORE_NUMBER = frozenset(_COUNTERS.split())


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order, without the whitespace between them."""
    return list(each_sentence(text))


def each_sentence(text: str) -> Iterator[str]:
    """As `sentences`, one by one, for long texts."""
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        end = boundary.start("gap") if boundary["gap"] else boundary.end()
        certain = not boundary["stop"] or boundary["gap"].count("\n") > 1
        if not certain and not _ends_here(text, start, boundary):
            continue
        if sentence := text[start:end].strip():
            yield sentence
        start = boundary.end()
    if sentence := text[start:].strip():
        yield sentence


def _ends_here(text: str, start: int, boundary: re.Match[str]) -> bool:
    """Whether a stop that whitespace follows ends the sentence that began at `start`."""
    opened = _NEXT_WORD.match(text, boundary.end())
    following = opened["word"] if opened else ""
    if boundary["stop"] == ".":
        before = text[max(start, boundary.start() - 40) : boundary.start()]
        last = _LAST_WORD.search(before)
        word = last[0] if last else ""
        if not word or _is_short_form(word, following):
            return False
        if word.isdigit() and before.strip() == word:
            return False  # "1. Introduction": the number of an item, not a sentence.
    return _begins(following)


def _is_short_form(word: str, following: str) -> bool:
    """Whether the full stop after `word` is part of it: an abbreviation or an initial."""
    low = word.lower()
    if low in _NEVER_LAST:
        return True
    if low in _LAST_BEFORE_CAPITAL:
        return not following[:1].isupper()
    if low in _NOT_LAST_BEFORE_NUMBER:
        return following[:1].isdigit()
    initial = word.rpartition(".")[2]
    return len(initial) == 1 and initial.isupper() and word != "I"


def _begins(word: str) -> bool:
    """Whether a sentence may begin with this word: a lower-case one only if it is code."""
    return not word[:1].islower() or _IDENTIFIER.match(word) is not None
