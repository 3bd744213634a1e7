"""What a task's text becomes: its questions, what is searched for each, and the kinds of work."""

from __future__ import annotations

import pytest

from actors.agents.extractive.planning import plan
from actors.tasks.planning import MAX_QUESTIONS

TABLE: list[tuple[str, list[str], list[str]]] = [
    (
        "How do asyncio tasks get cancelled, and how does that differ from threads?",
        ["How do asyncio tasks get cancelled?", "How does that differ from threads?"],
        ["compare", "explain"],
    ),
    (
        "Compare threads and async I/O for a web server, then recommend one",
        ["Threads for a web server", "Async I/O for a web server"],
        ["compare", "recommend"],
    ),
    (
        "Should I use SQLite or PostgreSQL for a small web app?",
        ["SQLite for a small web app", "PostgreSQL for a small web app"],
        ["compare", "recommend"],
    ),
    ("What is the difference between a list and a tuple?", ["List", "Tuple"], ["compare"]),
    ("pathlib vs os.path", ["Pathlib", "os.path"], ["compare"]),
    ("when should I use dataclasses vs namedtuple", ["Dataclasses", "Namedtuple"], ["recommend"]),
    ("How do lists and tuples differ?", ["Lists", "Tuples"], ["compare"]),
    ("How does asyncio differ from threading?", ["Asyncio", "Threading"], ["compare"]),
    (
        "Compare error handling in Go and Rust",
        ["Error handling in Go", "Error handling in Rust"],
        ["compare"],
    ),
    (
        "In Python, should I use threads or processes for CPU-bound work?",
        ["Threads for CPU-bound work in Python", "Processes for CPU-bound work in Python"],
        ["recommend"],
    ),
    ("Which is better: pickle or json?", ["Pickle", "Json"], ["compare", "recommend"]),
    ("Pros and cons of SQLite WAL mode", ["Pros and cons of SQLite WAL mode"], ["drawbacks"]),
    (
        "How big should a pool be, and how soon does it grow?",
        ["How big should a pool be?", "How soon does it grow?"],
        [],
    ),
    (
        "List the restart strategies and tell me when each of them fits.",
        ["The restart strategies"],
        [],
    ),
    (
        "how logging handlers and formatters work, and how to rotate files",
        ["How logging handlers and formatters work", "How to rotate files"],
        ["instruct", "explain"],
    ),
    (
        "Explain how retries and backoff work together",
        ["How retries and backoff work together"],
        ["explain"],
    ),
    ("Research and development costs", ["Research and development costs"], ["explain"]),
    ("SQLite WAL", ["SQLite WAL"], ["explain"]),
    ("What changed in sqlite3?", ["What changed in sqlite3?"], ["changes"]),
    (
        "Please write a short report on structured concurrency",
        ["Structured concurrency"],
        ["summarize"],
    ),
    (
        "I want you to explain lists, tuples and dictionaries in Python",
        ["Lists in Python", "Tuples in Python", "Dictionaries in Python"],
        ["explain"],
    ),
    (
        "First read about threads, then compare them with processes, finally recommend one.",
        ["Threads", "Compare them with processes"],
        ["compare", "recommend"],
    ),
    (
        "My web app is written in Flask. It is small. Should I use SQLite or PostgreSQL?",
        ["SQLite", "PostgreSQL"],
        ["recommend"],
    ),
    (
        "What is asyncio? How do you test it? How do you debug it?",
        ["What is asyncio?", "How do you test it?", "How do you debug it?"],
        ["define", "explain"],
    ),
    (
        "For the sqlite3 module, explain:\n- WAL mode\n- locking\n- how transactions work",
        ["WAL mode", "Locking", "How transactions work"],
        ["explain"],
    ),
    (
        "1) What is a coroutine? 2) What is a task? 3) How are they related?",
        ["What is a coroutine?", "What is a task?", "How are they related?"],
        ["define"],
    ),
    (
        "When a thread dies, what happens to its locks?",
        ["When a thread dies, what happens to its locks?"],
        ["explain"],
    ),
    (
        "Explain what a context manager is, when to use it, and how it fails",
        ["What a context manager is", "When to use it", "How it fails"],
        ["explain"],
    ),
    ("how and why does the GIL exist", ["How and why does the GIL exist?"], ["explain"]),
    (
        'What does "wait, and how long" mean?',
        ['What does "wait, and how long" mean?'],
        ["define"],
    ),
    (
        "Was ist ein Thread und wie beendet man ihn?",
        ["Was ist ein Thread und wie beendet man ihn?"],
        [],
    ),
    ("😀😀", ["😀😀"], ["explain"]),
]


@pytest.mark.parametrize(("text", "questions", "kinds"), TABLE, ids=[row[0][:40] for row in TABLE])
def test_a_text_is_split_into_its_questions_and_kinds_of_work(
    text: str, questions: list[str], kinds: list[str]
) -> None:
    made = plan(text)

    assert [question.text for question in made.questions] == questions
    assert set(kinds) <= set(made.intents)


def test_retrievals_run_in_parallel_between_analysis_and_synthesis() -> None:
    made = plan("How do asyncio tasks get cancelled, and how does that differ from threads?")

    assert [(s.step_id, s.step, s.agent_type, s.depends_on) for s in made.steps] == [
        ("s1", "analysis", "analyzer", ()),
        ("s2", "retrieval", "retriever", ("s1",)),
        ("s3", "retrieval", "retriever", ("s1",)),
        ("s4", "synthesis", "analyzer", ("s2", "s3")),
        ("s5", "writing", "writer", ("s4",)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "How do asyncio tasks get cancelled, and how does that differ from threads?",
            {"threads", "asyncio", "tasks", "cancelled"},
        ),
        ("What is asyncio? How do you test it?", {"test", "asyncio"}),
        ("What is a coroutine? What is a task? How are they related?", {"coroutine", "task"}),
        ("how logging handlers work, and how to rotate files", {"rotate", "files", "logging"}),
        ("For the sqlite3 module, explain:\n- WAL mode\n- locking", {"locking", "sqlite3"}),
        ("What is event sourcing and what are its drawbacks?", {"drawbacks", "event", "sourcing"}),
    ],
)
def test_a_question_that_leans_on_another_is_searched_with_its_subject(
    text: str, words: set[str]
) -> None:
    assert words <= set(plan(text).questions[-1].query.split())


def test_what_is_said_of_all_that_is_compared_only_tells_where_to_look() -> None:
    threads, processes = plan("Compare threads and processes for a small web app").questions

    assert (threads.query, threads.aside) == ("threads", "processes small web app")
    assert (processes.query, processes.aside) == ("processes", "threads small web app")


def test_what_came_before_tells_where_to_look_for_a_question_that_stands_alone() -> None:
    last = plan("How does SQLite lock a file, and how do I roll back after an error?").questions[-1]

    assert last.query == "roll back after error"
    assert last.aside == "sqlite lock file"


def test_one_before_a_noun_is_a_number_and_leans_on_nothing() -> None:
    text = "How do handlers work? How do I log from several processes to one file?"

    assert plan(text).questions[-1].query == "log processes file"


def test_words_for_the_kind_of_answer_are_aside() -> None:
    (question,) = plan("What changed for exceptions in Python 3.11?").questions

    assert (question.query, question.aside) == ("exceptions python 3.11", "changed")


@pytest.mark.parametrize(
    "text", ["Please explain the GIL", "Summarize the GIL", "Tell me about the GIL"]
)
def test_an_order_is_not_searched_for(text: str) -> None:
    assert plan(text).questions[0].query == "gil"


def test_names_with_dots_and_slashes_are_searched_whole() -> None:
    made = plan("Explain asyncio.TaskGroup and I/O multiplexing")

    assert made.questions[0].query == "asyncio.taskgroup i/o multiplexing"


def test_code_is_not_cut_into_questions() -> None:
    made = plan("Why does this fail?\n```python\nimport os? and how(x); what? why?\n```")

    assert [question.text for question in made.questions] == ["Why does this fail?"]


def test_what_is_past_the_last_question_is_merged_into_it() -> None:
    topics = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]

    made = plan(" ".join(f"What is {topic}?" for topic in topics))

    assert len(made.questions) == MAX_QUESTIONS
    assert set(made.questions[-1].query.split()) == {"theta", "iota", "kappa"}
    assert "theta" in made.questions[-1].text


def test_the_same_question_twice_is_searched_once() -> None:
    assert len(plan("What is the GIL? Please tell me: what is the GIL?").questions) == 1
