"""The planted bugs still fit the source; `python tests/plant_bugs.py` shows that each is noticed."""

from __future__ import annotations

from plant_bugs import wrong_edits


def test_every_planted_bug_applies_to_the_source_as_it_is() -> None:
    assert wrong_edits() == []
