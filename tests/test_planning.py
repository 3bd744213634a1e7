"""What the text of a task becomes: its questions, in the person's own words."""

from __future__ import annotations

import pytest
from reporting import planned
from scripted_model import Slot

from actors.agents.analyzer import AnalyzerAgent
from actors.messages import Analyze
from actors.tasks.planning import MAX_QUESTIONS

TABLE: list[tuple[str, list[str]]] = [
    # Two parts, each with words of its own.
    (
        "How do asyncio tasks get cancelled, and how does that differ from threads?",
        ["How do asyncio tasks get cancelled", "how does that differ from threads?"],
    ),
    (
        "How do we back up the database, and what do we do when a restore fails?",
        ["How do we back up the database", "what do we do when a restore fails?"],
    ),
    (
        "Wie oft wird die Datenbank gesichert, und wer hat die Kopie im Tresor?",
        ["Wie oft wird die Datenbank gesichert", "wer hat die Kopie im Tresor?"],
    ),
    # Several sentences.
    (
        "Who repairs the heating boiler? When is the chimney sweep due?",
        ["Who repairs the heating boiler?", "When is the chimney sweep due?"],
    ),
    (
        "什么是数据库线程？如何停止正在运行的线程？",
        ["什么是数据库线程？", "如何停止正在运行的线程？"],
    ),
    # A list.
    (
        "For the sqlite3 module, explain:\n- how locking works\n- how transactions work",
        ["For the sqlite3 module, explain:", "how locking works", "how transactions work"],
    ),
    # A part without words of its own belongs to the one before, as it was written.
    (
        "What is WAL mode, and when should I use it?",
        ["What is WAL mode, and when should I use it?"],
    ),
    ("My task disappears. What can I do?", ["My task disappears. What can I do?"]),
    ("Why? The server restarts every night.", ["Why? The server restarts every night."]),
    ("My task disappears at night.\nWhy?", ["My task disappears at night. Why?"]),
    # Nothing is split where nothing is asked twice.
    ("Research and development costs", ["Research and development costs"]),
    ("Explain how retries and backoff work", ["Explain how retries and backoff work"]),
    (
        "When a thread dies, what happens to its locks?",
        ["When a thread dies, what happens to its locks?"],
    ),
    ("What changed in Python 3.11?", ["What changed in Python 3.11?"]),
    ("Wer ist Dr. Müller?", ["Wer ist Dr. Müller?"]),
    ("SQLite WAL", ["SQLite WAL"]),
    ("😀😀", ["😀😀"]),
]


@pytest.mark.parametrize(("text", "questions"), TABLE, ids=[row[0][:40] for row in TABLE])
async def test_a_text_is_split_into_questions_in_the_words_of_its_author(
    text: str, questions: list[str]
) -> None:
    found = await planned(text)

    assert [question.text for question in found] == questions
    assert [question.query for question in found] == questions


async def test_a_url_says_where_to_look_and_is_not_searched_for() -> None:
    (question,) = await planned("What is exponential backoff? See http://x.example/a/retry/guide.")
    (page,) = await planned("https://x.example/a")

    assert question.text.endswith("See http://x.example/a/retry/guide.")
    assert question.query == "What is exponential backoff? See"
    assert page.query == "https://x.example/a"


SIDES: list[tuple[str, tuple[str, ...]]] = [
    ("Compare threads and async I/O for a web server", ("threads", "async I/O")),
    ("Should I use SQLite or PostgreSQL for a small web app?", ("SQLite", "PostgreSQL")),
    ("What is the difference between a list and a tuple?", ("a list", "a tuple")),
    ("Which is better: pickle or json?", ("pickle", "json")),
    ("pathlib vs os.path", ("pathlib", "os.path")),
    ("Tabs vs. spaces", ("Tabs", "spaces")),
    (
        "Was ist der Unterschied zwischen Wärmepumpe und Gasheizung?",
        ("Wärmepumpe", "Gasheizung"),
    ),
    ("Quelle est la différence entre un prêt et un crédit-bail ?", ("un prêt", "un crédit-bail")),
    ("Pros and cons of SQLite WAL mode", ()),
    ("How can I sort a list of dictionaries by a key?", ()),
    ("Is it free or not?", ()),
    ("How do lists work?", ()),
]


@pytest.mark.parametrize(("text", "sides"), SIDES, ids=[row[0][:40] for row in SIDES])
async def test_a_comparison_is_one_question_with_two_sides(
    text: str, sides: tuple[str, ...]
) -> None:
    (question,) = await planned(text)

    assert question.sides == sides


async def test_a_question_is_searched_in_the_context_of_the_one_before() -> None:
    first, second = await planned("How does SQLite lock a file, and how do I roll back changes?")

    assert (first.context, second.context) == ("", first.text)


async def test_a_follow_up_is_searched_in_the_context_of_the_task_before() -> None:
    (question,) = await planned("How are they cancelled?", "What are Trio nurseries?")

    assert question.query == "How are they cancelled?"
    assert question.context == "What are Trio nurseries?"


async def test_of_a_long_text_only_what_it_asks_is_a_question() -> None:
    lines = [f"Line {n} of the log of server {n}." for n in range(2 * MAX_QUESTIONS)]

    found = await planned("\n".join([*lines, "Which disk of the server failed?"]))

    assert [question.text for question in found] == ["Which disk of the server failed?"]


async def test_a_long_text_that_asks_nothing_has_as_many_questions_as_a_plan_may() -> None:
    lines = [f"Line {n} of the log of server {n}." for n in range(2 * MAX_QUESTIONS)]

    assert len(await planned("\n".join(lines))) == MAX_QUESTIONS


async def test_retrievals_run_in_parallel_between_analysis_and_synthesis() -> None:
    task = "How do asyncio tasks get cancelled, and how does that differ from threads?"
    plan = await AnalyzerAgent().handle(Analyze("t/s1", task), Slot())

    assert [(s.step_id, s.step, s.agent_type, s.depends_on) for s in plan.steps] == [  # type: ignore[union-attr]
        ("s1", "analysis", "analyzer", ()),
        ("s2", "retrieval", "retriever", ("s1",)),
        ("s3", "retrieval", "retriever", ("s1",)),
        ("s4", "synthesis", "analyzer", ("s2", "s3")),
        ("s5", "writing", "writer", ("s4",)),
    ]
