"""A task's text, cut into clauses: one thing each.

Rule: "and" alone never cuts, for it also stands inside names ("research and development"). A cut
needs a sign that a new question or order begins after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from actors.agents.extractive.intents import names_nothing
from actors.agents.extractive.orders import asked
from actors.agents.extractive.task_text import Sentence, TaskText

MAX_CLAUSES = 64
"""Clauses of a task that are looked at."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing a task says: `text` as it was written, and whether it `asks` for something.

    `opening` is the phrase before a comma that opens its sentence ("In Python"), and `lead` the
    line above the list that it is an item of. `first`: it is the first clause of its sentence.
    """

    text: str
    asks: bool
    opening: str = ""
    lead: str = ""
    first: bool = True


_WH = r"(?:how|what|why|when|where|which|who|whose|whether)"
_PRONOUN = r"(?:it|they|there|i|we|you|one|that|this|these|those)"
_AUXILIARY = r"(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have)"
_VERB = (
    r"(?:explain|describe|compare|contrast|summari[sz]e|recommend|suggest|advise|discuss|outline|"
    r"analy[sz]e|evaluate|assess|identify|investigate|examine|explore|define|clarify|tell me|"
    r"tell us|show me|show how|give me|give an?|give examples|list the|list all|list some|"
    r"write (?:an?|the|me)|say (?:how|what|which|why|when|whether)|find out|look (?:at|into)|"
    r"propose|conclude|choose (?:one|the)|pick (?:one|the)|decide|note (?:how|what|which|any))\b"
)
_CUT = re.compile(
    rf",?\s+(?:and|but|or|so)\s+(?:also\s+)?(?=(?:in|for|on|at|by|to|from|with|about) {_WH}\b)"
    rf"|,?\s+(?:and|but|or)\s+(?:also\s+|then\s+|finally\s+|lastly\s+)?(?={_WH}\b)"
    rf"|,?\s+(?:and|but)\s+(?:also\s+)?(?={_AUXILIARY}\s+{_PRONOUN}\b)"
    rf"|,?\s+(?:and|but)\s+(?:also\s+|then\s+|finally\s+|lastly\s+|please\s+)?(?={_VERB})"
    rf"|[,;]\s+(?:and\s+|but\s+)?(?:also\s+)?(?:then|finally|lastly|next|afterwards|"
    rf"after that)\b,?\s+"
    rf"|\s+and then\s+"
    rf"|,\s+(?=(?:how|what|why)\b)"
    rf"|,\s+(?={_VERB})",
    re.IGNORECASE,
)
_LISTED = re.compile(r",\s+(?=(?:which|where|when|who|whether)\b)", re.IGNORECASE)
_LIST_GOES_ON = re.compile(rf",?\s+(?:and|or)\s+{_WH}\b", re.IGNORECASE)
_OPENING = re.compile(
    r"(?:in|for|with|on|given|under|when|if|while|since|because|as|after|before|once|although|"
    r"using|considering|regarding|concerning|assuming|suppose|from|at|to)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"(?:(?:in|for|on|at|by|to|from|with) )?{_WH}\b|{_AUXILIARY}\b|{_VERB}|"
    r"(?:the )?(?:main |key )?differences? between\b|(?:the )?(?:pros|advantages|benefits) and\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    rf"(?:\w+ )?{_WH} (?:{_AUXILIARY}|to)\b|{_WH} \w+ {_AUXILIARY}\b", re.IGNORECASE
)
_BARE_WH = re.compile(rf"{_WH}(?: and {_WH})*", re.IGNORECASE)


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of a task in their order; none if the text is blank or nothing but code."""
    task = TaskText(text)
    every = (clause for sentence in task.sentences() for clause in _of_sentence(sentence))
    for clause in islice(every, MAX_CLAUSES):
        text, opening, lead = map(task.shown, (clause.text, clause.opening, clause.lead))
        yield Clause(text, clause.asks, opening, lead, clause.first)


def main_sentence(text: str) -> str:
    """The first sentence that asks for something, or the first; "" if there is none.

    Orders at its end that name nothing themselves ("then recommend one") are left out.
    """
    task = TaskText(text)
    first = ""
    for sentence in islice(task.sentences(), MAX_CLAUSES):
        whole = f"{sentence.lead} {sentence.text}".strip()
        first = first or whole
        if sentence.is_item or sentence.text.endswith("?") or _asks(sentence.text):
            return task.shown(_without_trailing_orders(whole))
    return task.shown(first)


def _of_sentence(sentence: Sentence) -> list[Clause]:
    opening, rest = _opened(sentence.text)
    parts = _CUT.split(rest)
    if _LIST_GOES_ON.search(rest):
        parts = [piece for part in parts for piece in _LISTED.split(part)]
    parts = _whole([part.strip(" ,;") for part in parts])
    asks = sentence.is_item or sentence.text.endswith(("?", "？"))
    return [
        Clause(
            part, asks or _asks(part), opening if number == 0 else "", sentence.lead, number == 0
        )
        for number, part in enumerate(parts)
    ]


def _without_trailing_orders(sentence: str) -> str:
    for cut in reversed(list(_CUT.finditer(sentence))):
        if names_nothing(sentence[cut.end() :], of_several=False):
            sentence = sentence[: cut.start()]
    return sentence


def _opened(sentence: str) -> tuple[str, str]:
    """The phrase that opens a sentence before it asks ("In Python, how ..."), and what it asks."""
    phrase, comma, rest = sentence.partition(", ")
    if comma and _OPENING.match(phrase) and not _QUESTION.match(phrase) and _asks(rest):
        return phrase, rest
    return "", sentence


def _whole(parts: list[str]) -> list[str]:
    """The parts, with a question word that stands alone put back before the part it belongs to."""
    whole: list[str] = []
    for part in filter(None, parts):
        if whole and _BARE_WH.fullmatch(whole[-1]):
            whole[-1] += f" and {part}"
        else:
            whole.append(part)
    return whole


def _asks(part: str) -> bool:
    bare = asked(part)
    return bare != part.strip() or bool(_ASKS.match(bare))
