"""How documents are cut into excerpts, the units that a report quotes."""

from __future__ import annotations

from hypothesis import given
from layout_blocks import SENTENCE, any_blocks, items, prose, table

from actors.library.excerpts import LEAD_IN_WORDS, LIST_WORDS, ExcerptCut, cut_excerpts
from actors.library.layout import lay_out
from actors.library.parsing.blocks import Block
from actors.library.passages import cut_passages
from actors.tasks.words import terms


def excerpts(*blocks: Block) -> list[tuple[str, str]]:
    return [(cut.kind, cut.text) for cut in cut_excerpts(lay_out(blocks))]


def test_a_paragraph_is_an_excerpt_and_takes_the_code_that_follows() -> None:
    assert excerpts(Block("One."), Block("Two:"), Block("f()", "code"), Block("Three.")) == [
        ("paragraph", "One."),
        ("paragraph", "Two:\n\n    f()"),
        ("paragraph", "Three."),
    ]


def test_code_without_a_paragraph_is_an_excerpt() -> None:
    assert excerpts(Block("f()", "code"), Block("g()", "code")) == [("code", "    f()\n\n    g()")]


def test_a_short_list_is_one_excerpt_with_the_paragraph_that_announces_it() -> None:
    body = [Block("black", "item"), Block("white", "item", (), "", 1)]

    assert excerpts(Block("It has colours:"), *body) == [
        ("list", "It has colours:\n\n- black\n  - white")
    ]
    assert excerpts(Block("It ends here."), *body) == [
        ("paragraph", "It ends here."),
        ("list", "- black\n  - white"),
    ]


def test_a_long_lead_in_is_an_excerpt_of_its_own() -> None:
    long = Block("word " * LEAD_IN_WORDS + "more:")

    assert [kind for kind, _ in excerpts(long, Block("black", "item"))] == ["paragraph", "list"]


def test_a_long_list_is_quoted_item_by_item_each_with_the_lead_in() -> None:
    count = LIST_WORDS // 9 + 1
    nested = Block("A part of the last item.", "item", (), "", 1)

    found = excerpts(Block("Rules:"), *items(count), nested)

    assert len(found) == count
    assert found[0] == ("list", f"Rules:\n\n- {SENTENCE} 0")
    assert found[1] == ("list", f"Rules:\n- {SENTENCE} 1")
    last = f"Rules:\n- {SENTENCE} {count - 1}\n  - A part of the last item."
    assert found[-1] == ("list", last)


def test_an_item_keeps_what_belongs_to_it() -> None:
    blocks = [
        Block("Do this:", "item", (), "1."),
        Block("make", "code", (), "", 1),
        Block("Then wait.", "paragraph", (), "", 1),
        Block("Done.", "item", (), "2."),
        Block("Not of the list."),
    ]

    assert excerpts(*blocks) == [
        ("list", "1. Do this:\n\n    make\n\n  Then wait.\n\n2. Done."),
        ("paragraph", "Not of the list."),
    ]


def test_each_row_stands_under_the_header_of_its_table() -> None:
    other = [Block("other", "header"), Block("z", "row")]

    assert excerpts(*table(2), Block("Prose."), *other) == [
        ("row", "| name | value |\n| cell 0 | 0 |"),
        ("row", "| name | value |\n| cell 1 | 1 |"),
        ("paragraph", "Prose."),
        ("row", "| other |\n| z |"),
    ]
    assert excerpts(*table(0), Block("Prose."), Block("a | b", "row"))[1:] == [
        ("paragraph", "Prose."),
        ("row", "| a | b |"),
    ]
    assert excerpts(Block("alone", "header")) == [("row", "| alone |")]


def test_a_row_has_its_header_across_the_border_of_a_passage() -> None:
    layout = lay_out(table(200, "some cell"))
    assert len(cut_passages(layout)) > 2

    cuts = cut_excerpts(layout)

    assert len(cuts) == 200
    for number, cut in enumerate(cuts):
        assert cut.text == f"| name | value |\n| some cell {number} | {number} |"
        assert layout.text[cut.start : cut.end] == f"| some cell {number} | {number} |"


def test_a_term_stands_with_its_definition() -> None:
    blocks = [
        Block("f(x)", "term"),
        Block("f(x, y)", "term"),
        Block("Calls it.", "paragraph", (), "", 1),
        Block("f(1)", "code", (), "", 1),
        Block("g(x)", "term"),
        Block("Prose."),
    ]

    assert excerpts(*blocks) == [
        ("definition", "f(x)\n\nf(x, y)\n\n  Calls it.\n\n    f(1)"),
        ("definition", "g(x)"),
        ("paragraph", "Prose."),
    ]


def test_a_long_definition_ends_after_the_paragraph_that_makes_it_long() -> None:
    long = Block(" ".join([SENTENCE] * (LIST_WORDS // 8 + 1)), "paragraph", (), "", 1)

    found = excerpts(Block("f(x)", "term"), long, long, long)

    assert found == [
        ("definition", f"f(x)\n\n  {long.text}"),
        ("paragraph", long.text),
        ("paragraph", long.text),
    ]


def test_each_line_of_a_sheet_is_an_excerpt() -> None:
    assert excerpts(Block("Port: 80", "pair"), Block("Host: here", "pair")) == [
        ("pair", "Port: 80"),
        ("pair", "Host: here"),
    ]


def test_links_are_in_no_excerpt() -> None:
    assert excerpts(Block("Next page", "links")) == []
    assert excerpts(Block("Text."), Block("Next", "links")) == [("paragraph", "Text.")]


def test_the_first_excerpt_of_a_section_is_its_lead() -> None:
    one, two = ("One",), ("Two",)
    blocks = [Block("a", headings=one), Block("b", headings=one), Block("c", headings=two)]

    cuts = cut_excerpts(lay_out(blocks))

    assert [(cut.headings, cut.lead) for cut in cuts] == [(one, True), (one, False), (two, True)]


def test_a_paragraph_that_is_cut_is_several_excerpts() -> None:
    assert len(excerpts(prose(100))) == 4


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def _is_verbatim(cut: ExcerptCut, text: str) -> bool:
    """Whether all of it stands in the text: at its place, what is repeated before that."""
    own = text[cut.start : cut.end]
    repeated = cut.text.removesuffix(own)
    return cut.text.endswith(own) and (not repeated or repeated.removesuffix("\n") in text)


@given(any_blocks)
def test_excerpts_are_verbatim_and_every_block_but_links_is_in_one(blocks: list[Block]) -> None:
    layout = lay_out(blocks)
    cuts = cut_excerpts(layout)

    assert all(_is_verbatim(cut, layout.text) for cut in cuts)
    for piece in layout.pieces:
        text = layout.text[piece.start : piece.end]
        holders = [c for c in cuts if text in c.text and c.headings == piece.block.headings]
        assert bool(holders) or piece.block.kind == "links"


@given(any_blocks)
def test_excerpts_are_in_order_know_their_terms_and_stand_in_a_passage(
    blocks: list[Block],
) -> None:
    layout = lay_out(blocks)
    cuts, passages = cut_excerpts(layout), cut_passages(layout)

    starts = [cut.start for cut in cuts]
    assert starts == sorted(set(starts))
    for cut in cuts:
        assert cut.terms == " ".join(terms(cut.text))
        assert any(p.start <= cut.start < p.end and p.headings == cut.headings for p in passages)
