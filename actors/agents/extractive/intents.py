"""The kinds of work a task asks for, and the words that tell of them.

Rule: one table. A kind of work that is asked for (`asked`) is answered best by sentences that speak
the way `told` matches; `empty` are words that ask for work and name no subject of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from actors.runtime.cooperative import Cooperative
from actors.tasks.words import content_words, word_set


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of work: its name, what asks for it, and how a sentence that does it speaks.

    `search` holds words that stand where it is done, other than those that ask for it.
    """

    name: str
    asked: re.Pattern[str]
    told: re.Pattern[str]
    search: tuple[str, ...]


def _intent(name: str, asked: str, told: str, search: str = "") -> Intent:
    ignoring_case = re.IGNORECASE
    return Intent(
        name,
        re.compile(asked, ignoring_case),
        re.compile(told, ignoring_case),
        tuple(search.split()),
    )


INTENTS = (
    _intent(
        "compare",
        r"\b(?:compar\w+|contrast\w*|differ\w*|versus|vs|trade-?offs?|better|best|faster|slower|"
        r"similarit\w+|distinction|distinguish\w*|instead of|rather than)\b|\bor\b.*\?",
        r"\b(?:unlike|whereas|while|instead of|rather than|compared|in contrast|contrary to|"
        r"differ\w*|"
        r"than|both|similar(?:ly)?|equivalent|on the other hand|but|counterpart|alternative)\b",
    ),
    _intent(
        "recommend",
        r"\b(?:recommend\w*|suggest\w*|advi[sc]e|should (?:i|we|one|you)|which (?:one )?(?:is|"
        r"would be|"
        r"should)|best|better|prefer\w*|choose|choosing|pick|propose|when (?:to|"
        r"should) (?:\w+\s)?use)\b",
        r"\b(?:recommend\w*|should|prefer\w*|better choice|best|suit\w*|choose|appropriate|"
        r"advis\w+|good (?:choice|fit|default)|default choice|designed for|useful (?:for|when|if)|"
        r"ideal|consider|intended for|better|safe choice|safer|instead|alternatives?)\b",
    ),
    _intent(
        "benefits",
        r"\b(?:pros|advantages?|benefits?|strengths?|upsides?|merits?)\b",
        r"\b(?:advantages?|benefits?|faster|simpl\w+|efficient\w*|cheap\w*|safe\w*|easy|easier|"
        r"allows?|helps?|makes|improv\w+|useful|reliab\w+|straightforward)\b",
        search="benefits advantages",
    ),
    _intent(
        "drawbacks",
        r"\b(?:cons|disadvantages?|drawbacks?|weakness(?:es)?|limitations?|downsides?|risks?|"
        r"pitfalls?|difficulties|problems?|(?:go(?:es)?|is|are) wrong|dangers?)\b",
        r"\b(?:disadvantages?|drawbacks?|limit\w*|however|cost\w*|slow\w*|cannot|expensive|risk\w*|"
        r"downsides?|difficult\w*|harder|complex\w*|problems?|danger\w*|needs?|never|must|hard|"
        r"unfortunately|overhead|extra|confus\w+|surpris\w+|rarely|but)\b",
        search="drawbacks disadvantages difficulties limitations problems",
    ),
    _intent(
        "quantify",
        r"\bhow (?:many|much|big|large|long|often|far|fast|small|high|deep)\b|\bwhat size\b|"
        r"\bnumber of\b",
        r"\d|\b(?:per|at (?:most|least)|as many as|twice|half|dozens?|"
        r"hundreds?|thousands?|seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b",
    ),
    _intent(
        "instruct",
        r"\bhow (?:to|do i|do we|can i|can we|do you|can you|should i|would i|does one)\b|"
        r"\bsteps?\b|"
        r"\bguide\b|\btutorial\b|\binstructions?\b",
        r"\b(?:to \w+|use[ds]?|using|call(?:ing|s|ed)?|create[ds]?|set(?:ting)?|pass(?:ed|ing)?|"
        r"specify|add|can be|by \w+ing|you can|allows?|provides?)\b",
    ),
    _intent(
        "define",
        r"\b(?:what(?:'s| is| are)|defin\w+|meaning|mean by|what does .{1,60} mean)\b",
        r"\b(?:is an?|are|is the|refers? to|means?|is used|called|known as|represents?|"
        r"provides?)\b",
    ),
    _intent(
        "changes",
        r"\b(?:chang(?:e|es|ed)|what(?:'s| is) new|new in|news|deprecat\w+|removed|"
        r"release notes)\b",
        r"\b(?:now|new|changed|added|removed|deprecated|no longer|previously|improved|renamed)\b",
    ),
    _intent(
        "explain",
        r"\b(?:how|why|explain\w*|describe|understand|reasons?|works?)\b",
        r"\b(?:because|so that|therefore|since|by|causes?|means?|results? in|ensures?|"
        r"prevents?|allows?|in order to)\b",
    ),
    _intent(
        "exemplify",
        r"\b(?:examples?|sample code|illustrate|demonstrate)\b",
        r"\b(?:for example|for instance|such as|e\.g\.)",
    ),
    _intent("summarize", r"\b(?:summar\w+|overview|report|outline|brief\w*|key points)\b", r"(?!)"),
)

_OF_SEVERAL = re.compile(r"\b(?:each|one|ones|which|either|both)\b", re.IGNORECASE)
_USE = frozenset(("use", "used", "using"))

BY_NAME = {intent.name: intent for intent in INTENTS}

BY_EXAMPLE = frozenset(("instruct", "exemplify"))
"""Kinds of work that are answered by code as well."""

EMPTY = word_set(
    "recommend recommends recommendation recommendations suggest suggestion suggestions advise "
    "advice choose choice pick select better best prefer preferable summarize "
    "summarise summary conclude conclusion conclusions report compare comparison contrast "
    "differences difference example examples answer decide two three option options approach "
    "reason reasons explain explanation everything it all justify details detail source sources "
    "cite citations references short brief good give giving tell main key important "
    "winner preference situation situations case cases tradeoff tradeoffs sense ones "
    "differ differs different fits suits"
)
"""Words that ask for work and name no subject: a clause of only these needs no search."""

FILLERS = word_set(
    "deal deals dealing handle handles handled handling work works working happen happens mean "
    "means exist exists support supports supported say says look looks way ways thing things kind "
    "kinds sort sorts make makes made making take takes come comes go goes know knows find people "
    "matter matters important importance significant needed necessary good proper properly correct "
    "correctly right wrong instead effective effectively possible bad idea ideas"
)
"""Words that say hardly anything in a question, whatever it is about."""


def asks_for_work(word: str) -> bool:
    """Whether a word says what kind of answer is wanted rather than on what."""
    return any(intent.asked.fullmatch(word) for intent in INTENTS)


def is_weak(word: str) -> bool:
    """Whether a word of a question is no part of its subject."""
    return word in FILLERS or asks_for_work(word)


def names_nothing(text: str, *, of_several: bool) -> bool:
    """Whether a clause only asks for work on what was named before ("then recommend one").

    When several things were named, "when to use each" is such a clause too.
    """
    empty = EMPTY | _USE if of_several and _OF_SEVERAL.search(text) else EMPTY
    return all(word in empty for word in content_words(text))


def search_words(text: str) -> tuple[str, ...]:
    """What else to search for, by the kinds of work this text asks for."""
    return tuple(w for intent in INTENTS if intent.asked.search(text) for w in intent.search)


def intents(
    texts: Iterable[str], default: tuple[str, ...] = ("explain",)
) -> Cooperative[tuple[str, ...]]:
    """The kinds of work these texts ask for, in the table's order; `default` if none says."""
    asked: set[str] = set()
    for text in texts:
        asked.update(intent.name for intent in INTENTS if intent.asked.search(text))
        yield
    return tuple(intent.name for intent in INTENTS if intent.name in asked) or default
