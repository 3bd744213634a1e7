"""Markdown: front matter, boxes, notes, lists and lines, and tags that are none."""

from __future__ import annotations

import pytest
from blocks_of import parsed, shown


def lines(text: str) -> list[str]:
    return shown(parsed(text, "text/markdown"))


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("---\ntitle: >\n  Folded\n  title\n---\n", "Folded title"),
        ("---\ntitle: A: with a colon\n---\n", "A: with a colon"),
        ("---\ntitle: 2024\n---\n", "2024"),
        ('+++\ntitle = "Of TOML"\n+++\n', "Of TOML"),
        ("---\n---\n", "Head"),
        ("", "Head"),
    ],
)
def test_the_title_is_that_of_the_front_matter_if_it_has_one(front: str, title: str) -> None:
    assert parsed(f"{front}# Head\n\nText.", "text/markdown").title == title


def test_other_front_matter_is_kept_as_it_is_written() -> None:
    text = "---\ntitle: T\ndate: 2026-03-01\ntags: [a, b]\nlang: de-AT\n---\nText."

    assert lines(text) == ["[pair] date: 2026-03-01", "[pair] tags: a, b", "[paragraph] Text."]
    assert parsed(text, "text/markdown").language == "de"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert lines("---\n\nText one.\n\n---\n\nText two.") == [
        "[paragraph] Text one.",
        "[paragraph] Text two.",
    ]


@pytest.mark.parametrize(
    "box",
    [
        "!!! warning\n\n    The body.",
        "!!! warning\n    The body.",
        '??? tip "Warning"\n    The body.',
        '=== "Warning"\n\n    The body.',
        "> [!WARNING]\n> The body.",
        ":::warning\nThe body.\n:::",
        "::: {.warning}\nThe body.\n:::",
        ":::{note} Warning\nThe body.\n:::",
    ],
)
def test_the_body_of_a_box_is_text_below_its_label(box: str) -> None:
    assert lines(f"{box}\n\nAfter.") == [
        "[term] Warning",
        "[paragraph 1] The body.",
        "[paragraph] After.",
    ]


def test_lines_that_a_reader_sees_are_kept() -> None:
    assert lines("one  \ntwo") == ["[paragraph] one\ntwo"]
    assert lines("Tel: 1\nFax: 2") == ["[pair] Tel: 1", "[pair] Fax: 2"]
    assert lines("| a | b |\n|---|---|\n| one<br>two | x |")[1] == "[row] one two | x"


def test_numbers_of_items_are_kept() -> None:
    text = "3) three\n4) four\n   1. in\n\n* [x] done\n\nTerm\n: Its meaning"

    assert lines(text) == [
        "[item 3)] three",
        "[item 4)] four",
        "[item 1. 1] in",
        "[item -] [x] done",
        "[term] Term",
        "[paragraph 1] Its meaning",
    ]


def test_the_mark_of_a_note_goes_and_the_note_stays() -> None:
    assert lines("Text[^1].\n\n[^1]: The note.") == ["[paragraph] Text.", "[item 1.] The note."]


def test_a_bold_question_is_the_heading_of_its_answer() -> None:
    assert lines("**How do I pay?**\n\nBy card.") == ["How do I pay?[paragraph] By card."]


def test_a_tag_that_html_does_not_have_is_text() -> None:
    assert lines("Run cd <folder> on Vec<T>, and the <script> tag.\n\nMore.") == [
        "[paragraph] Run cd <folder> on Vec<T>, and the <script> tag.",
        "[paragraph] More.",
    ]


def test_html_within_markdown_is_read() -> None:
    text = "<details>\n<summary>Why?</summary>\n\nBecause **so**.\n\n</details>\n\nH<sub>2</sub>O"

    assert lines(text) == ["Why?[paragraph 1] Because so.", "[paragraph] H2O"]
