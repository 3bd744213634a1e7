"""From what people type to what the full-text index understands.

Rule: no input is a syntax error. Only letters and digits go in, as quoted strings.
"""

from __future__ import annotations

import re

_WORD_PARTS = re.compile(r"[^\W_]+")
_MOST_TERMS = 64

_STOP_WORDS = """a about above after again against all also am an and any are as at be because been before
    being below between both but by can could did do does doing down during each either few for
    from further get had has have having he her here hers him his how i if in into is it its just
    let like may me might more most much must my no nor not now of off on once only or other our
    out over own per please same shall she should so some such tell than that the their them then
    there these they this those through to too under until up upon us use used uses using very
    was we were what when where which while who whom whose why will with within without would you
    your"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def match_expression(query: str) -> str | None:
    """The query as an FTS5 expression, or None if nothing in it can be searched for.

    Words are alternatives; `bm25` ranks passages with more and rarer ones higher, and a word that
    stands twice in the query counts twice. A word of several parts (`asyncio.TaskGroup`) is
    searched as a whole and in parts.
    """
    words = [word for word in query.split() if _WORD_PARTS.search(word)]
    telling = [word for word in words if not _is_stop_word(word)] or words
    terms: list[str] = []
    for word in telling:
        parts = _WORD_PARTS.findall(word.lower())
        if len(parts) > 1:
            terms.append(" ".join(parts))
            parts = [part for part in parts if part not in STOP_WORDS and len(part) > 1]
        terms += parts
    quoted = [f'"{term}"' for term in terms[:_MOST_TERMS]]
    return " OR ".join(quoted) or None


def _is_stop_word(word: str) -> bool:
    return "".join(_WORD_PARTS.findall(word.lower())) in STOP_WORDS
