"""Choosing sentences: relevant to the question and unlike those chosen before.

Rule: one `Choice` lives for a whole report, so that no sentence and no near copy of one stands in
it twice.

Source: relevance and diversity are traded by maximal marginal relevance (J. Carbonell and
J. Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
Summaries", SIGIR 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from actors.agents.extractive.candidates import Candidate
from actors.agents.extractive.ranking import Key, Ranked
from actors.agents.extractive.targets import Target
from actors.runtime.cooperative import Cooperative

RELEVANCE = 0.75
"""How much relevance counts in MMR; the rest is for being unlike what is there."""

_SAME_SHARE = 0.6
_WITHIN_SHARE = 0.8
_MOST_OF_PASSAGE = 4
_OF_BEST = 0.6
"""The share of the best sentence's score that another one needs to stand beside it."""

_NEW = 0.6
"""How much it counts to name a part of the question that no sentence of the block names yet.

Source: coverage as in H. Lin and J. Bilmes, "A Class of Submodular Functions for Document
Summarization", ACL 2011."""

_READS_ON = 0.06


class Choice:
    """The sentences of a report so far."""

    def __init__(self) -> None:
        self._taken: list[Candidate] = []

    def take(self, ranked: Iterable[Ranked], most: int, aim: Target) -> Cooperative[list[Ranked]]:
        """Up to `most` of these for one block of text, in the order in which they were chosen."""
        left: list[_Open] = []
        for one in ranked:
            entry = _Open(one)
            if all(entry.meet(taken) for taken in self._taken):
                left.append(entry)
            yield
        least = _OF_BEST * max((entry.ranked.score for entry in left), default=0.0)
        left = [entry for entry in left if entry.ranked.score >= least]
        block = _Block(aim, most)
        while fit := [entry for entry in left if block.has_room_for(entry)]:
            for one in block.add(max(fit, key=block.margin)):
                self._taken.append(one.candidate)
                left = [entry for entry in left if entry.meet(one.candidate)]
            yield
        return block.chosen


class _Open:
    """A sentence that may still be chosen, and its likeness to the closest one that was."""

    def __init__(self, ranked: Ranked) -> None:
        self.ranked = ranked
        self.closest = 0.0
        self.can_lean = _can_be_leaned_on(ranked.before)

    def meet(self, taken: Candidate) -> bool:
        """Take note of a sentence that was chosen; False if this one is nearly a copy of it."""
        self.closest = max(self.closest, likeness(self.ranked.candidate, taken))
        before = self.ranked.before
        self.can_lean = self.can_lean and before is not None and not is_near_copy(before, taken)
        return not is_near_copy(self.ranked.candidate, taken)


def _can_be_leaned_on(before: Candidate | None) -> bool:
    return before is not None and not before.leans and not before.bare


class _Block:
    """The sentences chosen for one block of text, and what of the question they name."""

    def __init__(self, aim: Target, most: int) -> None:
        self.chosen: list[Ranked] = []
        self._aim = aim
        self._most = most
        self._there: list[Candidate] = []
        self._said: frozenset[str] = frozenset()
        self._from_passage: Counter[Key] = Counter()

    def has_room_for(self, entry: _Open) -> bool:
        """Whether it can be added, with the sentence that it leans on if that is not there."""
        candidate = entry.ranked.candidate
        needs = 1
        if candidate.leans and entry.ranked.before not in self._there:
            if not entry.can_lean:
                return False
            needs = 2
        from_passage = self._from_passage[candidate.passage.key]
        return len(self.chosen) + needs <= self._most and from_passage < _MOST_OF_PASSAGE

    def margin(self, entry: _Open) -> float:
        """Marginal relevance; more for what the block does not name yet, or if it reads on."""
        ranked, needed = entry.ranked, self._aim.needed
        said = self._aim.share(self._said | ranked.candidate.stems, needed)
        reads_on = _READS_ON if ranked.before and ranked.before in self._there else 0.0
        new = _NEW * (said - self._aim.share(self._said, needed))
        return RELEVANCE * ranked.score - (1 - RELEVANCE) * entry.closest + reads_on + new

    def add(self, entry: _Open) -> list[Ranked]:
        """Add it, and return what was added."""
        ranked = entry.ranked
        added = [ranked]
        before = ranked.before
        if ranked.candidate.leans and before is not None and before not in self._there:
            added = [Ranked(before, ranked.score, None), ranked]
        for one in added:
            self.chosen.append(one)
            self._there.append(one.candidate)
            self._said |= one.candidate.stems
            self._from_passage[one.candidate.passage.key] += 1
        return added


def likeness(one: Candidate, other: Candidate) -> float:
    """The share of stems that two sentences have in common, 0 to 1 (Jaccard)."""
    together = len(one.stems | other.stems)
    return len(one.stems & other.stems) / together if together else 0.0


def is_near_copy(one: Candidate, other: Candidate) -> bool:
    """Whether two sentences say the same in nearly the same words.

    Those of one passage do only if they are the same: a list has items that read alike, and a
    writer who says a thing twice does so elsewhere.
    """
    if one.text.casefold() == other.text.casefold():
        return True
    if one.passage.key == other.passage.key:
        return _contains(one, other) or _contains(other, one)
    if likeness(one, other) >= _SAME_SHARE:
        return True
    shorter = min(len(one.stems), len(other.stems))
    return shorter > 0 and len(one.stems & other.stems) / shorter >= _WITHIN_SHARE


def _contains(one: Candidate, other: Candidate) -> bool:
    """Whether one sentence is cited with a list that the other one stands in."""
    return one.place < other.place <= one.place + one.covers


def in_reading_order(block: list[Ranked]) -> list[Ranked]:
    """A block with the sentences of one passage together and in its order, best passage first."""
    first: dict[Key, int] = {}
    for number, ranked in enumerate(block):
        first.setdefault(ranked.candidate.passage.key, number)
    return sorted(block, key=lambda r: (first[r.candidate.passage.key], r.candidate.place))
