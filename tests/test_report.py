"""The text of a report, as a person reads it."""

from __future__ import annotations

import pytest

from actors.agents.extractive.report import MOST_LINES, TITLE_CHARACTERS, parts
from actors.tasks.evidence import ExcerptKind, Finding, Findings, Passage, Section
from actors.tasks.failure import Failure
from actors.tasks.plan import Question

FROGS = Question("s2", "What is a frog?", "frog")
TOADS = Question("s3", "What is a toad?", "toad")
BOOK = Passage("b", "The Pond", "Frogs", 3, "A frog is green. It lives in water. Toads are brown.")
NOTES = Passage("n", "Notes", "", 1, "Toads sleep in winter.")
TASK = "What is a frog? What is a toad?"


def written(*sections: Section, task: str = TASK, sample: bool = False) -> str:
    sources = (BOOK, NOTES) if any(section.findings for section in sections) else ()
    return "".join(parts(task, Findings(sections, sources, sample)))


def body(text: str, kind: ExcerptKind) -> str:
    """The report's body for one excerpt."""
    found = Findings((Section(FROGS, (Finding(text, 0, kind=kind),)),), (BOOK,))
    report = "".join(parts("Frogs?", found))
    return report.removeprefix("# Frogs?\n\n").partition("## Sources")[0]


def test_a_report_has_a_section_for_each_question_and_its_sources() -> None:
    text = written(
        Section(FROGS, (Finding("A frog is green.", 0), Finding("It lives in water.", 0))),
        Section(TOADS, (Finding("Toads sleep in winter.", 1),)),
    )

    assert text == (
        "# What is a frog? What is a toad?\n\n"
        "## What is a frog?\n\n"
        "A frog is green. [1]\n\nIt lives in water. [1]\n\n"
        "## What is a toad?\n\n"
        "Toads sleep in winter. [2]\n\n"
        "## Sources\n\n"
        "1. The Pond, section “Frogs”, passage 3\n"
        "2. Notes, passage 1\n"
    )


def test_the_only_question_has_no_heading() -> None:
    text = written(Section(FROGS, (Finding("A frog is green.", 0),)), task="What is a frog?")

    assert text.startswith("# What is a frog?\n\nA frog is green. [1]\n\n## Sources")


def test_the_title_is_the_task_with_a_capital() -> None:
    task = "please  explain\nthe `GIL` to <me>"

    assert written(Section(FROGS), task=task).startswith(
        "# Please explain the \\`GIL\\` to \\<me>\n"
    )


def test_a_long_task_has_a_short_title_on_one_line() -> None:
    title = written(Section(FROGS), task="frogs in very deep water\n" * 20).partition("\n")[0]

    assert title.endswith(" …")
    assert len(title) < TITLE_CHARACTERS + 6


# --- what was not found ---------------------------------------------------------------------------


def test_a_report_without_findings_says_so_and_what_to_do() -> None:
    text = written(Section(FROGS), task="What is a frog?")

    assert text == (
        "# What is a frog?\n\nThe library has nothing on this. Add documents that cover it with "
        "`terzetto ingest PATH`, then run the task again.\n\n"
    )


def test_excerpts_that_do_not_answer_are_marked_as_the_closest_passages() -> None:
    text = written(Section(FROGS, (Finding("Toads are brown.", 0),), answers=False))

    assert (
        "Nothing in the library answers this directly. The closest passages:\n\n"
        "Toads are brown. [1]\n\n"
    ) in text
    assert "has nothing" not in text


def test_a_search_that_failed_is_named_and_does_not_say_that_there_is_nothing() -> None:
    missed = (Failure("agent_failed", "The agent pricebook failed: it is *closed*."),)

    text = written(Section(FROGS, missed=missed))

    assert "*Not searched: The agent pricebook failed: it is \\*closed\\*.*\n\n" in text
    assert "The library has nothing" not in text
    assert "Nothing in the library answers this directly." in text


def test_what_was_missed_stands_before_what_was_found() -> None:
    missed = (Failure("fetch_failed", "http://x/ was not read: It took too long."),)

    text = written(Section(FROGS, (Finding("A frog is green.", 0),), missed=missed))

    assert text.index("*Not searched: http://x/ was not read") < text.index("A frog is green. [1]")


def test_a_report_says_when_it_draws_on_the_sample_library() -> None:
    text = written(Section(FROGS, (Finding("A frog is green.", 0),)), sample=True)

    assert "*This report draws on Terzetto's sample library." in text
    assert "terzetto ingest PATH" in text


# --- kinds of excerpts ----------------------------------------------------------------------------


def test_a_paragraph_keeps_its_lines() -> None:
    assert body("The pond\nHerons Way 7", "paragraph") == "The pond  \nHerons Way 7 [1]\n\n"


def test_a_list_stands_under_the_line_that_announces_it() -> None:
    text = "If the pump stops:\n\n1. Switch it off.\n2. Clean the filter.\n  - with water"

    assert body(text, "list") == (
        "If the pump stops: [1]\n\n1. Switch it off.\n2. Clean the filter.\n  - with water [1]\n\n"
    )


def test_a_listing_stands_under_its_lead_in_with_all_its_lines() -> None:
    text = "Feed them so:\n\n    frog.feed(3)\n    \n    # `*` ``` [9]"

    assert body(text, "paragraph") == (
        "Feed them so: [1]\n\n````\nfrog.feed(3)\n\n# `*` ``` [9]\n````\n\n[1]\n\n"
    )


def test_a_listing_alone_has_a_citation_of_its_own() -> None:
    assert body("    frog.feed(3)", "code") == "```\nfrog.feed(3)\n```\n\n[1]\n\n"


def test_listings_in_a_row_have_one_citation_and_text_between_has_its_own() -> None:
    text = "Call it:\n\n    a()\n\n    1\n\nThen:\n\n    b()"

    assert body(text, "paragraph") == (
        "Call it: [1]\n\n```\na()\n```\n\n```\n1\n```\n\n[1]\n\nThen: [1]\n\n```\nb()\n```\n\n[1]\n\n"
    )


def test_a_long_listing_says_that_it_goes_on() -> None:
    lines = "\n".join(f"    line {n}" for n in range(MOST_LINES + 1))
    whole = "\n".join(f"    line {n}" for n in range(MOST_LINES))

    assert "goes on in the source" in body(lines, "code")
    assert f"line {MOST_LINES}" not in body(lines, "code")
    assert "goes on" not in body(whole, "code")


def test_a_row_is_a_table_under_its_header() -> None:
    text = "| Animal | Legs |\n| Frog | 4 [a] |"

    assert body(text, "row") == ("| Animal | Legs |\n| --- | --- |\n| Frog | 4 [a] [1] |\n\n")


def test_rows_of_one_table_stand_under_one_header() -> None:
    rows = [
        Finding(f"| Animal | Legs |\n| {name} | 4 |", n, kind="row") for n, name in enumerate("AB")
    ]
    other = Finding("| Animal | Eyes |\n| C | 2 |", 0, kind="row")

    text = written(Section(FROGS, (*rows, other)))

    assert (
        "| Animal | Legs |\n| --- | --- |\n| A | 4 [1] |\n| B | 4 [2] |\n\n| Animal | Eyes |"
        in text
    )


def test_a_table_has_its_header_once_whatever_stands_between_its_rows() -> None:
    rows = [Finding(f"| Animal | Legs |\n| {name} | 4 |", 0, kind="row") for name in "AB"]
    between = Finding("Frogs sing.", 1)

    text = written(Section(FROGS, (rows[0], between, rows[1])))

    assert "| --- | --- |\n| A | 4 [1] |\n| B | 4 [1] |\n\nFrogs sing. [2]" in text


def test_a_row_without_a_header_is_a_line() -> None:
    assert body("| Frog | 4 |", "row") == "Frog | 4 [1]\n\n"


def test_a_short_row_has_as_many_cells_as_its_header() -> None:
    text = "| Animal | Legs | Eyes |\n| Frog | 4 |"

    (_, _, row) = body(text, "row").strip().split("\n")
    assert row.count("|") == 4
    assert "[1]" in row


def test_a_definition_shows_its_term_and_its_text() -> None:
    text = "frog.feed(*slugs)\n  Feeds it.\n\n    frog.feed(3)"

    assert body(text, "definition") == (
        "**frog.feed(\\*slugs)**  \nFeeds it. [1]\n\n```\nfrog.feed(3)\n```\n\n[1]\n\n"
    )


def test_a_key_with_its_value_is_a_line() -> None:
    assert body("Door code: 4711", "pair") == "Door code: 4711 [1]\n\n"


def test_what_markdown_shows_as_it_is_has_no_backslash() -> None:
    text = "Run pg_dump on C# > out.txt & wait: __init__ costs 5 # of 6 &amp; _all_"

    assert body(text, "paragraph") == (
        "Run pg_dump on C# > out.txt & wait: \\_\\_init\\_\\_ costs 5 # of 6 \\&amp; \\_all\\_ [1]\n\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "39.90 EUR for one",
        "about ~5 km",
        "either a | or b",
        "3 * 4 makes 12",
        "See #12 of C# now",
        "[draft] of the plan",
        "a < b, a > b",
        "C:\\temp\\x",
        "+49 30 123",
        "-5 degrees",
    ],
)
def test_a_mark_that_means_nothing_there_has_no_backslash(text: str) -> None:
    assert body(text, "paragraph") == f"{text} [1]\n\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [1] and [2, 3]", "see \\[1\\] and \\[2, 3\\]"),
        ("[x](http://x.example)", "\\[x](http://x.example)"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("a*b*c", "a\\*b\\*c"),
        ("C:\\*", "C:\\\\\\*"),
    ],
)
def test_a_mark_that_would_mean_something_has_a_backslash(text: str, shown: str) -> None:
    assert body(text, "paragraph") == f"{shown} [1]\n\n"


def test_numbers_and_dashes_at_the_start_of_a_line_stay_text() -> None:
    assert body("1986. A wet year\n+ rain", "paragraph").startswith("1986")
    assert (
        body("It was in\n1986. A wet year", "paragraph")
        == "It was in [1]\n\n1986. A wet year [1]\n\n"
    )
    assert body("Sum\n= 3", "paragraph") == "Sum  \n= 3 [1]\n\n"
    assert body("Sum\n==", "paragraph") == "Sum  \n\\== [1]\n\n"
