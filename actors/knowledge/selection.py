"""Which of the passages that were found are shown, and in which order.

Rule: passages are left out or moved, never joined or cut: their text stays the document's own, word
for word, because it is cited.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from actors.tasks.evidence import Passage

SHINGLE_WORDS = 5
SAME = 0.8
"""Two passages that share this part of all their shingles say the same."""

_MOST_HOLDERS = 16
"""Passages that a shingle is remembered of, so that phrases which are everywhere cost little."""

Shingle = tuple[str, ...]
_WORD = re.compile(r"\w+")


def selected(found: Iterable[Passage], limit: int) -> tuple[Passage, ...]:
    """At most `limit` of the passages, which come best first.

    Of near-duplicates the best is kept. No document gets more than a third of the places (but at
    least three) while others wait. A passage that stands right before or after a better one in their
    document follows it at once, and counts as much.
    """
    return tuple(_gathered(_varied(list(_folded(found)), limit)))


def _folded(found: Iterable[Passage]) -> Iterator[Passage]:
    """The passages without those that are near-duplicates of an earlier one.

    Near means a Jaccard similarity of their shingles (runs of five words) of at least `SAME`.
    Source: Broder, "On the resemblance and containment of documents", 1997.
    """
    holders: dict[Shingle, list[int]] = {}
    sizes: list[int] = []
    for passage in found:
        shingles = _shingles(passage.text)
        shared = Counter(holder for each in shingles for holder in holders.get(each, ()))
        if any(
            common >= SAME * (len(shingles) + sizes[holder] - common)
            for holder, common in shared.items()
        ):
            continue
        for each in shingles:
            if len(held_by := holders.setdefault(each, [])) < _MOST_HOLDERS:
                held_by.append(len(sizes))
        sizes.append(len(shingles))
        yield passage


def _shingles(text: str) -> set[Shingle]:
    """Every run of five words; the whole text if it is shorter."""
    words = _WORD.findall(text.lower())
    last = max(len(words) - SHINGLE_WORDS, 0)
    return {tuple(words[at : at + SHINGLE_WORDS]) for at in range(last + 1)}


def _varied(found: Sequence[Passage], limit: int) -> list[Passage]:
    """The first `limit`, with passages over their document's share only where there is room."""
    share = max(3, limit // 3)
    taken: Counter[str] = Counter()
    within, beyond = list[int](), list[int]()
    for at, passage in enumerate(found):
        taken[passage.document_id] += 1
        (within if taken[passage.document_id] <= share else beyond).append(at)
    return [found[at] for at in sorted((within + beyond)[:limit])]


def _gathered(found: Sequence[Passage]) -> Iterator[Passage]:
    """The passages, each followed by its neighbours in the order of the text."""
    places = {(passage.document_id, passage.position): passage for passage in found}
    for passage in found:
        document = passage.document_id
        if (document, passage.position) not in places:
            continue
        first = last = passage.position
        while (document, first - 1) in places:
            first -= 1
        while (document, last + 1) in places:
            last += 1
        yield places.pop((document, passage.position))
        for position in range(first, last + 1):
            if position != passage.position:
                yield replace(places.pop((document, position)), score=passage.score)
