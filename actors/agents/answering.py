"""The short answer: the few sentences that say most about the whole task.

Rule: every question has its turn. When a task compares or asks for advice, sentences that name
more than one of its things and speak that way come first.
"""

from __future__ import annotations

from actors.agents.choosing import Choice
from actors.agents.intents import BY_NAME
from actors.agents.ranking import Answers, Ranked
from actors.agents.slices import Sliced
from actors.agents.targets import Target

MIN_SENTENCES = 2
MAX_SENTENCES = 4
_TOLD = {"recommend": 0.4, "compare": 0.2}
_MOST = 0.5
_MAX_BRIDGES = 2


def answer(found: list[Answers], intents: tuple[str, ...], choice: Choice) -> Sliced[list[Ranked]]:
    """The sentences of the answer in the order in which they were chosen."""
    with_any = [answers for answers in found if answers.ranked]
    if len(with_any) == 1:
        return (yield from choice.take(with_any[0].ranked, MIN_SENTENCES))
    judging = [name for name in _TOLD if name in intents]
    size = min(MAX_SENTENCES, max(MIN_SENTENCES, len(with_any) + 1))
    block: list[Ranked] = []
    if judging and not any(answers.target.context for answers in with_any):
        block += yield from choice.take(_bridges(with_any, judging), _MAX_BRIDGES)
        size = MAX_SENTENCES
    for answers in with_any:
        if len(block) < size:
            block += yield from choice.take(answers.ranked, 1)
    return block


def _bridges(found: list[Answers], judging: list[str]) -> list[Ranked]:
    """Sentences that name at least two of the things, best advice first."""
    bridges: list[Ranked] = []
    for answers in found:
        for ranked in answers.ranked:
            named = sum(1 for other in found if _names(ranked.candidate.stems, other.target))
            if named > 1:
                text = ranked.candidate.text
                told = sum(_TOLD[n] for n in judging if BY_NAME[n].told.search(text))
                points = ranked.score + 0.3 * named / len(found) + told
                bridges.append(Ranked(ranked.candidate, points, ranked.before))
    return sorted(bridges, key=lambda ranked: -ranked.score)


def _names(said: frozenset[str], target: Target) -> bool:
    """Whether a sentence names most of what tells this question from the others."""
    return target.share(said, target.own) > _MOST
