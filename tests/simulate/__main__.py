"""The command line of the simulation; see the top of the package."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .generate import generate
from .program import Program
from .shrink import shrink
from .world import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--program", type=Path, help="run a program that was printed")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--no-shrink", action="store_true", help="print the program as it is")
    args = parser.parse_args()
    if args.program:
        return run(Program.loads(args.program.read_text()), None, not args.no_shrink)
    first, count = (args.first, args.seeds) if args.seed is None else (args.seed, 1)
    began = time.perf_counter()
    failed = 0
    for seed in range(first, first + count):
        failed += run(generate(seed), seed, not args.no_shrink)
        if failed and not args.keep_going:
            return 1
    took = time.perf_counter() - began
    print(f"{count} seeds, {failed} failed, {took:.1f} s, {took / count * 1e3:.1f} ms a seed")
    return int(failed > 0)


def run(program: Program, seed: int | None, shrinking: bool) -> int:
    """Run one program; if it fails, print it as short as it gets. 1 if it failed."""
    troubles = play(program)
    if troubles:
        print(report(program, troubles, seed, shrinking), file=sys.stderr)
    return int(bool(troubles))


def report(program: Program, troubles: list[str], seed: int | None, shrinking: bool = True) -> str:
    """What failed, the short program, and how to see it again."""
    if shrinking:
        program = shrink(program, lambda candidate: bool(play(candidate)))
        troubles = play(program) or troubles
    again = f"--seed {seed}" if seed is not None else "--program FILE"
    lines = [f"FAILED {again}", *(f"  {trouble}" for trouble in troubles[:8])]
    lines += ["", program.dumps(), "", f"Again: python -m tests.simulate {again}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
