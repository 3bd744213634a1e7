"""Tokens that language models used for a task, and their cost.

Rule: figures only add up. Unknown figures count as zero, and a sum says if any part was estimated.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, and their cost in the currency of the price table of the settings.

    `estimated`: a server did not count some of them, so they were guessed from the text.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    def __bool__(self) -> bool:
        return bool(self.input_tokens or self.output_tokens)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            self.estimated or other.estimated,
        )


NO_USAGE = Usage()


class Meter:
    """Adds up what an attempt uses, whatever way the attempt ends."""

    def __init__(self) -> None:
        self.usage = NO_USAGE

    def add(self, usage: Usage) -> None:
        """Add what was used."""
        self.usage += usage
