"""Whether a passage supports a statement, by the words that they share.

The measure is K-Precision, the share of a statement's words that stand in the passage: V. Adlakha,
P. BehnamGhader, X. H. Lu, N. Meade and S. Reddy, "Evaluating Correctness and Faithfulness of
Instruction-Following Models for Question Answering", TACL 2024 (arXiv 2307.16877, 2023), where it
agrees best with people on faithfulness among the measures that compare words. Three things differ:

- Words count by their stems, and those that carry no meaning ("the", "of") do not count.
- They are looked for in three neighbouring sentences, with the passage's title and heading, rather
  than in all of it: from 200 words nearly any statement on the subject can be put together.
- A statement is supported if four fifths of its words are there, and all of its numbers, and a
  negation if it has one.

What it misses, as it only compares words: who does what to whom ("A waits for B" and "B waits for
A" are the same to it), a negation left out or moved, and a false word among four true ones. And it
is strict where a model writes freely: a true statement in other words counts as unsupported, so
that for such reports it is a lower bound. For sentences quoted word for word it is exact.

Rule: pure, and no statement is supported by less than its best three sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from actors.library.sentences import sentences
from actors.tasks.evidence import Source
from actors.tasks.words import stems

THRESHOLD = 0.8
"""The share of a statement's words that have to be there."""

_NEIGHBOURS = 3
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|cannot|without)\b|n['’]t\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says, as far as words tell: the stems of its words, and whether it negates."""

    stems: frozenset[str]
    negates: bool

    def __or__(self, other: Said) -> Said:
        return Said(self.stems | other.stems, self.negates or other.negates)

    def k_precision(self, statement: Said) -> float:
        """The share of the statement's words that stand here, 0 to 1."""
        here = len(statement.stems & self.stems)
        return here / len(statement.stems) if statement.stems else 0.0

    def supports(self, statement: Said) -> bool:
        """Whether enough of the statement's words stand here, all numbers and a negation too."""
        numbers = {stem for stem in statement.stems if any(c.isdigit() for c in stem)}
        return (
            self.k_precision(statement) >= THRESHOLD
            and numbers <= self.stems
            and (self.negates or not statement.negates)
        )


NOTHING = Said(frozenset(), False)


def said(text: str) -> Said:
    """What a text says."""
    return Said(frozenset(stems(text)), _NEGATION.search(text) is not None)


def closest(source: Source, statement: Said) -> Said:
    """The neighbouring sentences of a source that come closest to supporting the statement."""
    heading = said(f"{source.title} {source.section}")
    every = [heading | window for window in _windows(sentences(source.text))]
    return max(
        every,
        key=lambda w: (w.supports(statement), w.k_precision(statement)),
        default=NOTHING,
    )


def _windows(every: Sequence[str]) -> list[Said]:
    parts = [said(sentence) for sentence in every]
    ends = range(min(_NEIGHBOURS, len(parts)), len(parts) + 1)
    windows = [parts[max(0, end - _NEIGHBOURS) : end] for end in ends if end]
    return [_joined(window) for window in windows]


def _joined(parts: Sequence[Said]) -> Said:
    whole = NOTHING
    for part in parts:
        whole |= part
    return whole
