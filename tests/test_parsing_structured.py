"""Tables, values, notebooks, rst, Org, source code and e-mail."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from blocks_of import parsed, shown

from actors.errors import UnreadableDocument


def test_a_table_of_values_has_a_header_whatever_parts_them() -> None:
    for text in ('Name,Price\n"Lamp, big",12.50\n', "Name;Price\nLamp, big;12.50\n"):
        assert shown(parsed(text, "text/csv")) == [
            "[header] Name | Price",
            "[row] Lamp, big | 12.50",
        ]
    assert shown(parsed("1\t2\n3\t4\n", "text/tab-separated-values"))[0] == "[row] 1 | 2"


def test_values_are_kept_as_they_are_written_with_their_path() -> None:
    value = '{"server": {"port": 8080, "share": 1.50, "tags": ["a", "b"]}, "list": [{"n": null}]}'

    assert shown(parsed(value, "application/json")) == [
        "[pair] server.port: 8080",
        "[pair] server.share: 1.50",
        "[pair] server.tags: a, b",
        "[pair] list[0].n: null",
    ]
    yaml = parsed("# Why\nat: 03:00\nid: 0123\non: yes\nref: !Ref X\n", "application/yaml")
    assert shown(yaml) == ["[pair] at: 03:00", "[pair] id: 0123", "[pair] on: yes", "[pair] ref: X"]
    assert yaml.notes == ("1 comment was left out.",)
    toml = parsed("[server]\nport = 1\nday = 2026-01-02\n", "application/toml")
    assert shown(toml) == ["[pair] server.port: 1", "[pair] server.day: 2026-01-02"]


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml", "application/toml"])
def test_what_is_not_valid_is_read_as_text_with_a_note(media_type: str) -> None:
    document = parsed("{a: [1\nb: {{ x }}", media_type)

    assert [block.kind for block in document.blocks] == ["code"]
    assert "is not valid" in document.notes[0]


def test_values_that_stand_for_billions_are_refused() -> None:
    names = "abcdefghij"
    bomb = "a: &a [x, [x]]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + above] * 9)}]\n" for above, name in pairwise(names)
    )

    with pytest.raises(UnreadableDocument, match="too many values"):
        parsed(bomb, "application/yaml")


def test_each_line_of_json_lines_is_a_section() -> None:
    document = parsed('{"a": 1}\n{"a"\n', "application/x-ndjson")

    assert shown(document) == ["line 1[pair] a: 1", 'line 2[code] {"a"']


def test_a_notebook_is_text_code_and_what_was_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "## Part\n", "Text."]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "x", "text/plain": "<F>"}},
            ],
        },
    ]
    document = parsed(json.dumps({"cells": cells}), "application/x-ipynb+json")

    assert document.title == "Title"
    assert shown(document) == ["Part[paragraph] Text.", "Part[code] print(1)", "Part[code] 1"]
    assert document.notes == ("1 image was left out.",)


def test_rst_keeps_the_text_of_directives_and_roles_that_are_not_known() -> None:
    text = """Title
=====

See :func:`~os.path` and :term:`a lock <lock>` [1]_.

.. note:: Be careful.

.. py:function:: f(x)

   Does it.

.. code-block:: python

   x = 1

.. include:: /etc/passwd

#. one

.. [1] The footnote.
"""
    document = parsed(text, "text/x-rst")

    assert document.title == "Title"
    assert shown(document) == [
        "[paragraph] See path and a lock.",
        "[term] Note",
        "[paragraph 1] Be careful.",
        "[term] f(x)",
        "[paragraph 1] Does it.",
        "[code] x = 1",
        "[term] /etc/passwd",
        "[item 1.] one",
        "[paragraph] The footnote.",
    ]


def test_org_has_headings_drawers_tables_and_blocks() -> None:
    text = """#+TITLE: Doc
* Part :tag:
:PROPERTIES:
:ID: 12
:END:
Text with [[http://x][a link]].
- item
- term :: its meaning
#+BEGIN_SRC python
x = 1
#+END_SRC
| a | b |
|---+---|
| 1 | 2 |
# comment
"""
    document = parsed(text, "text/x-org")

    assert (document.title, document.notes) == ("Doc", ("1 comment was left out.",))
    assert shown(document) == [
        "Part[pair] ID: 12",
        "Part[paragraph] Text with a link.",
        "Part[item -] item",
        "Part[term] term",
        "Part[paragraph 1] its meaning",
        "Part[code] x = 1",
        "Part[header] a | b",
        "Part[row] 1 | 2",
    ]


def test_source_code_is_listings_below_what_they_define() -> None:
    text = "import os\n\n# About foo\n@dec\ndef foo(x):\n    return 1\n\nclass Bar:\n    def baz(self):\n        pass\n"

    assert shown(parsed(text, "text/x-python")) == [
        "[code] import os",
        "foo[code] # About foo\n@dec\ndef foo(x):\n    return 1",
        "Bar[code] class Bar:",
        "Bar > baz[code] def baz(self):\n    pass",
    ]


def test_an_email_is_its_headers_and_its_text() -> None:
    message = """From: =?utf-8?q?J=C3=B6rg?= <j@x.y>
To: a@b.c
Subject: Lunch on Friday
Date: Fri, 1 May 2026 10:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

lunch is at 12:30 in the Gr=FCner Baum.

--B
Content-Type: application/pdf
Content-Disposition: attachment; filename=x.pdf

xx
--B--
"""
    document = parsed(message.encode(), "message/rfc822")

    assert document.title == "Lunch on Friday"
    assert shown(document)[0] == "[pair] From: Jörg <j@x.y>"
    assert shown(document)[-1] == "[paragraph] lunch is at 12:30 in the Grüner Baum."
    assert document.notes == ("1 attachment was left out.",)


def test_what_is_no_email_or_notebook_is_refused() -> None:
    for media_type in ("message/rfc822", "application/x-ipynb+json"):
        with pytest.raises(UnreadableDocument):
            parsed("Just a text.", media_type)
