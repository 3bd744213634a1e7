"""Where sentences end."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.library.sentences import sentences

ONE = [
    "Use a queue, e.g. asyncio.Queue, for that.",
    "It is bounded, i.e. it has a limit.",
    "Threads vs. processes is an old question.",
    "Dr. Smith and Mr. Jones wrote it.",
    "It works since version 3.11.2 of Python.",
    "An asyncio.Task is cancelled by task.cancel() at once.",
    "It took 0.25 s, not 1.5 s.",
    "See Fig. 3 and Sec. 4 of the paper.",
    "Knuth et al. showed this.",
    "J. R. Smith invented it.",
    "Locks, events, etc. are in the module.",
    '"Why?" he asked.',
    "It waits ... and then goes on.",
    "1. Introduction",
    "No full stop at all",
]


@pytest.mark.parametrize("run", [".", "?", "!?", '."', "…", "\n ", "。」"])
def test_a_run_of_stops_takes_no_time_to_speak_of(run: str) -> None:
    began = time.process_time()

    sentences(run * 30_000)

    assert time.process_time() - began < 10  # It took a minute.


@pytest.mark.parametrize("text", ONE)
def test_a_full_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert sentences(text) == [text]


MANY = [
    ["It ends here.", "Another begins."],
    ["Is it so?", "Yes!", "Good."],
    ["He said “no.”", "Then he left."],
    ["(See below.)", "It goes on."],
    ["It came with 3.11.", "Later versions have it, too."],
    ["There are locks, events, etc.", "They are slow."],
    ["Call it once.", "asyncio.run() starts the loop."],
    ["It stops.", "task_done() counts down."],
    ["It is faster than I.", "The rest follows."],
    ["The first paragraph", "The second paragraph"],
    ["Es ist so.", "Über Nacht wird es anders."],
]


@pytest.mark.parametrize("expected", MANY)
def test_a_sentence_ends_where_the_next_one_begins(expected: list[str]) -> None:
    glue = "\n\n" if "." not in expected[0] + expected[-1] else " "

    assert sentences(glue.join(expected)) == expected


def test_scripts_without_spaces_are_cut_too() -> None:
    assert sentences("これは文です。次の文です。") == ["これは文です。", "次の文です。"]


@given(st.text(alphabet=st.sampled_from("aB1.!?…\"')]( \n。e.g"), max_size=80))
def test_sentences_are_slices_of_the_text_in_order_and_nothing_is_lost(text: str) -> None:
    at = 0
    for sentence in sentences(text):
        assert sentence
        found = text.index(sentence, at)
        assert not text[at:found].strip()
        at = found + len(sentence)
    assert not text[at:].strip()
