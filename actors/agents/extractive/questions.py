"""From the text of a task to its questions, in the person's own words.

    "How big is a pool, and how soon does it grow?"   two questions
    "What is WAL mode, and when should I use it?"     one: the second part has no words of its own
    "My task disappears. What can I do?"              one, likewise
    "Compare threads and processes"                   one question with two sides

Rule: deterministic, and linear in the length of the text. Only punctuation and closed lists of
conjunctions and question words are used; a language without them has one question per sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from actors.runtime.cooperative import Cooperative
from actors.tasks.named_urls import without_urls
from actors.tasks.planning import MAX_QUESTIONS, QuestionDraft
from actors.tasks.words import STOP_WEIGHT, query_terms

OWN_TERMS = 2
"""A sentence with fewer telling terms is read together with the one before it."""

MOST_COMPARED = 1_000
"""Characters of a part in which own words, and of a question in which a comparison is looked for."""
PARTS_PER_SLICE = 50

_SENTENCE_END = re.compile(r"(?<=[.!?;]) (?=[^\s\da-z])|(?<=[。！？])")
_LIST_MARK = re.compile(r"(?:[-*•]|\d{1,3}[.)])\s+")

_AND = r"(?:and|und|et|y|e|en|och|i)"
_QUESTION_WORD = (
    r"(?:how|what|when|where|which|who|whose|why|wie|was|wann|wo|welche[rsn]?|wer|warum|comment|"
    r"quand|où|quel(?:le)?s?|qui|pourquoi|cómo|como|qué|cuándo|dónde|cuál|quién|por qué|come|cosa|"
    r"quando|dove|quale|chi|perché|hoe|wat|wanneer|waar|waarom|hur|vad|när|varför|jak|co|kiedy|gdzie)"
)
_SECOND_PART = re.compile(rf"\s*[,;]?\s+{_AND}\s+(?={_QUESTION_WORD}\b)", re.IGNORECASE)

_SIDE = r"((?:[^,.;:?!\n]|\.(?=\w)){1,80}?)"
_LAST_SIDE = r"((?:[^,.;:?!\n]|\.(?=\w)){1,80})"
_COMPARISONS = (
    re.compile(
        rf"\b(?:between|zwischen|entre|tra|fra|tussen)\s+{_SIDE}\s+{_AND}\s+{_LAST_SIDE}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:compar\w+|vergleich\w*|confront\w+)\s+{_SIDE}\s+"
        rf"(?:{_AND}|with|to|mit|avec|con)\s+{_LAST_SIDE}",
        re.IGNORECASE,
    ),
    re.compile(rf"(?:^|[,.:?!]\s*){_SIDE}\s+(?:vs\.?|versus|gegen)\s+{_LAST_SIDE}", re.IGNORECASE),
    re.compile(
        r"(?<!\S)([\w./+#-]{2,40})\s+(?:or|oder|ou|o)\s+(?:an?\s+)?([\w./+#-]{2,40})",
        re.IGNORECASE,
    ),
)
_SIDE_END = re.compile(
    r"\s+(?:for|in|when|on|with|to|if|and|für|im|wenn|bei|pour|dans|para|en|per|than|as)\s.*",
    re.IGNORECASE,
)


def questioned(text: str, about: str = "") -> Cooperative[list[QuestionDraft]]:
    """The questions of a task, at most `MAX_QUESTIONS`; `about` is the task that it follows up."""
    groups: list[list[str]] = []
    first_terms: set[str] = set()
    for number, part in enumerate(_every_part(text)):
        if number % PARTS_PER_SLICE == 0:
            yield
        stands_alone = len(_own_terms(part)) >= OWN_TERMS
        if groups and not (stands_alone and len(first_terms) >= OWN_TERMS):
            groups[-1].append(part)
        else:
            groups.append([part])
        if len(groups) == 1:
            first_terms |= _own_terms(part)
    yield
    questions = [" ".join(group) for group in groups] or [" ".join(text.split())]
    drafts = [
        QuestionDraft(question, without_urls(question), context=f"{before} {about}".strip())
        for before, question in zip(["", *questions], questions, strict=False)
    ]
    if len(drafts) > MAX_QUESTIONS:  # A long text, a log say, states a lot; what it asks counts.
        drafts = [draft for draft in drafts if draft.text.endswith(("?", "？"))] or drafts
    return [replace(draft, sides=sides_of(draft.text)) for draft in drafts[:MAX_QUESTIONS]]


def sides_of(question: str) -> tuple[str, ...]:
    """The two things that a question compares, if it does."""
    for pattern in _COMPARISONS:
        if match := pattern.search(question[:MOST_COMPARED]):
            one, other = (_SIDE_END.sub("", side).strip() for side in match.groups())
            if _own_terms(one) and _own_terms(other) and one.lower() != other.lower():
                return one, other
    return ()


def _every_part(text: str) -> Iterator[str]:
    """The sentences of every line, those with two questions cut into two."""
    for line in filter(str.strip, text.splitlines()):
        for sentence in _SENTENCE_END.split(" ".join(line.split())):
            if unmarked := _LIST_MARK.sub("", sentence.strip(), count=1).strip():
                yield from _parts(unmarked)


def _parts(sentence: str) -> Sequence[str]:
    """The sentence, or its two parts if both ask something with words of their own."""
    cut = _SECOND_PART.search(sentence)
    if cut:
        parts = sentence[: cut.start()], sentence[cut.end() :]
        if all(len(_own_terms(part)) >= OWN_TERMS for part in parts):
            return parts
    return (sentence,)


def _own_terms(text: str) -> set[str]:
    """The terms of a text that are no function words and in no URL."""
    weights = query_terms(without_urls(text[:MOST_COMPARED]))
    return {term for term, weight in weights.items() if weight > STOP_WEIGHT}
