"""Search: fusion of rankings, and which of the found passages are shown."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from actors.library.retrieval import fused
from actors.library.selection import selected
from actors.tasks.evidence import Passage

# --- Fusion -----------------------------------------------------------------------------------


def test_what_several_rankings_hold_comes_before_what_one_does() -> None:
    scores = fused([[1, 2, 3], [4, 3]], 9)

    assert list(scores) == [3, 1, 4, 2]
    assert scores[3] == pytest.approx(1 / 63 + 1 / 62)
    assert scores[1] == pytest.approx(1 / 61)


def test_one_ranking_stays_as_it_is() -> None:
    assert list(fused([[3, 1, 2], []], 2)) == [3, 1]


# --- Selection --------------------------------------------------------------------------------

LONG = "Every actor has one mailbox, and every mailbox holds only so many letters at a time"


def passage(document: str, position: int, text: str = "", score: float = 1.0) -> Passage:
    return Passage(document, document, "", position, text or f"{document} {position}", score)


def test_of_near_duplicates_only_the_best_is_shown() -> None:
    found = [passage("a", 1, LONG), passage("b", 1, f"{LONG}!"), passage("c", 1, "Another text.")]

    assert selected(found, 10) == (found[0], found[2])


def test_passages_that_share_some_words_are_both_shown() -> None:
    found = [passage("a", 1, LONG), passage("b", 1, f"{LONG}, unlike a stack of unread mail.")]

    assert selected(found, 10) == tuple(found)


@pytest.mark.parametrize("seed", range(20))
def test_folding_leaves_what_comparing_all_pairs_would(seed: int) -> None:
    rng = Random(seed)
    first = [rng.choice("abcdefgh") * rng.randint(1, 3) for _ in range(120)]
    found: list[Passage] = []
    for number in range(16):
        words = list(rng.choice(found).text.split() if found and rng.random() < 0.7 else first)
        for _ in range(rng.choice((0, 1, 2, 4, 8))):
            words[rng.randrange(len(words))] = f"word{rng.randrange(10**9)}"
        found.append(passage(f"d{number}", 1, " ".join(words[: rng.choice((3, 40, 120))])))

    kept: list[Passage] = []
    for one in found:
        if all(resemblance(one.text, other.text) < 0.8 for other in kept):
            kept.append(one)

    assert selected(found, 16) == tuple(kept)


def resemblance(one: str, other: str) -> float:
    """The Jaccard similarity of the runs of five words, straight from its definition."""
    runs = []
    for words in (one.split(), other.split()):
        starts = range(max(len(words) - 4, 1))
        runs.append({tuple(words[start : start + 5]) for start in starts})
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def test_no_document_takes_all_places_while_others_wait() -> None:
    found = [passage("a", 2 * n) for n in range(9)] + [passage("b", 1), passage("c", 1)]

    assert [one.document_id for one in selected(found, 5)] == ["a", "a", "a", "b", "c"]
    assert [one.document_id for one in selected(found, 7)].count("a") == 5
    assert len(selected(found, 20)) == 11


def test_what_continues_a_passage_follows_it_in_the_order_of_the_text() -> None:
    found = [passage("a", 4, score=9), passage("b", 1, score=8), passage("a", 5, score=7)]
    found += [passage("a", 3, score=6), passage("a", 9, score=5)]

    shown = selected(found, 10)

    assert [(one.document_id, one.position) for one in shown] == [
        *(("a", 4), ("a", 3), ("a", 5)),
        *(("b", 1), ("a", 9)),
    ]
    assert [one.score for one in shown] == [9, 9, 9, 8, 5]
    assert {replace(one, score=0.0) for one in shown} == {replace(one, score=0.0) for one in found}
