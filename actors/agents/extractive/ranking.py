"""The sentences that may answer one question, best first.

Rule: a question has an answer here only if one passage names most of what it asks, and a sentence
is ranked only if it names enough of it itself. Otherwise there is nothing to cite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from actors.agents.extractive.candidates import Candidate, read
from actors.agents.extractive.focus import COMPARED, IN_FOCUS, focus
from actors.agents.extractive.relevance import coverage, style
from actors.agents.extractive.targets import Rarity, Target, target
from actors.agents.extractive.theme import Theme
from actors.runtime.cooperative import Cooperative
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Plan
from actors.tasks.words import stems

PASSAGE_FLOOR = 0.5
"""The share of a question's words, by weight, that a passage has to name."""

SENTENCE_FLOOR = 0.3
_OF_BEST = 0.45
_PASSAGE = 0.8
"""How much the focus of a passage counts for its sentences."""

_MOST_RANKED = 80
_WORDS_AT_ONCE = 64

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score for one question; `before` is the sentence that it leans on."""

    candidate: Candidate
    score: float
    before: Candidate | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What may answer one question, best first; empty if the library has nothing on it."""

    target: Target
    ranked: tuple[Ranked, ...]


class Pool:
    """The candidates of every passage that was found, each passage read once."""

    def __init__(self) -> None:
        self._of: dict[Key, list[Candidate]] = {}
        self._headings: dict[Key, frozenset[str]] = {}
        self._words: dict[Key, frozenset[str]] = {}

    def read(self, passage: Passage) -> Cooperative[None]:
        """Take the passage's sentences in."""
        key = passage.key
        if key not in self._of:
            self._headings[key] = frozenset(stems(f"{passage.title} {passage.section}"))
            self._words[key] = self._headings[key] | (yield from _stems(passage.text))
            self._of[key] = yield from read(passage)

    def sentences(self, passage: Passage) -> list[Candidate]:
        """The candidates of a passage that was read."""
        return self._of[passage.key]

    def heading(self, passage: Passage) -> frozenset[str]:
        """The stems of the passage's title and section."""
        return self._headings[passage.key]

    def words(self, passage: Passage) -> frozenset[str]:
        """The stems of all of the passage, its heading included."""
        return self._words[passage.key]

    def rarity(self) -> Cooperative[Rarity]:
        """How rare words are among all that was read."""
        rarity = Rarity()
        for found in self._of.values():
            for candidate in found:
                rarity.add(candidate.stems)
            yield
        return rarity


def _stems(text: str) -> Cooperative[frozenset[str]]:
    """The stems of a text, a few words at a time."""
    found: set[str] = set()
    said = text.split()
    for start in range(0, len(said), _WORDS_AT_ONCE):
        found.update(stems(" ".join(said[start : start + _WORDS_AT_ONCE])))
        yield
    return frozenset(found)


def answers(plan: Plan, evidence: tuple[Evidence, ...]) -> Cooperative[list[Answers]]:
    """For each piece of evidence, what may answer its question."""
    pool = Pool()
    for found in evidence:
        for passage in found.passages:
            yield from pool.read(passage)
    rarity = yield from pool.rarity()
    result: list[Answers] = []
    for found in evidence:
        others = [other for other in plan.questions if not other.of and other != found.question]
        aim = yield from target(found.question, others, plan.intents, rarity)
        passages = _with_others(found, evidence) if aim.comparing else found.passages
        result.append((yield from _answers(passages, aim, pool)))
    return result


def _with_others(found: Evidence, evidence: tuple[Evidence, ...]) -> tuple[Passage, ...]:
    """The passages on one of the things compared, then those on the others, which may name it."""
    rest = [passage for other in evidence if other is not found for passage in other.passages]
    return tuple({passage.key: passage for passage in (*found.passages, *rest)}.values())


def _answers(passages: Sequence[Passage], aim: Target, pool: Pool) -> Cooperative[Answers]:
    theme = Theme()
    focus_of: dict[int, float] = {}
    for rank, passage in enumerate(passages):
        if _is_on(pool.words(passage), aim):
            focus_of[rank] = focus(passage, rank, pool.words(passage), aim)
            theme.add(passage, pool.sentences(passage))
        yield
    least = (COMPARED if aim.comparing else IN_FOCUS) * max(focus_of.values(), default=0.0)
    scored: list[tuple[float, Ranked]] = []
    for rank, around in focus_of.items():
        if around < least:
            continue
        passage = passages[rank]
        for share, ranked in _scored(pool.sentences(passage), rank, aim, pool.heading(passage)):
            points = ranked.score + _PASSAGE * around + theme.points(ranked.candidate)
            scored.append((share, replace(ranked, score=points)))
            yield
    best = max((share for share, _ in scored), default=0.0)
    floor = max(SENTENCE_FLOOR, _OF_BEST * best)
    good = [ranked for share, ranked in scored if share >= floor]
    good = [ranked for ranked in good if not ranked.candidate.bare] or good
    good.sort(key=lambda ranked: -ranked.score)  # Stable: ties stay in the order of the search.
    return Answers(aim, tuple(good[:_MOST_RANKED]))


def _is_on(said: frozenset[str], aim: Target) -> bool:
    """Whether a passage is on the question: it names most of it, its own part, and what was lent."""
    if aim.share(said, aim.needed) < PASSAGE_FLOOR or not aim.names_own(said):
        return False
    return not aim.context or not aim.context.isdisjoint(said)


def _scored(
    sentences: list[Candidate], rank: int, aim: Target, heading: frozenset[str]
) -> Iterator[tuple[float, Ranked]]:
    """Each sentence that may speak to the question, with its coverage and its score."""
    at_place = {candidate.place: candidate for candidate in sentences}
    for candidate in sentences:
        before = at_place.get(candidate.place - 1) if candidate.follows else None
        lent = heading | candidate.under
        lent |= before.stems if before and candidate.leans else frozenset()
        if aim.allows(candidate.stems, lent):
            share = coverage(candidate, lent, aim)
            yield share, Ranked(candidate, share + style(candidate, rank, aim), before)
