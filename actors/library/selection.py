"""Select which of the found passages are shown, and in which order.

Rule: passages are left out or moved, never joined or cut, because their text is cited verbatim.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from actors.tasks.evidence import Passage

SHINGLE_WORDS = 5
SAME = 0.8
"""The Jaccard similarity of shingles from which on two passages are duplicates."""

_MOST_HOLDERS = 16
"""The most passages kept for a shingle, so that frequent phrases cost little."""

_WORD = re.compile(r"\w+")


def selected(found: Iterable[Passage], limit: int) -> tuple[Passage, ...]:
    """At most `limit` of the passages, which come best first.

    Of near-duplicates the best is kept. No document gets more than a third of the places (but at
    least three) while other documents have passages left. A passage right before or after a better
    one in their document follows that at once, with its score.
    """
    return tuple(_gathered(_varied(_folded(found), limit)))


def _folded(found: Iterable[Passage]) -> Iterator[Passage]:
    """The passages without those that are near-duplicates of an earlier one.

    Near means a Jaccard similarity of their shingles (runs of five words) of at least `SAME`. Two
    such sets share one of their smallest members, so only those few are looked up.
    Sources: Broder, "On the resemblance and containment of documents", 1997; Bayardo, Ma and
    Srikant, "Scaling up all pairs similarity search", 2007.
    """
    numbers: dict[str, int] = defaultdict(count().__next__)
    holders: dict[int, list[int]] = {}
    kept: list[set[int]] = []
    for passage in found:
        shingles = _shingles(passage.text, numbers)
        smallest = sorted(shingles)[: len(shingles) - int(SAME * len(shingles)) + 1]
        alike = {holder for each in smallest for holder in holders.get(each, ())}
        if any(_is_same(shingles, kept[holder]) for holder in alike):
            continue
        for each in smallest:
            if len(held_by := holders.setdefault(each, [])) < _MOST_HOLDERS:
                held_by.append(len(kept))
        kept.append(shingles)
        yield passage


def _is_same(one: set[int], other: set[int]) -> bool:
    common = len(one & other)
    return common / (len(one) + len(other) - common) >= SAME


def _shingles(text: str, numbers: dict[str, int]) -> set[int]:
    """Every run of five words, or the whole text if it is shorter, each as one number.

    A word is the number that `numbers` gives it. Hashes of words would differ between processes, and
    tuples of them would keep the garbage collector busy.
    """
    words = [numbers[word] for word in _WORD.findall(text.lower())]
    runs = zip(*(words[shift:] for shift in range(SHINGLE_WORDS)), strict=False)
    return set(map(hash, runs)) or {hash(tuple(words))}


def _varied(found: Iterable[Passage], limit: int) -> list[Passage]:
    """The first `limit`, with passages over their document's share only where there is room.

    It takes no more passages than it needs to fill the places.
    """
    share = max(3, limit // 3)
    taken: Counter[str] = Counter()
    seen: list[Passage] = []
    within, beyond = list[int](), list[int]()
    for passage in found:
        taken[passage.document_id] += 1
        (within if taken[passage.document_id] <= share else beyond).append(len(seen))
        seen.append(passage)
        if len(within) == limit:
            break
    return [seen[at] for at in sorted((within + beyond)[:limit])]


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
