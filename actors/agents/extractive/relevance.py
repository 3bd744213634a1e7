"""How well a sentence answers a question.

Rule: coverage is a share of what the question names, between 0 and 1, before anything is added for
style: so that "the library has nothing on it" is one threshold, the same for every question.
"""

from __future__ import annotations

import re
from functools import lru_cache

from actors.agents.extractive.candidates import Candidate
from actors.agents.extractive.intents import BY_EXAMPLE, BY_NAME
from actors.agents.extractive.targets import Target
from actors.tasks.words import singular, stems, words

_HEADING = 0.6
"""Of a word that stands in the passage's heading, against one in the sentence itself."""

_BEST_LENGTH = 22
_OPENING_WORDS = 5
_NEWS = re.compile(
    r"\b(?:what[’']?s new|change ?log|release notes|changes in|history of)\b", re.IGNORECASE
)
_DEFINES = re.compile(
    r",?\s(?P<verb>is|are|means|refers? to|allows?|provides?|implements?|defines?|specif(?:y|ies)|"
    r"determines?|sends?|handles?|controls?|contains?|represents?|describes?|performs?|consists?|"
    r"configures?)\b"
)
_NAMES = re.compile(
    r"\b(?:called|known as|referred to as)\s"
    r"(?!(?:with|when|by|from|on|before|after|without|only|once|at|in|to|for|as|if)\b)"
    r"(?P<name>(?:[^\s,.;]+\s?){1,7})"
)
_EDGE_CASE = re.compile(
    r"(?:if|unless|except|sometimes|note|in case|although|even|some|rarely|occasionally|"
    r"alternatively|optionally|other|new|few)\b",
    re.IGNORECASE,
)


def coverage(candidate: Candidate, heading: frozenset[str], target: Target) -> float:
    """The share of what the question names that the sentence and its heading name, 0 to 1."""
    every = target.measured
    said = target.share(candidate.stems, every)
    return said + _HEADING * (target.share(candidate.stems | heading, every) - said)


def style(candidate: Candidate, rank: int, target: Target) -> float:
    """What speaks for a sentence besides its words: its place, its length, how it speaks."""
    points = 0.05 / (1 + rank / 3) + 0.1 * target.share(candidate.stems, target.aside)
    points += 0.08 / (1 + candidate.place)
    points -= 0.004 * abs(candidate.length - _BEST_LENGTH)
    points += 0.10 if _opens_on_topic(candidate, target) else 0.0
    points -= 0.20 if candidate.bare else 0.0
    points -= 0.10 if _EDGE_CASE.match(candidate.text) else 0.0
    points += 0.12 * _literal(candidate, target)
    points += 0.20 if candidate.listing and not BY_EXAMPLE.isdisjoint(target.intents) else 0.0
    return points + _purpose(candidate, target) + _heading(candidate, target)


def _literal(candidate: Candidate, target: Target) -> float:
    """How many of the question's words are in the sentence as they are, not only by their stem.

    The stem of "generator" is that of "generation" too.
    """
    said = frozenset(singular(word) for word in words(candidate.text))
    return len(target.literal & said) / len(target.literal) if target.literal else 0.0


def _purpose(candidate: Candidate, target: Target) -> float:
    """More for a sentence that speaks the way the question wants to be answered."""
    wanted = [BY_NAME[name] for name in target.intents]
    told = sum(1 for intent in wanted if intent.told.search(candidate.text))
    points = target.by_kind * told / len(wanted)
    points += 0.4 * target.share(candidate.stems, target.aside) if target.comparing else 0.0
    points += 0.15 if any(i.told.search(candidate.passage.section) for i in wanted) else 0.0
    if "define" in target.intents or "explain" in target.intents:
        points += 0.35 * _defines(candidate, target)
    if _NEWS.search(candidate.passage.title):
        points += 0.10 if "changes" in target.intents else -0.4
    return points


def _heading(candidate: Candidate, target: Target) -> float:
    """More under a title or a heading about the question, most where such a document begins."""
    title = target.share(_stems_of(candidate.passage.title), target.own)
    points = title * (0.12 + (0.08 if candidate.passage.position == 1 else 0.0))
    heading = frozenset(w for w in _stems_of(candidate.passage.section) if not w.isdigit())
    named = sum(1 for word in heading if target.names_own(frozenset((word,))))
    return points + (0.12 * named / len(heading) if heading else 0.0)


@lru_cache(maxsize=1_024)
def _stems_of(heading: str) -> frozenset[str]:
    """The stems of a title or a heading, which stands above many sentences."""
    return frozenset(stems(heading))


def _opens_on_topic(candidate: Candidate, target: Target) -> bool:
    opening = " ".join(candidate.text.split()[:_OPENING_WORDS])
    return target.names_own(frozenset(stems(opening)))


def _defines(candidate: Candidate, target: Target) -> float:
    """How much the sentence begins with what was asked about and says what that is: 0 to 1."""
    if (name := _NAMES.search(candidate.text)) and target.names_own(frozenset(stems(name["name"]))):
        return 1.0
    found = _DEFINES.search(candidate.text)
    opening = candidate.text[: found.start("verb")] if found else ""
    said = frozenset(stems(opening))
    if not said or len(opening.split()) > _OPENING_WORDS:
        return 0.0
    return sum(1 for word in said if target.names_own(frozenset((word,)))) / len(said)
