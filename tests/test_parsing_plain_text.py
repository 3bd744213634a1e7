"""Plain text: sections, sheets, lists, old RFCs and manual pages, without a list of words."""

from __future__ import annotations

import pytest
from blocks_of import parsed, shown
from hypothesis import given
from hypothesis import strategies as st

RFC = """Network Working Group                                          J. Doe
Request for Comments: 9999                                    ACME Inc

                        The Lamp Protocol

Table of Contents

   1.  Introduction . . . . . . . . . . . . . . . . . . . . . . . .   2
   2.  Protocol . . . . . . . . . . . . . . . . . . . . . . . . . .   3

1.  Introduction

   The lamp protocol switches lamps.  A lamp is a device that emits
   light and that is described in the following

Doe                          Informational                      [Page 1]
\f
RFC 9999                   The Lamp Protocol                  March 1999

   section of this document.

2.3.  Check value

   The check value is computed so:

      check = sum(bytes) & 0xff
      send(check)

   o  first rule of it
   o  second rule that goes
      on here

Doe                          Informational                      [Page 2]
"""
SPLIT = (
    "The lamp protocol switches lamps. A lamp is a device that emits light and that is described "
    "in the following section of this document."
)
JUSTIFIED = (
    "List information about the files (the current directory by default). "
    "Sort entries alphabetically if none of the other options is specified."
)
AGREED = (
    "We agreed to raise the budget to 40,000 euros for the next year, and Anna will write to the "
    "board."
)
PARKING = "Parking costs 3 euros a day. Ask at the desk for a ticket before you leave the building."
MANUAL = """LS(1)                     User Commands                    LS(1)

NAME
       ls - list directory contents

DESCRIPTION
       List  information  about  the files (the current directory by default).
       Sort entries alphabetically if none of the other options is specified.

       -a, --all
              do not ignore entries starting with a dot

GNU coreutils 9.1             September 2022                    LS(1)
"""
MINUTES = """Minutes of 3 May

Date:      3 May 2026
Present:   Anna, Ben,
           Carl

Budget

We agreed to raise the budget to 40,000 euros for the next year, and Anna will
write to the board.

Opening hours
Monday: 9-17
Tuesday: 10-18

What about parking?
Parking costs 3 euros a day. Ask at the desk for a ticket before you leave
the building.

1. Buy milk
2. Call the plumber
   and ask

Lamp GmbH
Hauptstrasse 5

Name        Price   Stock
Lamp        12.50   4
"""


def lines(text: str) -> list[str]:
    return shown(parsed(text, "text/plain"))


def test_an_indented_rfc_is_text_with_sections_and_without_page_furniture() -> None:
    document = parsed(RFC, "text/plain")

    assert document.title == "The Lamp Protocol"
    assert shown(document)[1:] == [
        "[paragraph] Table of Contents",
        "[links] 1. Introduction . . . . . . . . . . . . . . . . . . . . . . . . 2",
        "[links] 2. Protocol . . . . . . . . . . . . . . . . . . . . . . . . . . 3",
        f"1. Introduction[paragraph] {SPLIT}",
        "1. Introduction > 2.3. Check value[paragraph] The check value is computed so:",
        "1. Introduction > 2.3. Check value[code] check = sum(bytes) & 0xff\nsend(check)",
        "1. Introduction > 2.3. Check value[item -] first rule of it",
        "1. Introduction > 2.3. Check value[item -] second rule that goes on here",
    ]


def test_a_manual_page_has_sections_and_options() -> None:
    document = parsed(MANUAL, "text/plain")

    assert document.title == "LS(1)"
    assert shown(document) == [
        "NAME[paragraph] ls - list directory contents",
        f"DESCRIPTION[paragraph] {JUSTIFIED}",
        "DESCRIPTION[term] -a, --all",
        "DESCRIPTION[paragraph 1] do not ignore entries starting with a dot",
    ]


def test_notes_have_sections_sheets_lists_addresses_and_tables() -> None:
    document = parsed(MINUTES, "text/plain")
    under = "Opening hours > What about parking?"

    assert document.title == "Minutes of 3 May"
    assert shown(document) == [
        "[pair] Date: 3 May 2026",
        "[pair] Present: Anna, Ben, Carl",
        f"Budget[paragraph] {AGREED}",
        "Opening hours[pair] Monday: 9-17",
        "Opening hours[pair] Tuesday: 10-18",
        f"{under}[paragraph] {PARKING}",
        f"{under}[item 1.] Buy milk",
        f"{under}[item 2.] Call the plumber and ask",
        f"{under}[paragraph] Lamp GmbH\nHauptstrasse 5",
        f"{under}[code] Name        Price   Stock\nLamp        12.50   4",
    ]


def test_a_text_without_blanks_is_read_by_its_stops() -> None:
    text = "会议记录\n时间：五月三日\n地点：四号会议室\n\n一、预算\n我们同意把明年的预算提高到四万元，\n并由安娜写信。\n\n停车怎么办？\n停车每天三元。\n"

    assert lines(text) == [
        "[pair] 时间：五月三日",
        "[pair] 地点：四号会议室",
        "一、预算[paragraph] 我们同意把明年的预算提高到四万元，并由安娜写信。",
        "一、预算 > 停车怎么办？[paragraph] 停车每天三元。",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Kind regards\n\nAnna",
        "- one\n\n- two\n\n- three",
        "He was born in\n1990. Then he moved to a town that he had never seen before in his life.",
        "1. First step of it\n\n2. Second step of it\n\n3. Third step of it",
    ],
)
def test_what_is_no_heading_stays_text(text: str) -> None:
    assert all(not block.headings for block in parsed(text, "text/plain").blocks)


words = st.text(alphabet="aB1.:-? \t\n\f|会。", max_size=300)


@given(words)
def test_every_letter_stays_and_in_order(text: str) -> None:
    from actors.library.parsing.blocks import with_heading_lines
    from actors.library.parsing.formats.plain_text import parse_text

    document = parse_text(text)
    kept = "".join(b.marker + b.text for b in with_heading_lines(document.blocks))
    at = 0
    for letter in kept:
        if letter in "aB会":
            at = text.index(letter, at) + 1
