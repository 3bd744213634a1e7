"""Measure work: calls between two pauses of cooperative work, and executed lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from actors.runtime.cooperative import Cooperative


def most_calls(work: Cooperative[object]) -> int:
    """The most function calls between two pauses; unlike seconds, equal on every machine."""
    calls = most = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for _ in work:
            most, calls = max(most, calls), 0
    finally:
        sys.setprofile(before)
    return max(most, calls)


def executed_lines(work: Callable[[], object]) -> int:
    """The lines of Python that work executes; unlike seconds, equal on every machine."""
    lines = 0

    def count(_frame: object, _event: str, _arg: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines
