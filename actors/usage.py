"""What language models have used for a task.

Rule: figures only add up; what is not known counts as nothing, and a sum says if any of it was
estimated.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, and their cost in the currency of the price table of the settings.

    `estimated`: the server has not counted all of them, so that some are guessed from the text.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """All of them."""
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
    """Adds up what an attempt uses, so that it is known however the attempt ends."""

    def __init__(self) -> None:
        self.usage = NO_USAGE

    def add(self, usage: Usage) -> None:
        """This has been used, too."""
        self.usage += usage
