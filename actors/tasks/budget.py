"""Budgets: what a task may use, besides time (`deadline_s`).

Rule: a budget is exceeded at most by what the running attempts use.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of language models, steps of the plan, bytes of text; None: as the settings say."""

    tokens: int | None = None
    steps: int | None = None
    output_bytes: int | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.tokens, self.steps, self.output_bytes))

    def within(self, most: Budget) -> Budget:
        """The smaller of both, limit by limit."""
        return Budget(
            _smaller(self.tokens, most.tokens),
            _smaller(self.steps, most.steps),
            _smaller(self.output_bytes, most.output_bytes),
        )


NO_BUDGET = Budget()


def _smaller(one: int | None, other: int | None) -> int | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)
