"""A failing program, made as short as it gets.

Rule: greedy and bounded. An operation goes if the program still fails without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .program import Program

Fails = Callable[[Program], bool]


def shrink(program: Program, fails: Fails, *, runs: int = 400) -> Program:
    """A program that still fails, with as few operations as greed finds in so many runs."""
    size = max(len(program.ops) // 2, 1)
    while runs > 0:
        shorter = None
        for start in range(0, len(program.ops), size):
            runs -= 1
            candidate = replace(program, ops=program.ops[:start] + program.ops[start + size :])
            if candidate.ops and fails(candidate):
                shorter = candidate
                break
        if shorter is not None:
            program = shorter
        elif size == 1:
            break
        else:
            size = max(size // 2, 1)
    return _simpler(program, fails)


def _simpler(program: Program, fails: Fails) -> Program:
    """Without the arguments and the ticks that do not matter."""
    for number, op in enumerate(program.ops):
        for simpler in (
            replace(op, ticks=0),
            *(
                replace(op, args={k: v for k, v in op.args.items() if k != key})
                for key in ("hangs_up", "pause_s", "leave_after", "deadline_s", "key", "after")
                if key in op.args and not (op.verb == "create" and key == "pause_s")
            ),
            *(
                replace(op, args={**op.args, "acts": {**op.args["acts"], step: []}})
                for step in op.args.get("acts", ())
            ),
        ):
            ops = (*program.ops[:number], simpler, *program.ops[number + 1 :])
            candidate = replace(program, ops=ops)
            if simpler != op and fails(candidate):
                program, op = candidate, simpler
    return program
