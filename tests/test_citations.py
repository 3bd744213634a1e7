"""A model's text is checked while it streams, and how it was cut makes no difference."""

from __future__ import annotations

import gc
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.agents.model.draft import sentence_figures
from actors.agents.model.markup import urls
from actors.agents.model.text import MOST_HELD, CheckedText
from actors.runtime.cooperative import Cooperative, at_once

KNOWN = (1, 2, 3)
GOOD_URL = "https://good.example/a?b=1"


def checked(text: str, *, chunk: int = 0, known: tuple[int, ...] = KNOWN) -> str:
    return run(text, chunk=chunk, known=known)[0]


def run(text: str, *, chunk: int = 0, known: tuple[int, ...] = KNOWN) -> tuple[str, CheckedText]:
    checker = CheckedText(known, urls([GOOD_URL]))
    size = chunk or max(1, len(text))
    shown = "".join(at_once(checker.feed(text[at : at + size])) for at in range(0, len(text), size))
    return shown + checker.finish(), checker


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Frogs sing [1].", "Frogs sing [1]."),
        ("Frogs sing [99].", "Frogs sing."),
        ("Frogs [99] sing.", "Frogs sing."),
        ("Frogs sing. [99]\nToads too.", "Frogs sing.\nToads too."),
        ("Frogs [1, 99, 2] sing.", "Frogs [1, 2] sing."),
        ("Frogs [1][2] sing.", "Frogs [1][2] sing."),
        ("Frogs [1-3] sing.", "Frogs [1, 2, 3] sing."),
        ("Frogs [2–9] sing.", "Frogs [2, 3] sing."),
        ("Frogs [passage 2] sing.", "Frogs [2] sing."),
        ("Frogs【2】 sing.", "Frogs[2] sing."),
        ("Frogs [99999999999999999999999] sing.", "Frogs sing."),
        ("Frogs [0] [-1] sing.", "Frogs (-1) sing."),
        ("Frogs [1; 2 and 3] sing.", "Frogs [1, 2, 3] sing."),
        ("Frogs [sic] sing […].", "Frogs (sic) sing (…)."),
        ("Frogs [[99]77] sing.", "Frogs sing."),
        ("Frogs &#91;99&#93; sing.", "Frogs sing."),
        ("Frogs [9\x009] sing.", "Frogs sing."),
        ("Frogs [1](https://evil.example) sing.", "Frogs [1] sing."),
        ("Frogs [1] (green) sing.", "Frogs [1] (green) sing."),
        ("Frogs [1", "Frogs (1"),
        ("Frogs [", "Frogs ("),
    ],
)
def test_only_known_sources_are_cited(written: str, shown: str) -> None:
    assert checked(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("See ![x](https://evil.example/?d=1) here.", "See x here."),
        ("See [x](https://evil.example 'a b') here.", "See x here."),
        ("See [x](javascript:alert) here.", "See x here."),
        ("See [![x](http://evil.example)](http://evil.example) here.", "See x here."),
        ("See [x][evil] here.\n\n[evil]: https://evil.example", "See (x)(evil) here.\n\n(evil):"),
        ("See https://evil.example/?d=1. Here.", "See. Here."),
        ("See <https://evil.example> here.", "See <> here."),
        ("See https [99]://evil.example here.", "See https ://evil.example here."),
        (f"See {GOOD_URL} [99].secret here.", f"See {GOOD_URL} .secret here."),
        (f"See {GOOD_URL} ](", f"See {GOOD_URL} )("),
        (f"See {GOOD_URL}`x` here.", f"See {GOOD_URL} `x` here."),
        (f"See https://evil.example/{'s' * 2_000} here.", "See  here."),
        (
            f"See {'x' * 395}https://evil.example here.",
            f"See {'x' * 395}https: //evil.example here.",
        ),
        ("See www.evil.example here.", "See here."),
        ("See ht[99]tps://evil.example here.", "See here."),
        ("See https&colon;//evil.example here.", "See here."),
        ("See https:\\/\\/evil.example here.", "See here."),
        (f"See {GOOD_URL}, here.", f"See {GOOD_URL}, here."),
        (f"See {GOOD_URL}&secret=1 here.", "See here."),
        (f"See [x]({GOOD_URL}) here.", "See x here."),
        ("[1]: //evil.example", "[1] : //evil.example"),
        ("A <img src=x onerror=y> b", "A < img src=x onerror=y> b"),
        ("A < b and c > d, R&D", "A < b and c > d, R&D"),
        ("Bidi \u202eevil\u202c, bell\x07, \x1b[31m.", "Bidi evil, bell, (31m."),
    ],
)
def test_no_link_stands_that_no_source_has(written: str, shown: str) -> None:
    assert checked(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Call `a[9](b)` now [1].", "Call `a[9](b)` now [1]."),
        ("Call ``a ` [9]`` now.", "Call ``a ` [9]`` now."),
        ("Open ` [x](y)\nand ` [9].", "Open x\nand."),
        ("Escaped \\`[x](y)`.", "Escaped `[x](y)`."),
        ("|`|[x](y)`|", "||x|"),
        ("`a`[99]`b`", "`a` `b`"),
        ("```python\nx[9] = 1\n```\nDone [9].", "```python\nx[9] = 1\n```\nDone."),
        ("~~~~ {.c}\nx[9]\n~~~~\n[9] [1]", "```\nx[9]\n```\n[1]"),
        ("- a\n\n  ```sh\n  ls\n  ```\n- b [9]", "- a\n\n```sh\n  ls\n```\n- b"),
        ("```\nnever ends", "```\nnever ends\n```\n"),
        ("```\n``` x\n[9]", "```\n```\n"),
        ("```js\nfetch('https://evil.example')\n```", "```js\nfetch('')\n```\n"),
        ("```\nhttps://evil.example/ ```\n[9]", "```\n \n[9]\n```\n"),
        ("[9]~~~\n[9] x", "x"),
        ("```inline``` [9] x", "```inline``` x"),
    ],
)
def test_code_keeps_its_brackets_and_prose_beside_it_does_not(written: str, shown: str) -> None:
    assert checked(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("A [1].\n\n## Sources\n\n1. One\n   goes on\n2. Two\n", "A [1].\n\n"),
        ("A [1].\n\n**Sources:**\n- [1] One\n- [2] Two\n\nB [2].", "A [1].\n\nB [2]."),
        ("A [1].\n\nReferences\n[1] One\n## B\nC [2].", "A [1].\n\n## B\nC [2]."),
        ("A [1].\n\n## Sources", "A [1].\n\n"),
        ("## References\n\nIn C++, one is [1].", "## References\n\nIn C++, one is [1]."),
        ("Sources of heat are [1].", "Sources of heat are [1]."),
        ("# Title\n\nA [1].", "A [1]."),
        ("A [1].\n\n\n\n\n\nB.", "A [1].\n\nB."),
        ("- A [1]\n  - B [2]\n\n1. C [3]", "- A [1]\n  - B [2]\n\n1. C [3]"),
    ],
)
def test_a_list_of_sources_and_a_title_are_ours_to_write(written: str, shown: str) -> None:
    assert checked(written) == shown


def test_what_was_taken_out_is_counted() -> None:
    _, checker = run("A [1]. B [2, 9]. C [9][8]. ![x](https://a.example) https://b.example ")

    assert checker.cited == [1, 2]
    assert checker.removed_citations == 3
    assert checker.removed_links == 2


def test_words_go_out_as_they_end() -> None:
    checker = CheckedText(KNOWN)

    assert at_once(checker.feed("Frogs si")) == "Frogs"
    assert at_once(checker.feed("ng [1")) == " sing"
    assert at_once(checker.feed("]. To")) == " [1]."


PIECES = st.sampled_from(
    [
        *("Frogs", " ", " ", ". ", "\n", "\n\n", "[1]", "[", "]", "(", ")", "[99]", "[1, 9]", "1"),
        *("`", "``", "```", "```py\n", "\n```\n", "~~~\n", "\\", "!", "![a](b)", "[c](http://d.e)"),
        *(
            "http://",
            "https://e.f/?g ",
            "www.",
            GOOD_URL,
            "://",
            "<",
            "<b>",
            "&",
            "#",
            "&#91;",
            ";",
        ),
        *(
            "&amp;",
            "# ",
            "## ",
            "## Sources\n",
            "Sources:\n",
            "- ",
            "1. ",
            "|",
            "é",
            "中",
            "  ",
            ":",
        ),
        *("x" * 150, "a b " * 60, "\t", "\x1b", "\r\n", "**", "_", "\u202e", "]:", "]("),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=80))


@given(TEXTS, st.lists(st.integers(0, 400), max_size=12))
def test_however_a_text_is_cut_the_result_is_the_same(text: str, cuts: list[int]) -> None:
    whole, once = run(text)
    by_character, each = run(text, chunk=1)
    checker = CheckedText(KNOWN, urls([GOOD_URL]))
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    by_cuts = "".join(at_once(checker.feed(piece)) for piece in pieces) + checker.finish()

    assert by_character == by_cuts == whole
    assert (once.cited, once.removed_citations) == (each.cited, each.removed_citations)


@given(TEXTS)
def test_what_comes_out_is_sound(text: str) -> None:
    shown = checked(text)

    prose = without_code(shown)
    assert all(
        int(n) in KNOWN for n in re.findall(r"\d+", "".join(re.findall(r"\[[^\]]*\]", prose)))
    )
    assert re.fullmatch(r"(?:[^\[\]]|\[\d+(?:, \d+)*\](?![(:]))*", prose)
    found = re.findall(r"(?i)[a-z][a-z0-9+.-]*://[^\s<>\"`]*", ascii_runs(shown))
    assert {url.rstrip(".,;:!?'\"*_)]}") for url in found} <= {GOOD_URL}
    assert not re.search(r"<[A-Za-z/!?]", prose)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


@given(TEXTS)
def test_little_is_held_back(text: str) -> None:
    checker = CheckedText(KNOWN, urls([GOOD_URL]))
    for character in text:
        at_once(checker.feed(character))

        assert checker.held <= 3 * MOST_HELD


@given(st.lists(st.sampled_from(["Frogs", "sing", "[1]", "\n", "- ", "a", "é", ".", "2"])))
def test_plain_text_loses_nothing_but_space(words: list[str]) -> None:
    text = " ".join(words)

    assert checked(text).split() == text.split()


@given(TEXTS, st.integers(0, 400))
def test_what_was_kept_is_gone_on_from_as_if_nothing_had_been(text: str, cut: int) -> None:
    before = CheckedText(KNOWN, urls([GOOD_URL]))
    kept = at_once(before.feed("Frogs. " + text[:cut]))
    after = CheckedText(KNOWN, urls([GOOD_URL]))
    at_once(after.continue_from(kept))

    assert at_once(after.feed("")) == ""
    assert after.cited == before.cited
    assert after.removed_citations == after.removed_links == 0
    ended = kept + at_once(after.feed("\n\nToads [2] [99].\n")) + after.finish()
    assert len(re.findall(r"^```[^`\n]*$", ended, re.MULTILINE)) % 2 == 0
    assert "99]" not in without_code(ended)


@pytest.mark.parametrize(
    ("kept", "more", "ended"),
    [
        ("Frogs", " sing [1].", "Frogs sing [1]."),
        ("Frogs", "sing [1].", "Frogs sing [1]."),
        ("Frogs sing", ". Toads", "Frogs sing. Toads"),
        ("中文", "继续", "中文继续"),
        ("A.\n\n", " B.", "A.\n\nB."),
        ("A.\n\n", "## B\n", "A.\n\n## B\n"),
        ("```\na\n", "b\n```\n", "```\na\nb\n```\n"),
    ],
)
def test_text_goes_on_where_it_ended(kept: str, more: str, ended: str) -> None:
    checker = CheckedText(KNOWN)
    at_once(checker.continue_from(kept))

    assert kept + at_once(checker.feed(more)) + checker.finish() == ended


HARD = [
    "[" * 20_000,
    "`" * 20_000,
    "[a](" * 5_000,
    "&#91;" * 4_000,
    "http://" * 3_000,
    "a" * 20_000,
]
HARD += [
    "[1]" * 7_000,
    "`a" * 9_000,
    "## Sources\n" * 1_500,
    "<a" * 9_000,
    "[1, " * 5_000,
    "\n" * 20_000,
    "." * 20_000,
    "?! " * 6_000,
    ". [1] " * 3_000,
    "- \n" * 6_000,
    " \n" * 10_000,
    ("[" + "` " * 300) * 30,
    ("[" + "`a` " * 150) * 30,
    ("`" + "é" * 390) * 50,
    ("[" * 190 + "9" + "]9" * 190 + " ") * 30,
    ("[&" + "amp;" * 90 + " ] ") * 50,
    "````x\n" * 3_000,
]
MOST_S = 20.0
"""Far more than any of these takes, and far less than what grows with the square."""

MOST_SLICE_S = 0.1
"""Some ten times what the longest slice takes. Without slices it would be most of `MOST_S`."""


def longest_slice_s(work: Cooperative[object]) -> float:
    """The processor time of the longest slice, without what the collector takes."""
    longest = 0.0
    gc.disable()
    try:
        while True:
            began = time.process_time()
            next(work)
            longest = max(longest, time.process_time() - began)
    except StopIteration:
        return longest
    finally:
        gc.enable()


@pytest.mark.parametrize("text", HARD, ids=[repr(text[:8]) for text in HARD])
def test_hard_texts_take_no_time_to_speak_of(text: str) -> None:
    began = time.process_time()

    assert len(checked(text)) <= 2 * len(text) + 10
    assert time.process_time() - began < MOST_S


@pytest.mark.parametrize("text", HARD, ids=[repr(text[:8]) for text in HARD])
def test_hard_texts_never_hold_up_the_others(text: str) -> None:
    assert longest_slice_s(CheckedText(KNOWN).feed(text)) < MOST_SLICE_S
    assert longest_slice_s(sentence_figures(text)) < MOST_SLICE_S


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("Frogs sing at night [1]. Toads sleep all day.", (1, 1)),
        ("Frogs sing at night. [1] Toads sleep all day. [2][3]", (2, 0)),
        ("## A heading of words\n\n- Frogs sing loud\n- Toads sleep well [2]\n", (1, 1)),
        ("```\nno prose in here. none at all.\n```\nYes.", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_sentences_with_and_without_a_source_are_counted(
    text: str, figures: tuple[int, int]
) -> None:
    assert at_once(sentence_figures(text)) == figures


def without_code(text: str) -> str:
    """The prose of a text as CommonMark reads it: no fences, no code spans."""
    prose = re.sub(r"^```[^`\n]*\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    paragraphs = prose.split("\n\n")
    return "\n\n".join(
        re.sub(r"(?<!`)(`+)(?!`).*?[^`]\1(?!`)", " ", p, flags=re.DOTALL) for p in paragraphs
    )


def ascii_runs(text: str) -> str:
    return re.sub(r"[^\x00-\x7f]", " ", text)
