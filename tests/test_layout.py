"""The text of a document, and the place of each block in it."""

from __future__ import annotations

from hypothesis import given
from layout_blocks import any_blocks, prose

from actors.library.layout import CHARACTERS_PER_WORD, MAX_WORDS, lay_out, size_of
from actors.library.parsing.blocks import Block

LOCKS = ("Locks",)
LISTING = "def f():\n\n    return 1"


def test_each_kind_of_block_has_its_form_in_the_text() -> None:
    layout = lay_out(
        [
            Block("Some prose.", headings=LOCKS),
            Block("first", "item", LOCKS),
            Block("second", "item", LOCKS, "3.", 1),
            Block("It belongs to the item.", "paragraph", LOCKS, "", 1),
            Block("name | size", "header", LOCKS),
            Block("a | b", "row", LOCKS),
            Block("Port: 80", "pair", LOCKS),
            Block("Host: here", "pair", LOCKS),
            Block("f(x)", "term", LOCKS),
            Block(LISTING, "code", LOCKS),
            Block("Next page", "links", LOCKS),
        ]
    )

    assert layout.text == (
        "Locks\n\n"
        "Some prose.\n\n"
        "- first\n  3. second\n\n"
        "  It belongs to the item.\n\n"
        "| name | size |\n| a | b |\n\n"
        "Port: 80\nHost: here\n\n"
        "f(x)\n\n"
        "    def f():\n    \n        return 1\n\n"
        "- Next page"
    )


def test_a_heading_is_written_when_its_section_begins() -> None:
    paths = [(), ("A",), ("A", "B"), ("A", "C"), ("A",), ("A", "C")]
    blocks = [Block(str(number), headings=path) for number, path in enumerate(paths)]

    text = lay_out(blocks).text

    assert text.split("\n\n") == ["0", "A", "1", "B", "2", "C", "3", "4", "C", "5"]


def test_rows_under_different_headings_do_not_touch() -> None:
    layout = lay_out([Block("a", "row", ("A",)), Block("b", "row", ("B",))])

    assert layout.text == "A\n\n| a |\n\nB\n\n| b |"


def test_no_blocks_make_no_text() -> None:
    assert lay_out([]).text == ""


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    layout = lay_out([prose(100)])

    assert [piece.words for piece in layout.pieces] == [200, 200, 200, 200]
    parts = [layout.text[piece.start : piece.end] for piece in layout.pieces]
    assert all(part.startswith("This") and part.endswith("it.") for part in parts)
    assert " ".join(parts) == layout.text


def test_long_code_is_cut_between_lines() -> None:
    layout = lay_out([Block("\n".join(f"line {n} of it" for n in range(200)), "code")])

    parts = [layout.text[piece.start : piece.end] for piece in layout.pieces]
    assert len(parts) > 2
    assert "\n".join(parts) == layout.text


def test_an_endless_word_is_cut_all_the_same() -> None:
    layout = lay_out([Block("x" * 100_000)])

    parts = [layout.text[piece.start : piece.end] for piece in layout.pieces]
    assert max(map(len, parts)) <= MAX_WORDS * CHARACTERS_PER_WORD
    assert "".join(parts) == "x" * 100_000


def test_a_text_without_blanks_counts_by_its_characters() -> None:
    assert size_of("one two three") == 3
    assert size_of("数据库" * 100) == 300 // CHARACTERS_PER_WORD


@given(any_blocks)
def test_pieces_are_in_order_bounded_and_hold_all_that_blocks_hold(blocks: list[Block]) -> None:
    layout = lay_out(blocks)

    at = 0
    for piece in layout.pieces:
        assert at <= piece.start < piece.end <= len(layout.text)
        assert piece.words == size_of(layout.text[piece.start : piece.end]) <= MAX_WORDS
        at = piece.end
    for block in blocks:
        own = [piece for piece in layout.pieces if piece.block is block]
        held = "".join(layout.text[piece.start : piece.end] for piece in own)
        assert "".join(block.text.split()) in "".join(held.split())


@given(any_blocks)
def test_a_block_stands_in_the_text_word_for_word(blocks: list[Block]) -> None:
    text = lay_out(blocks).text

    for block in blocks:
        lines = block.text.split("\n")
        as_code = "\n".join(f"    {line}" for line in lines)
        assert (as_code if block.kind == "code" else block.text) in text
