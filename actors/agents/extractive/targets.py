"""What sentences are measured against: the words of a question, and how much each one counts.

Rule: a word counts somewhat more the rarer it is among the sentences found for the task, and most
if it is in none of them: so that a question on something else is seen to be on something else. Only
somewhat, for those sentences were found by these words: the subject itself is common among them.

Source: the inverse document frequency of Okapi BM25 (S. Robertson and H. Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond", 2009).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.agents.extractive.intents import EMPTY, FILLERS, intents, is_weak
from actors.agents.extractive.synonyms import synonyms
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.plan import Question
from actors.tasks.words import content_words, singular, stem, stems, word_set

_LENT = 0.8
"""The weight of a word that the question before lent this one, against a word of its own."""

_BESIDE = 0.3
"""Of a word that only tells where to look, such as the name of another of the things compared."""

_SHARED = 0.7
"""Of a word that every question of the task has."""

_WEAK = 0.3
"""Of a word that says what kind of answer is wanted ("changed", "drawbacks")."""

_FILLER = 0.1
"""Of a word that says hardly anything ("work")."""

_ACTION = 0.5
"""Of a word for what is done to anything ("read", "create"): the subject is its object."""

_OF_ITS_KIND = 0.15
_OF_ITS_KIND_ALONE = 0.6
"""Where the question names nothing but the kind of answer ("what are its drawbacks?"), or a number
is what it asks for."""

_TELLING = frozenset(("compare", "recommend", "benefits", "drawbacks", "changes"))
"""Kinds of work whose answers can be told by how they speak."""

_COMPARES = frozenset(("compare", "recommend"))

_ROOT = 5
"""Letters that two stems need in common to be one word's ("collect", "collector")."""

_SHORTEST_HALF = 3
_NONE: frozenset[str] = frozenset()

_ACTIONS = frozenset(
    stem(word)
    for word in word_set(
        "read write use create get set run call start open close add remove change convert check "
        "print show build send receive load save store define implement choose install need"
    )
)


class Rarity:
    """The weight of stems by how few sentences have them, and which stems are nearly the same."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._of_root: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, sentence: frozenset[str]) -> None:
        """Take the stems of a sentence in."""
        for word in sentence:
            if word not in self._counts and len(word) >= _ROOT:
                self._of_root[word[:_ROOT]].append(word)
        self._counts.update(sentence)
        self._total += 1

    def variants(self, word: str) -> frozenset[str]:
        """The stem, and the stems that were found of which one begins with the other."""
        longer = (s for s in self._of_root.get(word[:_ROOT], ()) if s.startswith(word))
        shorter = (word[:end] for end in range(_ROOT, len(word)) if word[:end] in self._counts)
        return frozenset((word, *longer, *shorter)) | synonyms(word)

    def halves(self, word: str) -> frozenset[str]:
        """The two words that were found of which this one is put together ("deepcopy"), if any."""
        for cut in range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1):
            if word[:cut] in self._counts and (rest := stem(word[cut:])) in self._counts:
                return frozenset((word[:cut], rest))
        return _NONE

    def of(self, variants: frozenset[str]) -> float:
        """From 0.65 to 1.35: more for a rarer stem, and most for one that no sentence has."""
        count = min(self._total, sum(self._counts[variant] for variant in variants))
        return 0.65 + 0.7 * self._idf(count) / self._idf(0)

    def has(self, variants: frozenset[str]) -> bool:
        """Whether any sentence has it."""
        return any(variant in self._counts for variant in variants)

    def _idf(self, count: int) -> float:
        return math.log(1 + (self._total - count + 0.5) / (count + 0.5))


@dataclass(frozen=True, slots=True)
class Target:
    """A question as stems: the weight of each, its spellings, and which are the question's own.

    `measured` are those that a sentence is measured by, `needed` those that a passage on it has to
    name, `context` those that another question lent it, `aside` those that only tell where to look,
    `rivals` those that tell the others from it. `literal` are its own words in the singular, and
    `intents` the kinds of work it asks for; to speak so counts `by_kind` for a sentence.
    """

    weights: dict[str, float]
    variants: dict[str, frozenset[str]]
    halves: dict[str, frozenset[str]]
    own: frozenset[str]
    measured: frozenset[str]
    needed: frozenset[str]
    context: frozenset[str]
    aside: frozenset[str]
    rivals: frozenset[str]
    literal: frozenset[str]
    intents: tuple[str, ...]
    by_kind: float

    @property
    def comparing(self) -> bool:
        """Whether it is one of several things that are held against each other."""
        return bool(self.aside) and not _COMPARES.isdisjoint(self.intents)

    def share(self, said: frozenset[str], of: Iterable[str]) -> float:
        """How much of some of its stems are in a set of stems, by weight, 0 to 1."""
        whole = list(of)
        total = sum(self.weights[word] for word in whole)
        there = (word for word in whole if self._names(word, said))
        return sum(self.weights[word] for word in there) / total if total else 0.0

    def names_own(self, said: frozenset[str]) -> bool:
        """Whether a set of stems has any of the question's own words."""
        return any(self._names(word, said) for word in self.own)

    def names_any(self, said: frozenset[str]) -> bool:
        """Whether a set of stems has any word of the question, or aside of it."""
        return any(self._names(word, said) for word in self.weights)

    def allows(self, sentence: frozenset[str], heading: frozenset[str]) -> bool:
        """Whether a sentence may speak to this question: not if it is on another one's subject.

        Where things are compared, one may be held against this one under a heading of its own.
        """
        if self.names_own(sentence):
            return True
        compared = self.comparing and self.rivals.isdisjoint(heading)
        return self.names_own(heading) and (compared or self.rivals.isdisjoint(sentence))

    def _names(self, word: str, said: frozenset[str]) -> bool:
        """Whether a set of stems has one of its words, in any spelling."""
        halves = self.halves[word]
        return not self.variants[word].isdisjoint(said) or (bool(halves) and halves <= said)


def target(
    question: Question, others: list[Question], asked: tuple[str, ...], rarity: Rarity
) -> Cooperative[Target]:
    """What sentences are measured against for this question among the others of its task."""
    named = [word for word in content_words(question.text) if word not in EMPTY]
    own = dict.fromkeys(stem(word) for word in named) or dict.fromkeys(stems(question.query))
    searched = [stem(word) for word in content_words(question.query) if word not in EMPTY]
    beside = [stem(word) for word in content_words(question.aside) if word not in EMPTY]
    every = dict.fromkeys([*own, *searched, *beside])
    weak = _stems_where(is_weak, question)
    fillers = _stems_where(FILLERS.__contains__, question)
    shared = set(own).intersection(*(stems(other.text) for other in others)) if others else set()
    shared = shared if len(shared) < len(own) else set()
    aside = set(beside) - set(searched)
    lent = set(searched) - own.keys() - weak
    factors = dict.fromkeys(every, 1.0)
    factors |= dict.fromkeys(lent, _LENT) | dict.fromkeys(shared, _SHARED)
    factors |= dict.fromkeys(aside, _BESIDE) | dict.fromkeys(weak, _WEAK)
    factors |= dict.fromkeys(fillers, _FILLER)
    variants: dict[str, frozenset[str]] = {}
    halves: dict[str, frozenset[str]] = {}
    for word in every:
        variants[word], halves[word] = rarity.variants(word), rarity.halves(word)
        yield
    context = lent - _ACTIONS or lent
    rivals = {word for other in others for word in stems(other.text)} - own.keys() - context
    kinds = at_once(intents([question.text], default=()))
    return Target(
        weights={w: _weight(rarity, variants[w], factors[w], w in weak) for w in every},
        variants=variants,
        halves=halves,
        own=frozenset(own.keys() - weak - shared - aside or every),
        measured=frozenset(every.keys() - aside or every),
        needed=frozenset(own.keys() - weak - aside | context or every),
        context=frozenset(context),
        aside=frozenset(aside),
        rivals=frozenset(rivals),
        literal=frozenset(singular(word) for word in named if not is_weak(word)),
        intents=kinds or asked,
        by_kind=_by_kind(kinds or asked, names_much=not own.keys() <= weak | aside | _ACTIONS),
    )


def _by_kind(kinds: Iterable[str], *, names_much: bool) -> float:
    """How much it counts that a sentence speaks the way the question asks for."""
    alone = "quantify" in kinds or (not names_much and not _TELLING.isdisjoint(kinds))
    return _OF_ITS_KIND_ALONE if alone else _OF_ITS_KIND


def _stems_where(holds: Callable[[str], bool], question: Question) -> set[str]:
    return {stem(w) for w in content_words(f"{question.text} {question.query}") if holds(w)}


def _weight(rarity: Rarity, near: frozenset[str], factor: float, is_weak: bool) -> float:
    """The weight of a stem with these spellings; 0 for a weak one that no sentence has."""
    if is_weak and not rarity.has(near):
        return 0.0
    return rarity.of(near) * factor * (1.0 if near.isdisjoint(_ACTIONS) else _ACTION)
