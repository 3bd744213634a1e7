"""A program: settings, and operations in the order of their times.

    [0.35, 3, "cancel", "t2", {}]      # at 0.35 s, after 3 checkpoints, cancel the task called t2

Rule: an operation whose task is not there is passed over, so that any of them may be left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Op:
    """One operation; `ticks` checkpoints after `at` s it begins, so that races are swept."""

    at: float
    ticks: int
    verb: str
    task: str = ""
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """What one seed does. `settings` are those of the system, two of its internal bounds
    included; `seed` is that of the scheduler.

    `stays`: the last process does not end before everything has; otherwise a new one goes on.
    """

    seed: int
    stays: bool
    settings: dict[str, Any]
    ops: tuple[Op, ...]

    def dumps(self) -> str:
        """As JSON, one operation a line."""
        rows = [[op.at, op.ticks, op.verb, op.task, op.args] for op in self.ops]
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        head = f'"seed": {self.seed}, "stays": {json.dumps(self.stays)},\n "settings": {json.dumps(self.settings)}'
        return f'{{{head},\n "ops": [\n  {lines}\n]}}'

    @classmethod
    def loads(cls, text: str) -> Program:
        raw = json.loads(text)
        ops = tuple(Op(*row) for row in raw["ops"])
        return cls(raw["seed"], raw["stays"], raw["settings"], ops)
