"""How long the analyzer keeps the event loop: its longest slice of work on hostile texts.

    python tests/bench/analyzer_slices.py [--characters 20000]

Planning is measured on texts that repeat a unit, choosing on evidence of the longest passages. The
bound is 20 ms on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile_texts import UNITS, hard_choice

from actors.agents.extractive.questions import questioned
from actors.agents.extractive.synthesis import synthesized
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.planning import assemble_plan


def longest_slice_ms(work: Cooperative[Any]) -> float:
    """The longest time between two pauses."""
    longest = 0.0
    while True:
        begin = perf_counter()
        try:
            next(work)
        except StopIteration:
            return max(longest, perf_counter() - begin) * 1000
        longest = max(longest, perf_counter() - begin)


def main(characters: int) -> None:
    worst = 0.0
    for unit in UNITS:
        text = (unit * characters)[:characters]
        planning = longest_slice_ms(questioned(text))
        begin = perf_counter()
        assemble_plan(at_once(questioned(text)))
        whole = (perf_counter() - begin) * 1000
        worst = max(worst, planning)
        print(f"{unit!r:20} longest slice {planning:6.1f} ms, whole plan {whole:7.1f} ms")
    print(f"planning: longest slice {worst:.1f} ms")
    plan = assemble_plan(at_once(questioned("When do frogs sing, and how do herons listen?")))
    print(f"choosing: longest slice {longest_slice_ms(synthesized(hard_choice(plan))):.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=20_000)
    main(parser.parse_args().characters)
