"""Who may do what: one table from method and path to the scope that a request needs.

Rule: the first row that matches decides, and the last row matches everything.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from web.access.keys import Scope

PUBLIC: Final = "public"

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Rule(NamedTuple):
    """`methods` is None for every method."""

    methods: frozenset[str] | None
    path: re.Pattern[str]
    needs: Scope | Literal["public"]


RULES = (
    Rule(_READING, re.compile(r"/|/livez|/readyz|/page/.*"), PUBLIC),
    Rule(None, re.compile(r"/keys(/.*)?"), "admin"),
    Rule(_READING, re.compile(r".*", re.DOTALL), "read"),
    Rule(None, re.compile(r".*", re.DOTALL), "write"),
)


def needed(method: str, path: str) -> Scope | Literal["public"]:
    """What a request needs."""
    for rule in RULES:
        if (rule.methods is None or method in rule.methods) and rule.path.fullmatch(path):
            return rule.needs
    raise AssertionError("The last rule matches everything.")
