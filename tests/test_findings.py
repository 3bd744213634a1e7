"""Which sentences are chosen from the evidence, and which never are."""

from __future__ import annotations

import pytest
from slice_calls import most_calls

from actors.agents.extractive.candidates import candidates
from actors.agents.extractive.planning import plan
from actors.agents.extractive.standing import is_citable
from actors.agents.extractive.weighing import MAX_FINDINGS, weigh, weighed
from actors.tasks.evidence import Evidence, Finding, Findings, Passage

FROGS = (
    "A frog is a small animal with long legs and a wet skin. "
    "Most frogs live near water, because their eggs dry out in the air. "
    "This is why they are rarely seen in deserts."
)


VERBS = tuple(enumerate(["swims alone", "sleeps at noon", "eats slugs", "hides eggs"], 1))


def passage(text: str, position: int = 1, title: str = "Frogs", section: str = "") -> Passage:
    return Passage(title.lower(), title, section, position, text)


def found(task: str, *passages: Passage) -> Findings:
    """What is found for a task when every question is given the same passages."""
    made = plan(task)
    return weigh(made, tuple(Evidence(question, passages) for question in made.questions))


def cited(findings: Findings) -> list[Finding]:
    return [*findings.answer, *(f for section in findings.sections for f in section.findings)]


def texts(findings: Findings) -> list[str]:
    return [finding.text for finding in cited(findings)]


@pytest.mark.parametrize(
    "text",
    [
        "Frogs live near water.. and",
        "Too short here.",
        "The following example shows how a frog jumps into the water.",
        "A frog is described by these words in the list below:",
        ">>> frog.jump() makes the frog jump into the water.",
        "the frog that has lost its capital letter jumps into the water.",
        "A small animal for people who like to look at water.",
        "See the frog that jumps into the water.",
        "PEP 428: The frog module has classes for frogs and toads.",
        "A frog (and its eggs lives near the water.",
        "Frogs " + "and frogs " * 40 + "are animals.",
    ],
)
def test_what_is_not_a_whole_sentence_of_prose_is_not_cited(text: str) -> None:
    assert not is_citable(text)


def test_a_word_within_hyphens_opens_no_clause() -> None:
    assert is_citable("A one-for-one swap returns only the lost egg, which suits small ponds.")


def test_code_tables_and_headings_are_not_cited() -> None:
    text = (
        "    frog.jump() is a line of code and has many words.\n\n"
        "| A frog | is a row of a table that has words. |\n\n"
        "Frogs and their lives\n\n"
        "- A frog is an item of a list and a whole sentence."
    )

    assert [c.text for c in candidates(passage(text))] == [
        "A frog is an item of a list and a whole sentence."
    ]


def test_a_sentence_that_leans_on_one_that_is_not_cited_is_not_cited_either() -> None:
    text = "Crickets sing at night in spring. This helps a frog to find its way to the pond."

    assert texts(found("How does a frog find the pond?", passage(text))) == []


def test_a_sentence_that_leans_on_the_one_before_follows_it() -> None:
    said = texts(found("Why do frogs live near water and not in deserts?", passage(FROGS)))

    assert said[-2].startswith("Most frogs live near water")
    assert said[-1] == "This is why they are rarely seen in deserts."


def test_a_passage_that_names_less_than_half_of_the_question_is_not_cited() -> None:
    insects = passage("A frog eats many small insects every day.")

    assert texts(found("How do frogs eat zeppelin engines?", insects)) == []
    assert texts(found("How do frogs eat insects?", insects)) == [insects.text]


def test_the_library_has_nothing_on_what_no_passage_names() -> None:
    findings = found(
        "What is the capital of France?", passage(FROGS), passage("Capital letters are big.", 2)
    )

    assert findings == Findings((), findings.sections, ())
    assert [section.findings for section in findings.sections] == [()]


def test_a_question_is_on_its_subject_and_not_on_bad_ideas() -> None:
    frogs = passage("A frog is out of place in a house without any water.", title="Houses")
    bad = passage("One bad heron gave the others the idea to add more nests.", title="Herons")

    assert texts(found("When is a frog a bad idea?", frogs, bad)) == [frogs.text]


def test_a_question_without_passages_leaves_its_section_empty() -> None:
    made = plan("What is a frog? What is a zeppelin?")
    frogs, zeppelins = made.questions

    findings = weigh(made, (Evidence(frogs, (passage(FROGS),)), Evidence(zeppelins)))

    assert findings.answer
    assert not findings.sections[1].findings
    assert [section.in_answer for section in findings.sections] == [True, False]


def test_a_section_says_when_the_answer_took_all_that_was_found() -> None:
    one = found("What is a frog?", passage("A frog is a small animal with a wet skin."))
    many = found(
        "What is a frog?", *[passage(f"A frog {verb} in the pond.", n) for n, verb in VERBS]
    )

    assert not one.sections[0].findings and one.sections[0].in_answer
    assert many.sections[0].findings and not many.sections[0].in_answer


def test_near_copies_of_a_sentence_are_cited_once() -> None:
    copies = [
        passage(f"A frog is a small animal with long legs and {skin}.", n, title=f"Frogs {n}")
        for n, skin in enumerate(["a wet skin", "wet skin", "a very wet skin", "a wet skin"], 1)
    ]

    assert len(texts(found("What is a frog?", *copies))) == 1


def test_items_of_one_list_that_read_alike_are_no_copies() -> None:
    items = (
        "- An egg-for-egg swap returns only the lost egg, which fits frogs that live alone.\n"
        "- An egg-for-all swap returns every egg when one egg is lost, which fits frogs that live "
        "together.\n"
        "- An all-for-one swap returns the lost egg and all later eggs, which fits frogs in a row."
    )

    said = texts(found("List the swaps that fit frogs who lost an egg", passage(items)))

    assert len(said) == 3


def test_a_definition_opens_the_answer_to_what_something_is() -> None:
    habits = passage("In winter a frog is a guest under large stones.", 1)
    definition = passage("A frog is a small animal with long legs.", 2)

    assert found("What is a frog?", habits, definition).answer[0].text == definition.text


def test_advice_on_both_things_opens_the_answer_to_which_to_use() -> None:
    advice = "A frog is recommended for a small pond, while a toad suits a dry garden."
    passages = [
        passage("A frog is a green animal for a small pond with clean water.", 1),
        passage("A toad is a brown animal for a small pond without fish.", 2),
        passage(advice, 3),
    ]

    assert (
        found("Should I choose a frog or a toad for a small pond?", *passages).answer[0].text
        == advice
    )


def test_the_answer_gives_each_question_its_turn() -> None:
    toads = "A toad is a brown animal with a dry skin."

    findings = found(
        "What is a frog? What is a toad?", passage(FROGS), passage(toads, title="Toads")
    )

    assert {finding.source for finding in findings.answer} == {0, 1}


def test_a_sentence_on_the_other_thing_is_not_cited_for_this_one() -> None:
    toads = "A toad likes dry ground. A toad hides under stones. A toad eats many slugs."
    book = passage(f"{FROGS} {toads}", title="Frogs and toads of the pond")

    sections = found("Compare frogs and toads", book).sections

    for_frogs = [finding.text for finding in sections[0].findings]
    assert not [text for text in for_frogs if text.startswith("A toad")]


def test_release_notes_yield_to_other_documents_unless_changes_are_asked_for() -> None:
    new = passage("The frog module now makes a frog jump over a big stone.", 1, "What's New")
    plain = passage("The frog module makes each frog jump across one small pond.", 1, "Manual")

    asked_how = found("How does the frog module make a frog jump?", new, plain)
    asked_new = found("What changed in how the frog module makes a frog jump?", plain, new)

    assert asked_how.sources[asked_how.answer[0].source] == plain
    assert asked_new.sources[asked_new.answer[0].source] == new


def test_a_block_takes_at_most_four_sentences_of_one_passage() -> None:
    verbs = ("swims alone", "sleeps at noon", "eats slugs", "hides eggs", "fears storks", "sings")
    chapter = passage(" ".join(f"A frog {verb} near this or that pond." for verb in verbs))

    section = found("What does a frog do?", chapter).sections[0]

    assert len(section.findings) == 4


def test_a_sentence_without_a_subject_yields_to_whole_ones() -> None:
    bare = passage("Prints frogs and sits closest beside the pond until evening falls.", 1)
    whole = passage("The green frog sits closest to the pond all day.", 2)

    assert texts(found("Which frog sits closest to the pond?", bare, whole)) == [whole.text]
    assert texts(found("Which frog sits closest to the pond?", bare)) == [bare.text]


def test_a_section_is_never_longer_than_its_bound() -> None:
    many = [passage(f"A frog of kind number {n} eats insect number {n * 7}.", n) for n in range(40)]

    findings = found("What does a frog eat?", *many)

    assert all(len(section.findings) <= MAX_FINDINGS for section in findings.sections)


def test_the_same_evidence_gives_the_same_findings() -> None:
    passages = [passage(FROGS, 1), passage("A toad is a brown animal.", 2)]

    assert found("Compare frogs and toads", *passages) == found(
        "Compare frogs and toads", *passages
    )


def test_a_sentence_that_announces_code_is_cited_with_the_code() -> None:
    text = "To feed a frog, call its keeper in the morning:\n\n    keeper.call()\n    \n    frog.feed()"

    (finding, *_) = cited(found("How do I feed a frog?", passage(text)))

    assert finding.text == "To feed a frog, call its keeper in the morning:"
    assert finding.listing == "keeper.call()\n\nfrog.feed()"


def test_code_below_a_whole_sentence_is_shown_to_who_asks_how_to_do_it() -> None:
    text = "The keeper feeds each frog in the morning.\n\n    frog.feed()"

    (asked_how, *_) = cited(found("How do I feed a frog?", passage(text)))
    (asked_who, *_) = cited(found("Who feeds a frog?", passage(text)))

    assert asked_how.listing == "frog.feed()"
    assert asked_who.listing == ""


def test_a_sentence_that_announces_a_list_is_cited_with_its_items_and_they_only_once() -> None:
    text = "Frogs need three things to live:\n\n- Frogs need water.\n- Shade.\n- Frogs eat slugs."

    every = cited(found("What do frogs need to live?", passage(text)))

    assert every[0].items == ("Frogs need water.", "Shade.", "Frogs eat slugs.")
    assert [finding.text for finding in every] == ["Frogs need three things to live:"]


def test_a_sentence_that_announces_what_is_not_there_is_not_cited() -> None:
    assert texts(found("What do frogs need?", passage("Frogs need three things to live:"))) == []
    long = "\n".join(f"    line({n})" for n in range(40))
    assert texts(found("What do frogs need?", passage(f"Frogs need a long list:\n\n{long}"))) == []


def test_the_first_sentence_of_a_definition_is_cited_with_what_it_defines() -> None:
    text = "    pond.drain(speed, frogs=())\n\nRemoves the water from a pond with frogs in it."

    (finding, *_) = cited(found("How do I drain a pond?", passage(text)))

    assert finding.term == "pond.drain(speed, frogs=())"


def test_a_sentence_that_leans_brings_the_one_before_it() -> None:
    text = "A pond freezes over in January. This harms each sleeping frog near the surface."

    assert texts(found("What harms a sleeping frog?", passage(text))) == [
        "A pond freezes over in January.",
        "This harms each sleeping frog near the surface.",
    ]


def test_a_question_is_answered_from_the_passages_that_are_about_it() -> None:
    about = passage(
        "They dry out in the sun within an hour. A frog keeps its eggs under water.",
        section="How do I keep the eggs of a frog?",
    )
    others = [
        passage(f"A toad number {n} may keep eggs too, as a frog does.", n, title=f"Toads {n}")
        for n in range(2, 8)
    ]

    findings = found("How do I keep the eggs of a frog?", *others, about)

    assert [source.section for source in findings.sources] == [about.section]


def test_plain_words_of_one_meaning_are_one_word() -> None:
    text = "Swimming under water is the most efficient way for frogs to cross a pond."

    assert texts(found("What is the fastest way for frogs to cross a pond?", passage(text)))


def test_a_word_written_as_one_meets_its_two_halves() -> None:
    text = "The deep copy of a frog has eggs of its own, so that both frogs can be changed."

    assert texts(found("What is a deepcopy of a frog?", passage(text)))


def test_how_many_is_answered_by_a_number() -> None:
    vague = passage("The number of eggs that a frog lays depends on many things.", 1)
    exact = passage("A frog lays about 2000 eggs in a year.", 2)

    assert texts(found("How many eggs does a frog lay?", vague, exact))[0] == exact.text


def test_a_question_that_leans_is_not_answered_by_what_only_names_what_it_leans_on() -> None:
    cancelling = passage("A frog task is cancelled by its keeper at dusk.", section="Frog tasks")
    threads = passage("Frog tasks share a thread, while every toad has a thread alone.", 2)

    findings = found(
        "How do frog tasks get cancelled, and how does that differ from threads?",
        cancelling,
        threads,
    )

    assert [f.text for f in findings.sections[1].findings] in ([], [threads.text])
    assert threads.text in texts(findings)


MOST_CALLS = 40_000
"""Calls of functions in one slice of work."""

SPELLED = str.maketrans("0123456789", "abcdefghij")


def chapter(number: int) -> Passage:
    """A passage full of words that stand in no other, all with the beginning of "internal"."""
    said = (" ".join(f"intern{number}x{n}x{k}" for k in range(9)) for n in range(12))
    return passage(
        " ".join(f"The pond is near {line}.".translate(SPELLED) for line in said), number
    )


@pytest.mark.parametrize(
    ("task", "passages"),
    [
        (
            " ".join(f"How does the internal pond {n} {n}x?".translate(SPELLED) for n in range(8)),
            [chapter(n) for n in range(160)],
        ),
        ("Compare frogs, toads, newts, eels, storks and herons", [chapter(n) for n in range(160)]),
        ("What is a frog?", [passage("A frog is green in the:\n\n- b\n- c\n\n" * 250)]),
        ("What is a frog?", [passage("a\n\n" * 2_700 + "A frog is green in the pond.")]),
        ("What is a frog?", [passage("A frog is " + "internal-" * 800 + ".")]),
        ("ab" * 9_000 + "?", [passage("A frog is " + "ab" * 400 + " in the pond.")]),
    ],
    ids=["words", "compared", "announced", "paragraphs", "hyphens", "endless"],
)
def test_weighing_goes_in_short_slices_whatever_was_found(
    task: str, passages: list[Passage]
) -> None:
    made = plan(task)
    evidence = tuple(
        Evidence(question, tuple(passages[n :: len(made.questions)]))
        for n, question in enumerate(made.questions)
    )

    assert most_calls(weighed(made, evidence)) < MOST_CALLS


def test_an_answer_may_be_a_sentence_with_the_one_it_leans_on() -> None:
    frogs = passage("The keeper opens a gate at noon. This shows each frog the toads of a pond.")
    newts = passage("The crew opens a hatch at dusk. This shows each newt the lamps of a town.", 2)

    findings = found("What shows a frog the toads? What shows a newt the lamps?", frogs, newts)

    assert [finding.text for finding in findings.answer] == [
        "The keeper opens a gate at noon.",
        "This shows each frog the toads of a pond.",
    ]


@pytest.mark.parametrize(
    "item",
    [
        "Frogs need water [3].",
        "```",
        "~~~",
        "# Shade",
        "> Shade",
        "`shade",
        "<!-- shade",
        "![x](y)",
    ],
)
def test_a_list_that_markdown_would_take_for_more_than_text_is_not_cited(item: str) -> None:
    text = f"Frogs need two things to live:\n\n- Frogs need shade.\n- {item}"
    findings = found("What do frogs need to live?", passage(text))

    assert not [one for one in cited(findings) if one.items]


@pytest.mark.parametrize(
    "text",
    [
        "A frog is ![an image](https://pond.example/x.png) of a pond.",
        "A frog is an animal of [the pond](https://pond.example) and the river.",
        "A frog is <img src=x> an animal of the pond and the river.",
        "A frog is an animal <!-- of the pond and the river.",
    ],
    ids=["image", "link", "tag", "comment"],
)
def test_what_markdown_would_take_for_more_than_text_is_not_cited(text: str) -> None:
    assert texts(found("What is a frog?", passage(text))) == []
