"""The short answer: the few sentences that say most about the whole task.

Rule: every question has its turn. When a task compares or asks for advice, sentences that name
more than one of its things and speak that way come first.
"""

from __future__ import annotations

from dataclasses import replace

from actors.agents.extractive.choosing import Choice
from actors.agents.extractive.intents import BY_NAME
from actors.agents.extractive.ranking import Answers, Ranked
from actors.agents.extractive.targets import Target
from actors.runtime.cooperative import Cooperative

MIN_SENTENCES = 2
MAX_SENTENCES = 4
_TOLD = {"recommend": 0.4, "compare": 0.2}
_MOST = 0.5
_MAX_BRIDGES = 2


def answer(
    found: list[Answers], intents: tuple[str, ...], choice: Choice
) -> Cooperative[list[Ranked]]:
    """The sentences of the answer in the order in which they were chosen."""
    with_any = [answers for answers in found if answers.ranked]
    if not with_any:
        return []
    if len(with_any) == 1:
        only = with_any[0]
        return (yield from choice.take(only.ranked, MIN_SENTENCES, only.target))
    judging = [name for name in _TOLD if name in intents]
    size = min(MAX_SENTENCES, max(MIN_SENTENCES, len(with_any) + 1))
    block: list[Ranked] = []
    if judging and not any(answers.target.context for answers in with_any):
        bridges = yield from _bridges(with_any, judging)
        block += yield from choice.take(bridges, _MAX_BRIDGES, with_any[0].target)
        size = MAX_SENTENCES
    for answers in with_any:
        if len(block) < size:
            ranked = _judged(answers, judging) if judging else answers.ranked
            block += yield from choice.take(ranked, 1, answers.target)
    if not block:  # Each of them leans on another sentence.
        block = yield from choice.take(with_any[0].ranked, MIN_SENTENCES, with_any[0].target)
    return block


def _bridges(found: list[Answers], judging: list[str]) -> Cooperative[list[Ranked]]:
    """Sentences that name at least two of the things, best advice first."""
    bridges: dict[str, Ranked] = {}
    for answers in found:
        for ranked in _judged(answers, judging):
            named = sum(1 for other in found if _names(ranked.candidate.stems, other.target))
            if named > 1:
                bridge = replace(ranked, score=ranked.score + 0.3 * named / len(found))
                bridges.setdefault(bridge.candidate.text, bridge)
            yield
    return sorted(bridges.values(), key=_by_score)


def _judged(answers: Answers, judging: list[str]) -> list[Ranked]:
    """What may answer one question, sentences first that judge as the task asks."""
    return sorted(
        (
            replace(ranked, score=ranked.score + _told(ranked.candidate.text, judging))
            for ranked in answers.ranked
        ),
        key=_by_score,
    )


def _told(text: str, judging: list[str]) -> float:
    return sum(_TOLD[name] for name in judging if BY_NAME[name].told.search(text))


def _by_score(ranked: Ranked) -> float:
    return -ranked.score


def _names(said: frozenset[str], target: Target) -> bool:
    """Whether a sentence names most of what tells this question from the others."""
    return target.share(said, target.own) > _MOST
