"""What holds for every parser: it reads or refuses, keeps the order, and takes linear time."""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.errors import ExtraMissing, UnreadableDocument
from actors.library.parsing.media_types import KINDS
from actors.library.parsing.parse import parse

TYPES = [kind.media_type for kind in KINDS]
PIECES: dict[str, list[str]] = {
    "text/html": ["<p>", "<div>", "</div>", "<li>", "<ol start=9>", "<td rowspan=9>", "<table>"]
    + ["<sup>", "<a href=#x>", "<br>", "<details>", "<summary>", "<button>", "<h2>", "<pre>"],
    "text/markdown": [
        "# ",
        "- ",
        "> ",
        "| a ",
        "|-",
        "\n\n",
        "!!! x\n    ",
        ":::x\n",
        "```",
        "[^1]",
    ]
    + ["---\n", "+++\n", "**", "<b>", "1. "],
    "text/plain": ["- ", "1. ", "\n\n", "    ", "\f", "[Page 1]\n", "a: b\n", "====\n", "  x"],
    "application/json": ["{", "[", '"a":', "1,", "]", "}"],
    "application/yaml": ["- ", "a: ", "\n ", "&a ", "*a ", "{", "[", "|\n", "!x "],
    "text/x-rst": ["====\n", ".. a::\n", "   x\n", "`a`_ ", "* ", "|a| ", "+--+\n"],
    "text/x-org": ["* ", "#+begin_src\n", "| a |\n", ":a:\n", "- a :: b\n"],
    "message/rfc822": ["From: a\n", "Content-Type: multipart/mixed; boundary=a\n", "\n", "--a\n"],
    "application/x-ipynb+json": ['{"cells": [', '{"cell_type": "code",', '"source": 1}', "]}"],
}


def read(body: bytes, media_type: str) -> None:
    try:
        document = parse(body, media_type=media_type)
    except (UnreadableDocument, ExtraMissing) as refused:
        assert refused.message
        return
    assert document.title == " ".join(document.title.split())
    for block in document.blocks:
        assert block.text.strip() and "\0" not in block.text
        block.text.encode()
        assert block.kind in ("paragraph", "code") or "\n" not in block.text


@given(st.sampled_from(TYPES), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(media_type: str, body: bytes) -> None:
    read(body, media_type)


@pytest.mark.parametrize("media_type", PIECES)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_any_pieces_of_a_format_are_read_or_refused(media_type: str, data: Any) -> None:
    piece = st.one_of(st.sampled_from(PIECES[media_type]), st.text(max_size=5))
    text = "".join(data.draw(st.lists(piece, max_size=40)))

    read(text.encode(errors="replace"), media_type)


ENDLESS = [
    ("text/html", unit)
    for unit in (
        [
            "<p>a<sup>1</sup>",
            "<a href=x>y</a>",
            "<tr><td rowspan=99 colspan=99>x",
            "<li><p><b>x</b></p>",
        ]
        + ["<div class=sidebar>y</div>", "<details><summary>a</summary>x</details>", "<b>x<p>"]
        + ["<div role=tab id=t>x</div><div role=tabpanel aria-labelledby=t>y</div>"]
    )
]
ENDLESS += [
    ("text/markdown", unit) for unit in ("> ", "- a\n", "[^1]: x\n\n[^1]", "[a](", "a: b\n")
]
ENDLESS += [
    ("text/plain", u)
    for u in ("a\n\n", "- a\n", "a: b\n", "\f[Page 1]\n", " . . .", "x ", "What?\n\n")
]
ENDLESS += [
    ("application/json", "[1],"),
    ("application/yaml", "a:\n- b\n"),
    ("text/csv", 'a,"b"\n'),
]
ENDLESS += [("text/x-org", "* a\n"), ("text/x-source-code", "def a(\n"), ("text/x-rst", "* a\n")]


@pytest.mark.parametrize(("media_type", "unit"), ENDLESS)
def test_twice_the_text_takes_at_most_about_twice_the_lines(media_type: str, unit: str) -> None:
    short, long = (executed(unit * n, media_type) for n in (150, 300))

    assert long <= 2.3 * short + 2_000


@pytest.mark.parametrize(("media_type", "unit"), ENDLESS)
def test_a_long_text_takes_no_time_to_speak_of(media_type: str, unit: str) -> None:
    began = time.process_time()

    read((unit * (60_000 // len(unit))).encode(), media_type)

    assert time.process_time() - began < 15  # Patterns that go back and forth take minutes.


@pytest.mark.parametrize("unit", ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "<span><i>"])
def test_a_page_nested_beyond_reason_is_read_or_refused_at_once(unit: str) -> None:
    began = time.process_time()

    for count in (100, 400, 3_000, 100_000):
        read((unit * count + "deep").encode(), "text/html")

    assert time.process_time() - began < 15


def executed(text: str, media_type: str) -> int:
    """How many lines of our own code it takes to parse a text."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if "actors" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read(text.encode(), media_type)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize(
    "page",
    [
        "<body><p " + " ".join(f"a{n}=1" for n in range(40_000)) + ">x</p>",
        "<p " + " ".join(f"a{n}='>'" for n in range(40_000)) + ">x</p>",
        "<script " + " ".join(f"a{n}" for n in range(40_000)) + "></script>x",
        "<svg>" * 40_000 + "x",
        "<address>" * 40_000 + "x",
    ],
    ids=["attributes", "quoted attributes", "attributes of a script", "drawings", "addresses"],
)
def test_a_page_that_would_take_quadratic_time_is_refused(page: str) -> None:
    with pytest.raises(UnreadableDocument, match="too many attributes|too deeply"):
        parse(page.encode(), media_type="text/html")


@pytest.mark.parametrize(
    "page",
    [
        "<p>text</p><script>if (a <b " + "c " * 5_000 + ")</script>",
        "<!-- <b " + "c " * 5_000 + "--><p>text</p>",
        "<p title='" + "c " * 5_000 + "'>text</p>",
        "<p>text</p>" * 4_000,
        "<p>text 1 < 2 " + "c " * 5_000 + "</p>",
    ],
)
def test_many_words_in_a_page_are_not_attributes(page: str) -> None:
    assert parse(page.encode(), media_type="text/html").blocks[0].text.startswith("text")


def test_ids_that_many_buttons_name_are_looked_up_once() -> None:
    unit = "<button aria-controls=a{0}>Why {0}?</button><div id=a{0}>Because.</div>"

    found = parse("".join(unit.format(n) for n in range(3_000)).encode(), media_type="text/html")

    assert [block.headings for block in found.blocks[:2]] == [("Why 0?",), ("Why 1?",)]


@pytest.mark.parametrize("text", ["*a " * 40_000, "`a " * 40_000, "|a| " * 40_000, "a_ " * 40_000])
def test_marks_without_end_make_reStructuredText_plain_text(text: str) -> None:
    found = parse(text.encode(), media_type="text/x-rst")

    assert found.blocks[0].text == text.strip()
    assert "was read as plain text" in found.notes[0]


def test_a_paragraph_of_many_addresses_and_one_of_many_words_are_kept() -> None:
    for text in ("https://example.com/x " * 900, "word " * 250_000):
        found = parse(text.encode(), media_type="text/x-rst")

        assert found.blocks[0].text == text.strip()


def test_large_tables_and_lists_of_reStructuredText_are_read_as_such() -> None:
    row = "+---+---+\n| a | b |\n"
    table = parse((row * 600 + "+---+---+\n").encode(), media_type="text/x-rst")
    items = parse(("* an item\n" * 2_000).encode(), media_type="text/x-rst")

    assert {block.kind for block in table.blocks} == {"row"} and not table.notes
    assert {block.kind for block in items.blocks} == {"item"} and not items.notes


def test_a_key_of_thousands_of_parts_is_no_table() -> None:
    found = parse(("a." * 40_000 + "a = 1").encode(), media_type="application/toml")

    assert found.notes == ("This is not valid TOML and was read as plain text.",)


def test_a_header_of_an_email_that_does_not_end_is_cut_with_a_note() -> None:
    subject = "Subject: " + "=?utf-8?q?a?= " * 24_000 + "\n\nThe text.\n"

    found = parse(subject.encode(), media_type="message/rfc822")

    assert found.blocks[-1].text == "The text."
    assert found.notes == ("The rest of the long header Subject was left out.",)
