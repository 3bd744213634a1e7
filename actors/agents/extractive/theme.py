"""What the passages on a question have in common, so that what is typical comes before trivia.

Rule: typical is what many sentences say, not what one says often.

Source: the centroid of a cluster as in MEAD (D. Radev, H. Jing and M. Budzikowska, "Centroid-based
summarization of multiple documents", 2000).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from actors.agents.extractive.candidates import Candidate
from actors.tasks.evidence import Passage

_CENTROID = 0.15
_DOCUMENT = 0.12


class Theme:
    """How often each stem, and each document, is there among the sentences on a question."""

    def __init__(self) -> None:
        self._stems: Counter[str] = Counter()
        self._documents: Counter[str] = Counter()
        self._most_said = 0
        self._most_found = 0

    def add(self, passage: Passage, sentences: Iterable[Candidate]) -> None:
        """Take a passage on the question in, with its sentences."""
        self._documents[passage.document_id] += 1
        self._most_found = max(self._most_found, self._documents[passage.document_id])
        for candidate in sentences:
            self._stems.update(candidate.stems)
            said = max((self._stems[word] for word in candidate.stems), default=0)
            self._most_said = max(self._most_said, said)

    def points(self, candidate: Candidate) -> float:
        """How typical a sentence is of them, and its document."""
        if not candidate.stems or not self._most_said:
            return 0.0
        said = sum(math.log1p(self._stems[word]) for word in candidate.stems)
        document = self._documents[candidate.passage.document_id] / self._most_found
        typical = said / len(candidate.stems) / math.log1p(self._most_said)
        return _CENTROID * typical + _DOCUMENT * document
