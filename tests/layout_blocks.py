"""Blocks for the tests of layouts, passages and excerpts: any that a parser may make."""

from __future__ import annotations

from hypothesis import strategies as st

from actors.library.parsing.blocks import Block, Kind

KINDS: list[Kind] = ["paragraph", "item", "code", "term", "header", "row", "pair", "links"]
HEADINGS: list[tuple[str, ...]] = [(), ("One",), ("One", "Deep"), ("Two",), ("One", "Deep", "er")]

words = st.sampled_from(
    ["an", "owl", "sleeps.", "Why?", "是的。", "e.g.", "a:", "x" * 300, "ü", "|"]
)
lines = st.lists(words, min_size=1, max_size=60).map(" ".join)
texts = st.one_of(
    lines,
    st.lists(lines, min_size=2, max_size=8).map("\n".join),
    st.integers(40, 120).map(lambda count: "An owl sleeps by day. " * count + "It hunts."),
)
any_block = st.builds(
    Block,
    texts,
    st.sampled_from(KINDS),
    st.sampled_from(HEADINGS),
    st.sampled_from(["", "3.", "a)"]),
    st.integers(0, 2),
)
any_blocks = st.lists(any_block, max_size=12)

SENTENCE = "This sentence has exactly eight words in it."


def prose(sentences: int) -> Block:
    """A paragraph of so many sentences of eight words."""
    return Block(" ".join([SENTENCE] * sentences))


def items(count: int, text: str = SENTENCE) -> list[Block]:
    """A list of numbered items."""
    return [Block(f"{text} {number}", "item") for number in range(count)]


def table(rows: int, cell: str = "cell") -> list[Block]:
    """A table with a header."""
    header = Block("name | value", "header")
    return [header, *(Block(f"{cell} {number} | {number}", "row") for number in range(rows))]
