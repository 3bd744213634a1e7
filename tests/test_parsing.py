"""From bytes to blocks: kinds of documents, encodings, titles and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import UnreadableDocument, UnsupportedMediaType
from actors.library.parsing.blocks import Block
from actors.library.parsing.media_types import media_type_of
from actors.library.parsing.parse import parse


def text_of(body: bytes, media_type: str = "text/plain") -> str:
    return " ".join(block.text for block in parse(body, media_type=media_type).blocks)


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        (b"hello", None, "text/plain"),
        (b"hello", "a.md", "text/markdown"),
        (b"hello", "A.HTM", "text/html"),
        (b"%PDF-1.7 ...", "upload.bin", "application/pdf"),
        (b"  <!DOCTYPE html><p>x", None, "text/html"),
        (b"# Notes", None, "text/markdown"),
        (b"# a comment", "script.py", "text/x-source-code"),
        (b"# a comment", "crontab.x", "text/plain"),
    ],
)
def test_without_a_media_type_name_and_content_tell(
    body: bytes, name: str | None, expected: str
) -> None:
    assert media_type_of(body, None, name) == expected


def test_a_given_media_type_beats_the_name() -> None:
    assert media_type_of(b"x", "text/html; charset=utf-8", "a.md") == "text/html"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"PK\x03\x04rest", None), (b"\x89PNG\r\n", None), (b"x", "image/png"), (b"{}", "video/mp4")],
)
def test_other_kinds_are_refused_with_advice(body: bytes, media_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType, match="Markdown, HTML and PDF"):
        parse(body, media_type=media_type)


@pytest.mark.parametrize("body", [b"", b" \n\t", b"\xef\xbb\xbf", b"...\n---\n"])
def test_an_empty_document_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        parse(body, media_type="text/plain")


def test_binary_data_is_unreadable_as_text() -> None:
    with pytest.raises(UnreadableDocument, match="not text"):
        parse(bytes(range(256)) * 10, media_type="text/plain")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("Grüße".encode(), "text/plain"),
        (b"\xef\xbb\xbf" + "Grüße".encode(), "text/plain"),
        ("Grüße".encode("utf-16"), "text/plain"),
        ("Grüße".encode("cp1252"), "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1"),
        ("Grüße".encode("cp437"), "text/plain; charset=cp437"),
        (b"<meta charset=cp437><p>" + "Grüße".encode("cp437"), "text/html"),
        ("Grüße".encode(), "text/plain; charset=nonsense"),
        ("Grüße".encode(), "text/plain; charset=hex"),
        ("Grüße".encode(), "text/plain; charset=utf-16"),
    ],
)
def test_text_is_decoded_as_it_was_written(body: bytes, media_type: str) -> None:
    assert text_of(body, media_type) == "Grüße"


def test_one_broken_letter_does_not_break_the_others() -> None:
    text = "Größe und Grüße, wie sie früher üblich waren, und noch viel mehr davon "

    assert text_of(text.encode() + b"\xfc") == text + "\ufffd"


def test_nuls_and_lone_surrogates_are_taken_out() -> None:
    long = "a" * 100

    assert text_of(f"{long}\0b".encode()) == f"{long}b"
    assert parse(b"text", title="a\ud800b\0c").title == "abc"


def test_a_given_title_beats_the_documents_own_which_beats_the_file_name() -> None:
    body = b"# Own\n\nText."

    assert parse(body, title="Given", file_name="name.md").title == "Given"
    assert parse(body, file_name="name.md").title == "Own"
    assert parse(b"Text.", file_name="some/name.md").title == "name"
    assert parse(b"Text.").title == "Untitled"


def test_text_under_the_title_alone_has_no_section() -> None:
    assert parse(b"# Own\n\nText.\n\n## Part\n\nMore.").blocks == (
        Block("Text."),
        Block("More.", headings=("Part",)),
    )


def test_markdown_loses_its_marks_and_keeps_its_words() -> None:
    body = b"""---
title: "From the front"
---
# Head *one*

Some **bold** and `code()` with a [link](http://x.y) and
a soft break. ![no image](x.png)

- item one
- item two

  with a second paragraph

```python
def f():
    return 1
```

| a | b |
|---|---|
| 1 | 2 |

<div>Some <b>HTML</b></div>
"""
    parsed = parse(body, media_type="text/markdown")

    assert parsed.title == "From the front"
    assert [(block.kind, block.text) for block in parsed.blocks] == [
        ("paragraph", "Some bold and code() with a link and a soft break."),
        ("item", "item one"),
        ("item", "item two"),
        ("paragraph", "with a second paragraph"),
        ("code", "def f():\n    return 1"),
        ("header", "a | b"),
        ("row", "1 | 2"),
        ("paragraph", "Some HTML"),
    ]
    assert {block.headings for block in parsed.blocks} == {("Head one",)}


def test_plain_text_has_paragraphs_items_listings_and_underlined_headings() -> None:
    body = b"""Title
=====

A paragraph
of two lines.

- one
- two
  goes on

    code here
      deeper
"""
    parsed = parse(body, media_type="text/plain")

    assert parsed.title == "Title"
    assert [(block.kind, block.text) for block in parsed.blocks] == [
        ("paragraph", "A paragraph of two lines."),
        ("item", "one"),
        ("item", "two goes on"),
        ("code", "code here\n  deeper"),
    ]


@given(st.binary(max_size=200), st.sampled_from(["text/plain", "text/html", "text/markdown"]))
def test_any_bytes_are_read_or_refused(body: bytes, media_type: str) -> None:
    try:
        parsed = parse(body, media_type=media_type)
    except UnreadableDocument:
        return
    assert all(block.text.encode() and "\0" not in block.text for block in parsed.blocks)
