"""Which passages a question is answered from: those that are about it, not all that name its words.

Rule: a passage is weighed as a whole before any of its sentences is. What a good passage says in its
own order reads better than the best sentences of many.

The weights were set with `tests/bench/answer_focus.py`, and by reading reports.
"""

from __future__ import annotations

import math
import re

from actors.agents.extractive.targets import Target
from actors.tasks.evidence import Passage
from actors.tasks.words import stems

IN_FOCUS = 0.75
"""The share of the best passage's focus that another one needs to be answered from."""

COMPARED = 0.55
"""That share where things are compared: what tells them apart stands in many places."""

_TEXT = 0.4
_HEADING = 0.4
_RANK = 0.3
_ASIDE = 0.05
_OTHER_SIDES = 0.3
"""How much it counts, where things are compared, that a passage names the others too."""

_NAME = re.compile(r"\s+[—–-]\s+|:\s+")
"""What ends the name in a title such as "threading — Thread-based parallelism"."""


def focus(passage: Passage, rank: int, said: frozenset[str], aim: Target) -> float:
    """How much a passage is about the question, from 0 to about 1.4.

    `rank` is its place in the search, from 0, and `said` holds the stems of all of it.
    """
    beside = (_OTHER_SIDES if aim.comparing else _ASIDE) * aim.share(said, aim.aside)
    body = _TEXT * aim.share(said, aim.measured)
    return beside + body + _HEADING * _headed(passage, aim) + _RANK / (1 + rank / 4)


def _headed(passage: Passage, aim: Target) -> float:
    """How well its heading is the question: it names all of that, and nothing else."""
    heading = {w for w in stems(passage.section or _NAME.split(passage.title)[0]) if w.isalpha()}
    if not heading:
        return 0.0
    wanted = sum(1 for word in heading if aim.names_any(frozenset((word,))))
    return math.sqrt(aim.share(frozenset(heading), aim.measured) * wanted / len(heading))
