"""What each weight of choosing does: excerpts that differ in one thing, and which of them comes first.

Rule: each test fails if its weight is switched off.
"""

from __future__ import annotations

from dataclasses import replace

from reporting import library_of

from actors.agents.extractive.choose import MOST_EXCERPTS, MOST_WORDS, choose
from actors.library.retrieval import Query
from actors.runtime.cooperative import at_once
from actors.tasks.evidence import Evidence, Excerpt
from actors.tasks.plan import Question

WEIGHTS = {"frog": 1.0, "sing": 1.0}
OWN = ("alder birch cedar", "dogwood elm fir", "gorse hazel ivy", "juniper kapok larch")
"""Words that keep excerpts unlike each other."""


def excerpt(text: str, document: str = "d", position: int = 1, score: float = 1.0) -> Excerpt:
    start = position * 1_000
    return Excerpt(
        *(document, "Notes", (), position, start, start + len(text), "paragraph", text),
        passage_score=1.0,
        score=score,
    )


def chosen(*excerpts: Excerpt, sides: tuple[str, ...] = ()) -> list[str]:
    """The texts that are shown, in their order."""
    question = Question("s2", "Why do frogs sing?", "why do frogs sing", sides=sides)
    evidence = Evidence(question, excerpts=excerpts, weights=WEIGHTS, units=10)
    return [one.text for one in at_once(choose(evidence)).excerpts]


def test_an_excerpt_that_covers_more_of_the_question_comes_first() -> None:
    half = excerpt(f"A frog of {OWN[0]}.", position=1, score=1.0)
    whole = excerpt(f"The frog will sing of {OWN[1]}.", position=2, score=0.85)

    assert chosen(half, whole)[0] == whole.text


def test_an_excerpt_under_a_heading_of_the_question_comes_first() -> None:
    plain = excerpt(f"A frog of {OWN[0]}.", position=1, score=1.0)
    headed = replace(excerpt(f"A frog of {OWN[1]}.", position=2, score=0.95), headings=("Sing",))

    assert chosen(plain, headed)[0] == headed.text


def test_an_excerpt_of_the_document_with_most_of_the_evidence_comes_first() -> None:
    alone = excerpt(f"A frog of {OWN[0]}.", "a", 1, score=1.0)
    one = excerpt(f"A frog of {OWN[1]}.", "b", 1, score=0.98)
    more = excerpt(f"A tree of {OWN[2]}.", "b", 2, score=0.1)

    assert chosen(alone, one, more)[0] == one.text


def test_the_opening_of_a_section_comes_first() -> None:
    later = excerpt(f"A frog of {OWN[0]}.", position=1, score=1.0)
    opening = replace(excerpt(f"A frog of {OWN[1]}.", position=2, score=0.95), lead=True)

    assert chosen(later, opening)[0] == opening.text


def test_the_opening_of_a_document_comes_first() -> None:
    other = excerpt(f"A frog of {OWN[0]}.", "a", score=1.0)
    opening = replace(excerpt(f"A frog of {OWN[1]}.", "b", score=0.95), lead=True)

    assert chosen(other, opening)[0] == opening.text


def test_what_says_the_same_again_comes_later() -> None:
    first = excerpt(f"The frog will sing of {OWN[0]}.", position=1, score=1.0)
    again = excerpt(f"The frog will sing of {OWN[0]} again.", position=2, score=0.95)
    new = excerpt(f"A frog of {OWN[1]}.", position=3, score=0.7)

    assert chosen(first, again, new)[:2] == [first.text, new.text]


def test_what_stands_in_the_document_of_the_first_excerpt_comes_before_others() -> None:
    first = excerpt(f"The frog will sing of {OWN[0]}.", "a", 1, score=1.0)
    elsewhere = excerpt(f"A frog of {OWN[1]}.", "b", 1, score=0.8)
    here = excerpt(f"A frog of {OWN[2]}.", "a", 2, score=0.75)
    elsewhere = replace(elsewhere, passage_score=1.05)

    assert chosen(first, elsewhere, here)[:2] == [first.text, here.text]


def test_an_excerpt_that_is_much_weaker_than_the_best_is_not_shown() -> None:
    best = excerpt(f"The frog will sing of {OWN[0]}.", position=1, score=1.0)
    weak = replace(excerpt(f"A tree of {OWN[1]}.", position=2, score=0.05), passage_score=0.05)

    assert chosen(best, weak) == [best.text]


def test_a_section_has_a_few_excerpts_and_not_many_words() -> None:
    short = [excerpt(f"Frog{n} frog sing{n} {n}{n}.", position=n) for n in range(1, 20)]
    long = [
        excerpt(" ".join(f"w{n}{word}" for word in range(50)) + " frog.", position=n)
        for n in range(1, 9)
    ]

    assert len(chosen(*short)) == MOST_EXCERPTS
    assert MOST_WORDS <= sum(len(text.split()) for text in chosen(*long)) < MOST_WORDS + 60


def test_each_side_of_a_comparison_has_an_excerpt() -> None:
    frogs = [excerpt(f"The frog will sing {n}{n} of {OWN[n]}.", "a", n) for n in range(3)]
    toad = replace(excerpt("A toad walks.", "b", score=0.0), passage_score=0.1)

    assert toad.text in chosen(*frogs, toad, sides=("frogs", "toads"))
    assert toad.text not in chosen(*frogs, toad)


# --- retrieval ------------------------------------------------------------------------------------


async def test_words_of_titles_and_headings_count_more_than_words_of_the_text() -> None:
    notes = {
        "named.md": "# Frogs\n\nThey sing at night in the pond behind the house.",
        "plain.md": "# Notes\n\nOf the house behind the pond, and of frogs and frogs at night.",
    }
    async with library_of(notes) as library:
        found = await library.find(Query("frogs"), limit=9)

    assert [passage.title for passage in found.passages] == ["Frogs", "Notes"]


async def test_words_of_the_context_count_but_less_than_those_of_the_question() -> None:
    async with library_of(
        {"a.md": "Frogs sing.", "b.md": "Herons sing.", "c.md": "Toads"}
    ) as library:
        found = await library.find(Query("frogs", "herons"), limit=9)

    assert found.weights["frog"] > found.weights["heron"] > 0


async def test_an_excerpt_that_matches_is_found_though_its_passage_does_not() -> None:
    many = {f"{n}.md": f"# Frogs {n}\n\nFrogs sing, frogs {n}." for n in range(9)}
    rest = " ".join(f"word{n}" for n in range(180))
    async with library_of({**many, "z.md": f"# Zoo\n\n{rest}\n\nA frog sings."}) as library:
        found = await library.find(Query("Which frogs sing"), limit=3)

    assert "Zoo" not in {passage.title for passage in found.passages}
    assert "A frog sings." in {one.text for one in found.excerpts}


async def test_text_that_stands_in_many_documents_is_no_excerpt() -> None:
    pages = {f"{n}.md": f"# Page {n}\n\nThe frog page.\n\nWord{n}." for n in range(9)}
    async with library_of(pages) as library:
        found = await library.find(Query("frog page"), limit=9)

    assert found.passages
    assert "The frog page." not in {one.text for one in found.excerpts}


async def test_each_side_of_a_comparison_is_searched_by_itself() -> None:
    """Though the other side fills all places, in passages and in excerpts."""
    rest = " ".join(f"word{n}" for n in range(180))
    boats = {f"{n}.md": f"# Ferry {n}\n\nFerry number {n} sails daily." for n in range(60)}
    trams = {f"t{n}.md": f"# Tram {n}\n\nLine {n}." for n in range(60)}
    notes = {**boats, **trams, "z.md": f"# Tram zoo\n\n{rest}\n\nA tram is a tram."}
    query = Query("Ferry number sails daily or tram", sides=("Ferry number sails daily", "tram"))
    async with library_of(notes) as library:
        found = await library.find(query, limit=3)

    titles = [passage.title for passage in found.passages]
    assert any(title.startswith("Tram") for title in titles) and "Tram zoo" not in titles
    assert "A tram is a tram." in {one.text for one in found.excerpts}
