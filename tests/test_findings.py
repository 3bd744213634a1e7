"""Which excerpts a report shows, from small libraries."""

from __future__ import annotations

import pytest
from reporting import Written, answer, library_of, report_on

from actors.agents.extractive.questions import questioned
from actors.agents.extractive.synthesis import synthesized
from actors.messages import Synthesize
from actors.runtime.cooperative import at_once
from actors.tasks.evidence import Evidence, Excerpt, Passage
from actors.tasks.plan import Question
from actors.tasks.planning import QuestionDraft, assemble_plan
from actors.tasks.tool_options import ToolOption

NOISE = "\n\n".join(f"The {n} of the house is painted in the colour of the year." for n in "abcd")


def sections(written: Written) -> list[list[str]]:
    return [[found.text for found in section.findings] for section in written.findings.sections]


def shown(written: Written) -> list[str]:
    return [text for section in sections(written) for text in section]


# --- questions ------------------------------------------------------------------------------------


async def test_each_question_has_its_own_answer() -> None:
    note = (
        "# Boiler\n\nMr. Holm repairs the heating boiler.\n\n"
        "# Chimney\n\nThe chimney sweep comes in October."
    )

    written = await answer(
        "Who repairs the heating boiler? When does the chimney sweep come?", house=note
    )

    first, second = sections(written)
    assert first[0] == "Mr. Holm repairs the heating boiler."
    assert second[0] == "The chimney sweep comes in October."


@pytest.mark.parametrize(
    "task",
    ["Compare the ferry and the train", "Is the ferry or the train better?", "ferry vs train"],
)
async def test_both_sides_of_a_comparison_are_shown(task: str) -> None:
    ferry = "# Ferry\n\n" + "\n\n".join(
        f"The ferry has {n} decks, and the ferry leaves at {n}." for n in range(2, 12)
    )
    train = "# Train\n\nIt leaves every hour and has a dining car."

    written = await answer(task, ferry=ferry, train=train)

    assert {"Ferry", "Train"} <= set(written.titles)


async def test_each_side_of_a_comparison_is_searched_by_itself() -> None:
    """Though the words of the other side fill all places."""
    many = {
        f"boat{n}.md": f"# Ferry boat {n}\n\nFerry boat number {n} sails daily." for n in range(60)
    }
    async with library_of({**many, "rail.md": "# Rail\n\nA tram leaves every hour."}) as library:
        written = await report_on("Compare the ferry boat sails daily number and tram", library)

    assert "A tram leaves every hour." in shown(written)


async def test_a_follow_up_is_answered_in_the_context_of_the_task_before() -> None:
    notes = {
        "Pump.md": "# Pump\n\nIt is cleaned with vinegar in the spring.",
        "Oven.md": "# Oven\n\nIt is cleaned with soda in the spring.",
    }
    async with library_of(notes) as library:
        pump = await report_on("How is it cleaned in the spring?", library, "What is a pump?")
        oven = await report_on("How is it cleaned in the spring?", library, "What is an oven?")

    assert pump.titles[0] == "Pump"
    assert oven.titles[0] == "Oven"


# --- what is shown --------------------------------------------------------------------------------

DOCUMENT = """# Lamps

A lamp of this kind burns for 50,000 hours [3]. Use it *with care*; see <the label> & `lamp(1)`.

To change a lamp:

1. Switch it off.
2. Turn the lamp to the left.

| Lamp | Watts |
|------|-------|
| blue lamp | 9 |
| red lamp | 12 |

Run this for every lamp:

    lamp --reset *all*
"""


@pytest.mark.parametrize(
    "task",
    ["How long does a lamp burn?", "How do I change a lamp?", "How many watts has the blue lamp?"],
)
async def test_quotes_are_verbatim(task: str) -> None:
    async with library_of({"lamps.md": DOCUMENT}) as library:
        written = await report_on(task, library)
        document = (await library.documents(limit=1, cursor=None)).documents[0]
        text = await library.text(document.document_id)

    for quote in shown(written):
        for line in quote.split("\n"):
            assert line.strip("… ") in text
    assert written.findings.sections[0].answers


async def test_a_list_is_shown_with_its_lead_in_and_its_numbers() -> None:
    written = await answer("How do I change a lamp?", lamps=DOCUMENT)

    assert (
        "To change a lamp: [1]\n\n1. Switch it off.\n2. Turn the lamp to the left. [1]"
        in written.text
    )


async def test_a_row_is_shown_under_the_header_of_its_table() -> None:
    written = await answer("How many watts has the blue lamp?", lamps=DOCUMENT)

    assert "| Lamp | Watts |\n| --- | --- |\n| blue lamp | 9 [1] |" in written.text


async def test_a_listing_is_shown_under_its_lead_in() -> None:
    written = await answer("What do I run for every lamp?", lamps=DOCUMENT)

    assert "Run this for every lamp: [1]\n\n```\nlamp --reset *all*\n```\n" in written.text


async def test_a_long_paragraph_is_cut_to_its_sentences_on_the_question() -> None:
    rain = " ".join(f"In year {n} it rained on many days of the month." for n in range(12))
    note = f"# Weather\n\n{rain} Then the barometer fell. The barometer broke in a storm."

    written = await answer("What broke the barometer?", weather=note)

    (quote, *_) = shown(written)
    assert "The barometer broke in a storm." in quote
    assert quote.startswith("… ") and quote.endswith(".")
    assert len(quote.split()) < 100


async def test_the_same_text_is_shown_once() -> None:
    text = "The gate of the garden is locked at nine."
    notes = {f"{n}.md": f"# Note {n}\n\n{text}\n\nPage {n} of three." for n in "abc"}
    async with library_of(notes) as library:
        written = await report_on("When is the gate of the garden locked?", library)

    assert shown(written).count(text) == 1


async def test_near_copies_leave_room_for_what_is_new() -> None:
    copies = "\n\n".join(
        f"The gate of the garden is locked at nine every evening, {n} days a week."
        for n in range(9)
    )
    note = f"# Gate\n\n{copies}\n\nThe key of the garden gate hangs in the kitchen."

    written = await answer("When is the garden gate locked, and its key?", gate=note)

    assert "The key of the garden gate hangs in the kitchen." in shown(written)


async def test_navigation_on_every_page_is_not_quoted() -> None:
    line = "Questions on the garden gate are answered by the office at the garden gate."
    notes = {f"{n}.md": f"# Page {n}\n\n{line}\n\nThis is page {n}." for n in range(9)}
    notes["gate.md"] = "# Gate\n\nThe garden gate is green."
    async with library_of(notes) as library:
        written = await report_on("Which colour has the garden gate?", library)

    assert shown(written)[0] == "The garden gate is green."
    assert line not in shown(written)


# --- when nothing answers -------------------------------------------------------------------------


async def test_a_library_without_a_word_of_the_question_has_nothing_on_it() -> None:
    written = await answer("How are glaciers formed?", notes=f"# Notes\n\n{NOISE}")

    assert shown(written) == []
    assert "The library has nothing on this." in written.text


async def test_closest_passages_are_marked() -> None:
    note = f"# Notes\n\nThe towel rail is made of brass.\n\n{NOISE}"

    written = await answer("Where did Marta leave her towel yesterday?", notes=note)

    assert not written.findings.sections[0].answers
    assert "The closest passages:\n\nThe towel rail is made of brass. [1]" in written.text


PRICES = f"# Prices\n\nA lesson for adults costs 96 pounds.\n\n{NOISE}"


@pytest.mark.parametrize(
    ("task", "unknown"),
    [
        ("What does the boiler cost?", "boiler"),
        ("What do the boiler's valves cost?", "boiler's, valves"),
        ("Was kostet die Wärmepumpe for adults?", "kostet, Wärmepumpe"),
    ],
)
async def test_words_that_stand_nowhere_are_named_if_they_are_most_of_the_question(
    task: str, unknown: str
) -> None:
    """The price of a lesson is no answer to what the boiler costs."""
    written = await answer(task, prices=PRICES)

    assert f"*Nowhere in the library: {unknown}.*" in written.text


@pytest.mark.parametrize(
    "task",
    [
        "What does a lesson cost?",  # It has all words.
        "What does a good lesson for adults cost?",  # It has most words.
        "レッスンのcost",  # Where words end is not known without blanks.
    ],
)
async def test_no_words_are_named_that_are_little_of_the_question(task: str) -> None:
    written = await answer(task, prices=PRICES)

    assert "costs 96 pounds" in written.text
    assert "Nowhere" not in written.text


async def test_words_that_only_an_agent_has_are_not_named() -> None:
    (draft,) = at_once(questioned("What does the boiler cost?"))
    plan = assemble_plan([draft], (ToolOption("prices", "Looks up prices", argument="question"),))
    asked, called = plan.questions
    said = Passage("prices", "Price list", "", 1, "The boiler: 900 euros.")
    found = Evidence(asked, weights={"boiler": 3.0, "cost": 1.0}, unknown=("boiler",), units=9)

    (section,) = at_once(
        synthesized(Synthesize("k", "?", plan, (found, Evidence(called, (said,)))))
    ).sections

    assert section.unknown == ()


@pytest.mark.parametrize(
    ("units", "shown", "answers"),
    [(10, 1, True), (1_000, 1, False), (100_000, 0, False)],
)
def test_the_larger_the_library_the_more_of_the_question_an_answer_must_cover(
    units: int, shown: int, answers: bool
) -> None:
    """By chance, more of its words meet in one excerpt of a large library."""
    question = Question("s2", "Rice in a pot", "rice in a pot")
    excerpt = Excerpt("d", "Notes", (), 1, 0, 9, "paragraph", "A pot.", False, 1.0, 1.0)
    weights = {"rice": 3.0, "pot": 1.0}  # It covers a quarter.
    evidence = Evidence(question, excerpts=(excerpt,), weights=weights, units=units)
    plan = assemble_plan([QuestionDraft("Rice in a pot")])

    findings = at_once(synthesized(Synthesize("k", "?", plan, (evidence,))))

    (section,) = findings.sections
    assert (len(section.findings), section.answers) == (shown, answers)


@pytest.mark.parametrize("library", ["", "The blue lamp hangs in the hall, at no price."])
async def test_what_a_tool_answers_is_shown_in_whatever_words(library: str) -> None:
    (draft,) = at_once(questioned("What is the price of the blue lamp?"))
    plan = assemble_plan([draft], (ToolOption("prices", "Looks up prices", argument="question"),))
    asked, called = plan.questions
    said = Passage("prices", "Price list", "", 1, "40 euros, tax included.")
    excerpt = Excerpt("d", "Notes", (), 1, 0, 9, "paragraph", library, False, 1.0, 1.0)
    found = Evidence(asked, excerpts=(excerpt,) if library else (), units=9)
    request = Synthesize("k", "?", plan, (found, Evidence(called, (said,))))

    (section,) = at_once(synthesized(request)).sections

    assert said.text in [finding.text for finding in section.findings]
    assert section.answers


async def test_only_a_cited_sample_is_named() -> None:
    async with library_of({}) as library:
        cited = await report_on("What is backpressure?", library)
        nothing = await report_on("Wie backt man Sauerteigbrot?", library)

    assert "sample library" in cited.text
    assert nothing.titles == []
    assert "sample library" not in nothing.text
