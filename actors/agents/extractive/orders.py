"""What a person says around a question: courtesies, orders, the kind of text that is wanted.

Rule: only what stands before the subject goes. What is left is in the person's own words.
"""

from __future__ import annotations

import re

_LINK = (
    r"(?:and|but|so|also|then|next|finally|lastly|afterwards|after that|in the end|additionally)"
)
_DETERMINER = (
    r"(?:the|an?|all|some|any|my|our|this|these|me|us|about|into|for|up|on|out|how|what|why|when|"
    r"where|which|whether|each|every|at|\d+)"
)
_KIND = (
    r"(?:reports?|summar(?:y|ies)|overviews?|essays?|articles?|guides?|introductions?|notes?|"
    r"explanations?|comparisons?|tutorials?|documents?|texts?|paragraphs?|lists?|reviews?|"
    r"descriptions?|answers?|memos?|briefings?|analys[ei]s|blog posts?|rundown|sense|idea)"
)
_ADJECTIVES = r"(?:(?:very|short|brief|long|detailed|concise|quick|clear|good|full|complete|simple|"
_ADJECTIVES += r"thorough|in-depth|one-page|technical|structured|cited|better|rough)[ ,]+){0,4}"

_COURTESIES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_LINK}\b,?\s+",
        r"(?:first|firstly|first of all|second|secondly|third|thirdly|to begin with),\s+",
        (
            r"(?:first|second|third)(?=\s+(?:explain|describe|compare|find|read|look|tell|show|"
            r"list|"
            r"research|summari[sz]e|outline|collect|gather|learn|study|explore|investigate))\s+"
        ),
        r"(?:hi|hello|hey|dear all|good (?:morning|afternoon|evening))\b(?:\s+\w+)?[,!.]\s*",
        r"(?:please|kindly|thanks|thank you|ok|okay|well|now)\b,?\s*(?=\S)",
        r"(?:can|could|would|will) you\s+(?:please\s+|kindly\s+|maybe\s+)?",
        (
            r"(?:i|we)(?:'d| would|'m| am|'ve| have)? (?:really |just |also )?"
            r"(?:want|like|love|need|trying|try|wondering|curious|hoping|wish)(?: you)?"
            r"(?: to)?(?: (?:know|understand|learn|see|hear|find out|figure out|read|ask))?"
            r"(?: (?:more|something))?(?: about)?\s+(?=\S)"
        ),
        r"(?:my|our|the|one) (?:main |first |second |next )?question is:?,?\s+",
        r"(?:do|does) any(?:one|body) know\s+",
        (
            r"(?:help|teach|tell|show|give|let) (?:me|us)(?: (?:to )?(?:understand|know|see|"
            r"learn))?"
            r"(?: (?:more|something))?(?: about)?\s+(?=\S)"
        ),
        r"i(?:'m| am) not sure\s+",
    )
)
_ORDERS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "write a short report on", "an overview of"
        (
            rf"(?:(?:write|give|make|create|prepare|produce|draft|provide|compose)(?: me| us)? )?"
            rf"(?:an?|the|some)?\s*{_ADJECTIVES}{_KIND}\s+(?:on|about|of|for|to|explaining|"
            rf"describing|"
            rf"covering|that (?:explains|describes|covers|says))\s+"
        ),
        # these words are hardly ever nouns
        (
            r"(?:explain|describe|discuss|outline|summari[sz]e|sum up|analy[sz]e|evaluate|assess|"
            r"identify|investigate|examine|explore|define|clarify|elaborate|tell|say)"
            r"(?: (?:briefly|shortly|clearly|simply|again))?(?: (?:to )?(?:me|us))?(?: on| about)?"
            r"(?: in (?:detail|depth|short|brief|simple terms|plain words|your own words))?\s+"
        ),
        # these may be nouns, so that what follows decides
        (
            r"(?:list|show|find|research|review|study|report|write|read|search|look|learn|collect|"
            rf"gather|cover|include|mention|check|provide|give|teach|suggest)\s+(?={_DETERMINER}\b)"
            r"(?:(?:me|us)\s+)?(?:(?:up|into|out|at|about|for|on)\s+(?:about\s+)?)?"
        ),
        (
            r"what (?:does )?(?:the |my |our )?(?:documentation|docs|documents|library|manual|"
            r"sources?|notes)"
            r" (?:says?|tells? (?:me|us)|knows?|has|have) (?:about|on|of)\s+"
        ),
        r"(?:briefly|shortly|in short|in brief|in detail)[,:]?\s+",
    )
)
_MAX_ROUNDS = 6


def asked(text: str) -> str:
    """What is asked for, without the words that ask for it; the text itself if it is only those."""
    return _without(text, _COURTESIES + _ORDERS)


def politely_asked(text: str) -> str:
    """The text without greetings and courtesies, its order still in it: fit for a title."""
    return _without(text, _COURTESIES)


def _without(text: str, patterns: tuple[re.Pattern[str], ...]) -> str:
    rest = text.strip()
    for _ in range(_MAX_ROUNDS):
        shorter = rest
        for pattern in patterns:
            found = pattern.match(shorter)
            if found and found.end() < len(shorter):
                shorter = shorter[found.end() :].lstrip(" ,:")
        if shorter == rest or not shorter:
            break
        rest = shorter
    return rest
