"""What a language model proposes for a plan, and what of it is taken.

Rule: a model proposes questions, words to search for, and whom to ask (see `model_calls`), nothing
else: steps, ids and needs are ours. What it writes is cleaned, and refused if nothing is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from actors.agents.extractive.intents import INTENTS
from actors.agents.extractive.planning import MAX_QUESTIONS
from actors.agents.extractive.questions import Draft, as_heading
from actors.agents.extractive.words import STOPWORDS, terms, words
from actors.agents.model.markup import plain

MOST_TEXT = 200
MOST_SEARCH = 100
MOST_WORD = 40

Intent = Literal[
    "compare",
    "recommend",
    "benefits",
    "drawbacks",
    "quantify",
    "instruct",
    "define",
    "changes",
    "explain",
    "exemplify",
    "summarize",
]

_LEADING = re.compile(
    r"^(?:[#>*+•\-\s]+|\(?\d{1,3}[.)]\s+|(?:question|q)\s*\d*\s*[:.)]\s*)+", re.IGNORECASE
)
_FEWEST_LETTERS = 3


class ProposedQuestion(BaseModel):
    """One thing to find out."""

    question: Annotated[str, StringConstraints(min_length=3, max_length=MOST_TEXT)]
    search: Annotated[str, StringConstraints(max_length=MOST_SEARCH)] = ""


class ProposedPlan(BaseModel):
    """The shape that a model is asked for."""

    questions: Annotated[list[ProposedQuestion], Field(min_length=1, max_length=MAX_QUESTIONS)]
    intents: Annotated[list[Intent], Field(max_length=4)] = []


@dataclass(frozen=True, slots=True)
class Drafts:
    """The questions that can be used, each once, in their order.

    `places` has for each question that was proposed its place among them, None for an unusable one.
    """

    questions: tuple[Draft, ...]
    places: tuple[int | None, ...]


def drafts_of(proposed: ProposedPlan) -> Drafts:
    """What of the proposed questions is taken."""
    found: dict[frozenset[str], Draft] = {}
    places: list[int | None] = []
    for question in proposed.questions[:MAX_QUESTIONS]:
        text = _bare(question.question, MOST_TEXT)
        # Small models propose words to search for that have nothing to do with their own question.
        searched = tuple(dict.fromkeys((*_searchable(text), *_searchable(question.search))))
        if searched and sum(map(str.isalpha, text)) >= _FEWEST_LETTERS:
            same = frozenset(words(text)) - STOPWORDS or frozenset(words(text))
            found.setdefault(same, Draft(as_heading(text), searched))
            places.append(list(found).index(same))
        else:
            places.append(None)
    return Drafts(tuple(found.values()), tuple(places))


def intents_of(proposed: ProposedPlan) -> tuple[str, ...]:
    """The kinds of work that it names, in the order of our table."""
    return tuple(intent.name for intent in INTENTS if intent.name in proposed.intents)


def _bare(text: str, most: int) -> str:
    """A line of text without markup, marks of lists and citations."""
    line = plain(text[: 2 * most]).replace("*", "").replace("|", " ")
    return " ".join(_LEADING.sub("", line)[:most].split())


def _searchable(text: str) -> tuple[str, ...]:
    return tuple(term for term in terms(_bare(text, MOST_SEARCH)) if len(term) <= MOST_WORD)
