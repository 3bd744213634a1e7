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

from actors.agents.candidates import Candidate
from actors.agents.ranking import Key, Ranked, key_of
from actors.agents.slices import Sliced

RELEVANCE = 0.75
"""How much relevance counts in MMR; the rest is for being unlike what is there."""

_SAME_SHARE = 0.6
_WITHIN_SHARE = 0.8
_MOST_OF_PASSAGE = 3
_READS_ON = 0.06


class Choice:
    """The sentences of a report so far."""

    def __init__(self) -> None:
        self._taken: list[Candidate] = []

    def take(self, ranked: Iterable[Ranked], most: int) -> Sliced[list[Ranked]]:
        """Up to `most` of these for one block of text, in the order in which they were chosen."""
        left: list[_Open] = []
        for one in ranked:
            entry = _Open(one)
            if all(entry.meet(taken) for taken in self._taken):
                left.append(entry)
            yield
        block: list[Ranked] = []
        from_passage: Counter[Key] = Counter()
        while len(block) < most:
            there = [taken.candidate for taken in block]
            fit = [entry for entry in left if entry.fits(there, from_passage)]
            if not fit:
                break
            best = max(fit, key=lambda entry: entry.margin(there)).ranked
            block.append(best)
            self._taken.append(best.candidate)
            from_passage[key_of(best.candidate.passage)] += 1
            left = [entry for entry in left if entry.meet(best.candidate)]
            yield
        return block


class _Open:
    """A sentence that may still be chosen, and its likeness to the closest one that was."""

    def __init__(self, ranked: Ranked) -> None:
        self.ranked = ranked
        self._closest = 0.0

    def meet(self, taken: Candidate) -> bool:
        """Take note of a sentence that was chosen; False if this one is nearly a copy of it."""
        self._closest = max(self._closest, likeness(self.ranked.candidate, taken))
        return not is_near_copy(self.ranked.candidate, taken)

    def fits(self, block: list[Candidate], from_passage: Counter[Key]) -> bool:
        candidate = self.ranked.candidate
        follows = not candidate.leans or self.ranked.before in block
        return follows and from_passage[key_of(candidate.passage)] < _MOST_OF_PASSAGE

    def margin(self, block: list[Candidate]) -> float:
        """Marginal relevance; a little more for one that reads on from a sentence of the block."""
        reads_on = _READS_ON if self.ranked.before and self.ranked.before in block else 0.0
        return RELEVANCE * self.ranked.score - (1 - RELEVANCE) * self._closest + reads_on


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
    if key_of(one.passage) == key_of(other.passage):
        return False
    if likeness(one, other) >= _SAME_SHARE:
        return True
    shorter = min(len(one.stems), len(other.stems))
    return shorter > 0 and len(one.stems & other.stems) / shorter >= _WITHIN_SHARE


def in_reading_order(block: list[Ranked]) -> list[Ranked]:
    """A block with the sentences of one passage together and in its order, best passage first."""
    first: dict[Key, int] = {}
    for number, ranked in enumerate(block):
        first.setdefault(key_of(ranked.candidate.passage), number)
    return sorted(block, key=lambda r: (first[key_of(r.candidate.passage)], r.candidate.place))
