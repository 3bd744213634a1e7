"""How documents are cut into passages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.library.parsing.blocks import Block, Kind
from actors.library.passages import parts, passages

SENTENCE = "This sentence has exactly eight words in it."
LONG = " ".join([SENTENCE] * 100)


def test_a_short_section_is_one_passage() -> None:
    cuts = passages(
        [Block("A lock.", headings=("Locks",)), Block("Another lock.", headings=("Locks",))]
    )

    assert [(cut.section, cut.position, cut.text) for cut in cuts] == [
        ("Locks", 1, "A lock.\n\nAnother lock.")
    ]


def test_a_passage_never_reaches_into_the_next_section() -> None:
    cuts = passages(
        [
            Block(t, headings=("Top", h))
            for t, h in (("First.", "One"), ("Second.", "Two"), ("Third.", "One"))
        ]
    )

    assert [(cut.section, cut.position) for cut in cuts] == [("One", 1), ("Two", 2), ("One", 3)]


def test_a_long_paragraph_is_cut_between_sentences_after_about_200_words() -> None:
    cuts = passages([Block(LONG)])

    assert " ".join(cut.text for cut in cuts) == LONG
    assert all(cut.text.endswith(".") and cut.text.startswith("This") for cut in cuts)
    assert [len(cut.text.split()) for cut in cuts] == [200, 200, 200, 200]


def test_paragraphs_are_kept_whole_when_they_fit() -> None:
    paragraph = " ".join([SENTENCE] * 15)

    cuts = passages([Block(paragraph)] * 3)

    assert [cut.text for cut in cuts] == [paragraph + "\n\n" + paragraph, paragraph]


def test_what_announces_something_stays_with_what_it_announces() -> None:
    blocks = [Block(" ".join([SENTENCE] * 24)), Block("An example:")]
    blocks.append(Block("\n".join(["one two three four five six"] * 10), "code"))

    cuts = passages(blocks)

    assert cuts[1].text.startswith("An example:\n\n    one two")


def test_a_listing_or_a_list_that_fits_is_never_cut() -> None:
    prose_ = Block(" ".join([SENTENCE] * 20))
    listing = Block("\n".join(["one two three four five six"] * 20), "code")
    items = [Block(f"{SENTENCE} {n}", "item") for n in range(20)]

    for whole in ([listing], items):
        cuts = passages([prose_, *whole, prose_])

        (alone,) = passages(whole)
        assert sum(alone.text in cut.text for cut in cuts) == 1


def test_a_list_that_does_not_fit_is_cut_between_its_items() -> None:
    items = [Block(f"{SENTENCE} {n}", "item") for n in range(60)]

    cuts = passages(items)

    assert len(cuts) > 1
    assert all(line.startswith("- ") for cut in cuts for line in cut.text.split("\n"))


def test_a_short_rest_joins_the_passage_before() -> None:
    cuts = passages([Block(" ".join([SENTENCE] * 29)), Block("A short rest of it.")])

    assert len(cuts) == 1


def test_code_lists_and_tables_can_be_told_from_prose() -> None:
    blocks = [
        Block("Some prose."),
        Block("def f():\n\n    return 1", "code"),
        Block("first", "item"),
        Block("second", "item"),
        Block("a | b", "row"),
        Block("f(x)", "term"),
        Block("More prose."),
    ]

    (cut,) = passages(blocks)

    assert cut.text == (
        "Some prose.\n\n    def f():\n    \n        return 1\n\n- first\n- second\n\n| a | b\n\n"
        "f(x)\nMore prose."
    )
    assert [(part.kind, part.text) for part in parts(cut.text)] == [
        ("prose", "Some prose."),
        ("listing", "def f():\n\n    return 1"),
        ("item", "first"),
        ("item", "second"),
        ("row", "a | b"),
        ("prose", "f(x)\nMore prose."),
    ]


def test_prose_of_several_lines_is_one_paragraph() -> None:
    assert [part.text for part in parts("one\ntwo\n\nthree")] == ["one\ntwo", "three"]


def test_links_are_passages_of_their_own() -> None:
    cuts = passages([Block("Text."), Block("Next page", "links")])

    assert [(cut.text, cut.links) for cut in cuts] == [("Text.", False), ("| Next page", True)]


def test_an_endless_word_is_cut_all_the_same() -> None:
    cuts = passages([Block("x" * 100_000)])

    assert max(len(cut.text) for cut in cuts) <= 2_400
    assert "".join(cut.text for cut in cuts) == "x" * 100_000


KINDS: list[Kind] = ["paragraph", "item", "code", "row", "pair", "term"]
texts = st.text(alphabet="ab. \n!", min_size=1, max_size=900).filter(lambda text: text.strip())


@given(st.lists(st.builds(Block, texts, st.sampled_from(KINDS), st.sampled_from([(), ("s",)]))))
def test_nothing_is_lost_and_positions_count_from_one(blocks: list[Block]) -> None:
    cuts = passages(blocks)

    def letters(text: str) -> int:
        return sum(text.count(letter) for letter in "ab.!")

    assert sum(letters(cut.text) for cut in cuts) == sum(letters(block.text) for block in blocks)
    assert [cut.position for cut in cuts] == list(range(1, len(cuts) + 1))
