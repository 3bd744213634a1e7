"""How documents are cut into passages."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from layout_blocks import SENTENCE, any_blocks, items, prose, table

from actors.library.layout import lay_out
from actors.library.parsing.blocks import Block
from actors.library.passages import MOST_WORDS, SHORT_WORDS, PassageCut, cut_passages
from actors.tasks.words import terms


def passages(*blocks: Block) -> tuple[PassageCut, ...]:
    return cut_passages(lay_out(blocks))


def test_a_short_section_is_one_passage() -> None:
    cuts = passages(Block("A lock.", headings=("Locks",)), Block("Another.", headings=("Locks",)))

    assert [(cut.section, cut.position, cut.text) for cut in cuts] == [
        ("Locks", 1, "A lock.\n\nAnother.")
    ]


def test_a_passage_never_reaches_into_the_next_section() -> None:
    paths = (("Top", "One"), ("Top", "Two"), ("Top", "One"))
    cuts = passages(*(Block(path[1], headings=path) for path in paths))

    assert [(cut.headings, cut.position, cut.text) for cut in cuts] == [
        (paths[0], 1, "One"),
        (paths[1], 2, "Two"),
        (paths[2], 3, "One"),
    ]


def test_paragraphs_are_kept_whole_when_they_fit() -> None:
    whole = prose(12)

    cuts = passages(whole, whole, whole)

    assert [cut.text for cut in cuts] == [f"{whole.text}\n\n{whole.text}", whole.text]


def test_what_announces_something_stays_with_what_it_announces() -> None:
    code = Block("\n".join(["one two three four five six"] * 10), "code")
    for lead_in in (Block("An example:"), Block("例：", "paragraph"), Block("f(x)", "term")):
        cuts = passages(prose(24), lead_in, code)

        assert cuts[1].text.startswith(f"{lead_in.text}\n\n    one two")


def test_an_announcement_that_is_too_long_for_the_next_passage_stays() -> None:
    long = Block(f"{prose(20).text} Such as:")

    cuts = passages(prose(5), long, *items(20))

    assert [cut.text.endswith("Such as:") for cut in cuts] == [True, False]


def test_a_list_or_a_table_that_fits_is_never_cut() -> None:
    for whole in (items(20), table(30)):
        (alone,) = passages(*whole)

        cuts = passages(prose(20), *whole, prose(20))

        assert sum(alone.text in cut.text for cut in cuts) == 1


def test_a_list_that_does_not_fit_is_cut_between_its_items() -> None:
    cuts = passages(*items(60))

    assert len(cuts) > 1
    lines = [line for cut in cuts for line in cut.text.split("\n")]
    assert lines == [f"- {SENTENCE} {number}" for number in range(60)]


def test_a_short_rest_joins_the_passage_before() -> None:
    assert len(passages(prose(25), prose(4), Block("A short rest of it."))) == 1
    assert len(passages(prose(25), prose(10))) == 2


def test_links_are_passages_of_their_own_that_are_not_searched() -> None:
    cuts = passages(Block("Text."), Block("Next page", "links"), Block("More."))

    assert [(cut.text, cut.links) for cut in cuts] == [
        ("Text.", False),
        ("- Next page", True),
        ("More.", False),
    ]


@given(any_blocks)
def test_passages_are_slices_in_order_that_leave_nothing_out(blocks: list[Block]) -> None:
    layout = lay_out(blocks)
    cuts = cut_passages(layout)

    assert [cut.position for cut in cuts] == list(range(1, len(cuts) + 1))
    assert all(cut.text == layout.text[cut.start : cut.end] for cut in cuts)
    assert all(one.end <= other.start for one, other in pairwise(cuts))
    for piece in layout.pieces:
        (holder,) = [c for c in cuts if c.start <= piece.start and piece.end <= c.end]
        assert holder.headings == piece.block.headings
        assert holder.links == (piece.block.kind == "links")


@given(any_blocks)
def test_passages_are_bounded_and_know_their_terms(blocks: list[Block]) -> None:
    layout = lay_out(blocks)

    for cut in cut_passages(layout):
        inside = [p.words for p in layout.pieces if cut.start <= p.start and p.end <= cut.end]
        assert sum(inside) <= MOST_WORDS + SHORT_WORDS
        assert cut.terms == " ".join(terms(cut.text))
