"""Things that a task sets side by side: "compare A and B for C", "A vs B", "A, B and C".

Rule: what is said of all of them goes with each ("A for C", "B for C"). A clause that does not
clearly name two things stays whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.tasks.words import content_words, word_set, words

_PAIR = re.compile(
    r"(?:.*?\b)??(?:compar(?:e|es|ed|ing)(?: and contrast(?:ing)?)?|contrast(?:ing)?|"
    r"comparisons? (?:of|between)|"
    r"(?:differences?|distinctions?|trade-?offs?|choice|choose|choosing|decide|deciding|"
    r"similarities|"
    r"relationship|pick) between)"
    r"(?: the following| these| two| both)?:?\s+(?P<things>.+)",
    re.IGNORECASE,
)
_DIFFER = re.compile(
    r"how (?:do|does|is|are|did) (?P<left>.+?) (?:differ(?:ent)?|compare[ds]?)(?: (?:from|to|"
    r"with|than))?"
    r"(?:\s+(?P<right>.+))?$",
    re.IGNORECASE,
)
_EITHER = re.compile(
    r"(?:.*?\b)??(?:(?:should|shall|can|do|would|could|to) (?:(?:i|we|you|one|someone|people|"
    r"beginners) )?"
    r"(?:rather |better )?(?:use|choose|pick|prefer|take|learn|adopt|go (?:with|for))|"
    r"(?:which|what|who) (?:one )?(?:is|are|works?|performs?|scales?) (?:the )?(?:better|best|"
    r"faster|safer|"
    r"simpler|easier|cheaper)[^:,?]{0,40}[:,]|(?:is|are) it better to use)\s+"
    r"(?P<things>.+?\s(?:or|over|instead of|rather than)\s.+)",
    re.IGNORECASE,
)
_BETTER = re.compile(
    r"(?:why |when )?(?:is|are) (?P<left>.+?) (?:(?:much |really )?(?:better|faster|slower|safer|"
    r"simpler|"
    r"easier|cheaper|worse)|more \w+|less \w+) than (?P<right>.+)",
    re.IGNORECASE,
)
_VERSUS = re.compile(r"\s+(?:vs\.?|versus)\s+", re.IGNORECASE)
_FRAME = re.compile(
    r"(?:.*[:,]\s+|(?:when|why|where|how) (?:should|do|does|can|would|to) .*?\b"
    r"(?:use|choose|pick|prefer|need)\s+|(?:should|can) (?:i|we|you) \w+\s+|which is \w+\s+|"
    r"(?:the )?(?:pros and cons|advantages and disadvantages|benefits and drawbacks|"
    r"advantages|benefits|performance|speed) of\s+)",
    re.IGNORECASE,
)
_SIDES = re.compile(
    r"\s+(?:with|to|against|vs\.?|versus|over|instead of|rather than)\s+", re.IGNORECASE
)
_ITEMS = re.compile(r"\s*,\s+(?:and\s+|or\s+|&\s+)?|\s+(?:and|or|&|vs\.?|versus)\s+", re.IGNORECASE)
_SHARED = re.compile(
    r",?\s+(?:for|in|on|when|where|if|under|with|at|during|within|inside|as|using|by|regarding|"
    r"concerning|from)\s+.+|,?\s+in terms of\s+.+",
    re.IGNORECASE,
)
_RESPECT = re.compile(
    r",?\s+(?:with (?:respect|regard) to|in terms of|as regards|regarding|when it comes to|"
    r"considering|from the (?:point of view|perspective) of|for use in)\s+.+",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"(?P<head>.*?\b(?:in|for|of|with|on|about)\s+(?:the\s+)?)(?P<item>\S.*)", re.IGNORECASE
)
_ARTICLE = re.compile(r"(?:the|an?|using|use|both|either|between)\s+", re.IGNORECASE)
_PRONOUNS = word_set("it they them that this these those he she both one ones each i you we")
_LIST = re.compile(
    r"(?:(?:what|who) (?:is|are)\s+)?(?P<things>[^,]+(?:,\s+[^,]+)+,?\s+(?:and|or)\s+.+)",
    re.IGNORECASE,
)

MAX_THINGS = 6
_MAX_ITEM_WORDS = 7
_MAX_LISTED_WORDS = 4


@dataclass(frozen=True, slots=True)
class Side:
    """One of several things, and what is said `of_all` of them ("for a small web app")."""

    thing: str
    of_all: str = ""

    @property
    def text(self) -> str:
        """Both, as a person would read them."""
        return f"{self.thing} {self.of_all}".strip()


def side_by_side(clause: str) -> tuple[Side, ...]:
    """The things a clause compares; () if it compares none."""
    clause = clause.strip(" ?.!")
    for left, right in _sides(clause):
        shared = _RESPECT.search(right)
        respect = shared.group().lstrip(" ,") if shared else ""
        right = right[: shared.start()] if shared else right
        things = _things([left, right] if left else _items(right), respect)
        if things:
            return things
    return ()


def enumerated(clause: str) -> tuple[Side, ...]:
    """The things of a plain list of three or more ("lists, tuples and sets in Python"), or ()."""
    found = _LIST.fullmatch(clause.strip(" ?.!"))
    things = _items(found.group("things")) if found else []
    short = all(len(words(_SHARED.sub("", thing))) <= _MAX_LISTED_WORDS for thing in things)
    return _things(things, "") if len(things) > 2 and short else ()


def _sides(clause: str) -> list[tuple[str, str]]:
    """Readings of a clause as (left, right), most specific first; no left: all are in the right."""
    readings: list[tuple[str, str]] = []
    if found := _DIFFER.match(clause):
        readings.append((found["left"] if found["right"] else "", found["right"] or found["left"]))
    if found := _BETTER.match(clause):
        readings.append((found["left"], found["right"]))
    if found := _PAIR.match(clause):
        readings.append(("", found["things"]))
    if found := _EITHER.match(clause):
        readings.append(("", found["things"]))
    sides = _VERSUS.split(clause)
    if len(sides) == 2:
        frame = _FRAME.match(sides[0])
        readings.append((sides[0][frame.end() :] if frame else sides[0], sides[1]))
    return readings


def _items(things: str) -> list[str]:
    """What stands side by side in "A with B", "A and B for C", "A, B or C"."""
    shared = _RESPECT.search(things)
    tail = shared.group() if shared else ""
    things = things[: shared.start()] if shared else things
    sides = _SIDES.split(things, maxsplit=1)
    cut = sides if len(sides) == 2 and not _ITEMS.search(sides[0]) else _ITEMS.split(things)
    return [*cut[:-1], cut[-1] + tail] if len(cut) > 1 else []


def _things(items: list[str], respect: str) -> tuple[Side, ...]:
    items = [item.strip(" ,;:") for item in items]
    if not 2 <= len(items) <= MAX_THINGS:
        return ()
    tail = _SHARED.search(items[-1])
    shared = tail.group().strip(" ,") if tail and tail.start() else ""
    if tail and tail.start():
        items[-1] = items[-1][: tail.start()]
    if not shared and (head := _HEAD.fullmatch(items[0])) and not _HEAD.fullmatch(items[-1]):
        items = [head["item"], *items[1:]]
        named = [head["head"] + _plain(item) for item in items]
    else:
        named = [_plain(item) for item in items]
    if not all(_is_thing(_plain(item)) for item in items):
        return ()
    return tuple(Side(item, f"{shared} {respect}".strip()) for item in named)


def _plain(item: str) -> str:
    return (
        _ARTICLE.sub("", item.strip(" ,"), count=1)
        if _ARTICLE.match(item.strip(" ,"))
        else item.strip(" ,")
    )


def _is_thing(item: str) -> bool:
    said = words(item)
    return (
        0 < len(said) <= _MAX_ITEM_WORDS and bool(content_words(item)) and said[0] not in _PRONOUNS
    )
