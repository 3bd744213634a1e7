"""The text of a report, as a person reads it."""

from __future__ import annotations

import pytest

from actors.agents.extractive.headline import headline
from actors.agents.extractive.report import parts
from actors.tasks.evidence import Finding, Findings, Passage, Section
from actors.tasks.plan import Question

FROGS = Question("s2", "What is a frog?", "frog")
TOADS = Question("s3", "What is a toad?", "toad")
BOOK = Passage("b", "The Pond", "Frogs", 3, "A frog is green. It lives in water. Toads are brown.")
NOTES = Passage("n", "Notes", "", 1, "Toads sleep in winter.")


def written(findings: Findings, task: str = "What is a frog? What is a toad?") -> str:
    return "".join(parts(task, findings))


def test_a_report_has_an_answer_a_section_for_each_question_and_its_sources() -> None:
    findings = Findings(
        answer=(Finding("A frog is green.", 0, 1.0), Finding("Toads sleep in winter.", 1, 1.0)),
        sections=(
            Section(
                FROGS, (Finding("It lives in water.", 0, 1.0), Finding("Toads are brown.", 0, 1.0))
            ),
            Section(TOADS),
        ),
        sources=(BOOK, NOTES),
    )

    assert written(findings) == (
        "# What is a frog?\n\n"
        "## Answer\n\n"
        "A frog is green. [1]\n\nToads sleep in winter. [2]\n\n"
        "## What is a frog?\n\n"
        "It lives in water. [1] Toads are brown. [1]\n\n"
        "## What is a toad?\n\n"
        "The library has nothing on “What is a toad?”.\n\n"
        "## Sources\n\n"
        "1. The Pond, section “Frogs”, passage 3\n"
        "2. Notes, passage 1\n"
    )


def test_a_report_says_when_it_draws_on_the_sample_library() -> None:
    findings = Findings((Finding("A frog is green.", 0, 1.0),), (), (BOOK,), sample=True)

    assert "Terzetto's sample library" in written(findings)
    assert "terzetto ingest PATH" in written(findings)


def test_a_question_that_the_answer_covers_says_so() -> None:
    sections = (Section(FROGS, in_answer=True), Section(TOADS, in_answer=True))
    findings = Findings((Finding("A frog is green.", 0, 1.0),), sections, (BOOK,))

    assert written(findings).count("stands in the answer above") == 2
    assert "has nothing" not in written(findings)


def test_a_report_without_a_short_answer_begins_with_its_sections() -> None:
    sections = (Section(FROGS, (Finding("A frog is green.", 0, 1.0),)), Section(TOADS))

    assert "# What is a frog?\n\n## What is a frog?\n\nA frog" in written(
        Findings((), sections, (BOOK,))
    )


def test_the_only_question_is_not_said_again() -> None:
    answer, more = Finding("A frog is green.", 0, 1.0), Finding("It lives in water.", 0, 1.0)
    short = written(Findings((answer,), (Section(FROGS, in_answer=True),), (BOOK,)), FROGS.text)
    long = written(Findings((answer,), (Section(FROGS, (more,)),), (BOOK,)), FROGS.text)

    assert short.startswith("# What is a frog?\n\n## Answer\n\nA frog is green. [1]\n\n## Sources")
    assert "## In detail\n\nIt lives in water. [1]\n\n## Sources" in long


def test_what_belongs_to_a_sentence_stands_around_it() -> None:
    findings = Findings(
        answer=(
            Finding("Feeds it.", 0, 1.0, term="frog.feed(slugs)"),
            Finding("Call it like this:", 0, 1.0, listing="frog.feed(3)\n\n```"),
            Finding("It eats two things:", 0, 1.0, items=("Slugs.", "Flies.")),
        ),
        sections=(),
        sources=(BOOK,),
    )

    assert (
        "```\nfrog.feed(slugs)\n```\n\n"
        "Feeds it. [1] Call it like this: [1]\n\n"
        "````\nfrog.feed(3)\n\n```\n````\n\n"
        "It eats two things: [1]\n\n- Slugs. [1]\n- Flies. [1]\n\n"
    ) in written(findings)


def test_a_report_without_findings_is_short_and_says_what_to_do() -> None:
    text = written(Findings((), (Section(FROGS), Section(TOADS)), ()))

    assert "The library has nothing on this." in text
    assert "terzetto ingest PATH" in text
    assert "##" not in text


@pytest.mark.parametrize(
    ("task", "title"),
    [
        (
            "Compare threads and async I/O for a web server, then recommend one",
            "Threads and async I/O for a web server",
        ),
        ("Please explain how the GIL works.", "How the GIL works"),
        ("what is the GIL", "What is the GIL?"),
        (
            "I run a small web app. Should I use SQLite or PostgreSQL?",
            "Should I use SQLite or PostgreSQL?",
        ),
        (
            "Explain the actor model, then compare it with threads.",
            "The actor model, then compare it with threads",
        ),
        ("SQLite WAL", "SQLite WAL"),
        ("os.path", "os.path"),
        ("   ", "Report"),
    ],
)
def test_the_title_is_the_task_without_courtesies(task: str, title: str) -> None:
    assert headline(task) == title


def test_a_long_task_has_a_short_title_on_one_line() -> None:
    title = headline("How do frogs\nlive " + "in very deep water " * 20 + "?")

    assert len(title) < 130
    assert "\n" not in title
