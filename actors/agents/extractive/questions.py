"""From the text of a task to its questions, in the person's own words.

    "What is WAL mode, and when should I use it?"   two questions
    "My task disappears. What can I do?"            one: the second sentence has no words of its own
    "Compare A and B"                               one question with two sides

Rule: deterministic, and linear in the length of the text. Only punctuation and closed lists of
conjunctions and question words are used; a language without them has one question per sentence.
"""

from __future__ import annotations

import re
from dataclasses import replace

from actors.tasks.planning import MAX_QUESTIONS, QuestionDraft
from actors.tasks.words import STOP_WEIGHT, query_terms

OWN_TERMS = 2
"""A sentence with fewer telling terms is read together with the one before it."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+(?=[^\s\da-z])|(?<=[。！？])\s*|\s*\n+\s*")
_LIST_MARK = re.compile(r"(?:[-*•]|\d{1,3}[.)])\s+")

_AND = r"(?:and|und|et|y|e|en|och|i)"
_QUESTION_WORD = (
    r"(?:how|what|when|where|which|who|whose|why|wie|was|wann|wo|welche[rsn]?|wer|warum|comment|"
    r"quand|où|quel(?:le)?s?|qui|pourquoi|cómo|como|qué|cuándo|dónde|cuál|quién|por qué|come|cosa|"
    r"quando|dove|quale|chi|perché|hoe|wat|wanneer|waar|waarom|hur|vad|när|varför|jak|co|kiedy|gdzie)"
)
_SECOND_PART = re.compile(rf"\s*[,;]?\s+{_AND}\s+(?={_QUESTION_WORD}\b)", re.IGNORECASE)

_SIDE = r"([^,.;:?!\n]{1,80}?)"
_LAST_SIDE = r"([^,.;:?!\n]{1,80})"
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
        r"(?<!\S)([\w./+#-]{2,40})\s+(?:or|oder|ou|o|of)\s+(?:an?\s+)?([\w./+#-]{2,40})",
        re.IGNORECASE,
    ),
)
_SIDE_END = re.compile(
    r"\s+(?:for|in|when|on|with|to|if|and|für|im|wenn|bei|pour|dans|para|en|per|than|as)\s.*",
    re.IGNORECASE,
)


def questions_of(text: str, about: str = "") -> list[QuestionDraft]:
    """The questions of a task, at most `MAX_QUESTIONS`; `about` is the task that it follows up."""
    sentences = [part for line in _SENTENCE_END.split(text) if (part := _unmarked(line))]
    drafts = _joined([part for sentence in sentences for part in _parts(sentence)])
    if len(drafts) > MAX_QUESTIONS:  # A long text states a lot; what it asks comes first.
        asked = [draft for draft in drafts if draft.text.endswith(("?", "？"))]
        rest = [draft for draft in drafts if draft not in asked]
        drafts = [*asked, *rest][:MAX_QUESTIONS]
    drafts = drafts or [QuestionDraft(" ".join(text.split()))]
    return [
        replace(draft, context=f"{draft.context} {about}".strip(), sides=sides_of(draft.text))
        for draft in drafts
    ]


def sides_of(question: str) -> tuple[str, ...]:
    """The two things that a question compares, if it does."""
    for pattern in _COMPARISONS:
        if match := pattern.search(question):
            one, other = (_SIDE_END.sub("", side).strip() for side in match.groups())
            if _has_terms(one, 1) and _has_terms(other, 1) and one.lower() != other.lower():
                return one, other
    return ()


def _unmarked(line: str) -> str:
    return _LIST_MARK.sub("", " ".join(line.split()), count=1).strip()


def _parts(sentence: str) -> list[str]:
    """The sentence, or its two parts if both ask something with words of their own."""
    cut = _SECOND_PART.search(sentence)
    if (
        cut
        and _has_terms(sentence[: cut.start()], OWN_TERMS)
        and _has_terms(sentence[cut.end() :], 1)
    ):
        return [sentence[: cut.start()], sentence[cut.end() :]]
    return [sentence]


def _joined(parts: list[str]) -> list[QuestionDraft]:
    """Each part as a question; one without words of its own is read with the one before.

    Earlier parts are the context of a later one.
    """
    drafts: list[QuestionDraft] = []
    for part in parts:
        if drafts and not _has_terms(part, OWN_TERMS):
            last = drafts.pop()
            drafts.append(replace(last, text=f"{last.text} {part}"))
        else:
            drafts.append(QuestionDraft(part, context=drafts[-1].text if drafts else ""))
    if len(drafts) > 1 and not _has_terms(drafts[0].text, OWN_TERMS):
        first, second, *rest = drafts
        drafts = [replace(second, text=f"{first.text} {second.text}", context=""), *rest]
    return drafts


def _has_terms(text: str, count: int) -> bool:
    return sum(weight > STOP_WEIGHT for weight in query_terms(text[:2_000]).values()) >= count
