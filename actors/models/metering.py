"""What one answer takes in tokens and money, at any moment and however it ends.

Rule: the server's count stands. What it has not counted, because it never does or because the
answer was left before its end, is estimated from the letters, and then the figure says so.
"""

from __future__ import annotations

from actors.models.model import Prompt
from actors.usage import NO_USAGE, Usage

LETTERS_PER_TOKEN = 4
"""About right for English prose; other languages take more tokens."""

_PER = 1_000_000

Price = tuple[float, float]
"""What a million tokens cost: read, and written."""

FREE: Price = (0.0, 0.0)


def tokens_asked(prompt: Prompt) -> int:
    """About how many tokens a model reads, before a server has counted them."""
    return _estimate(len(prompt.system) + len(prompt.user) + len(prompt.goes_on_from))


class Tally:
    """The figures of one answer, from the moment that it is asked for."""

    def __init__(self, prompt: Prompt, price: Price) -> None:
        self._asked = tokens_asked(prompt)
        self._price = price
        self._input: int | None = None
        self._output: int | None = None
        self.letters = 0
        """That the model has written, its thoughts included."""
        self.refused = False
        """The server has not begun to answer, so that nothing was used."""

    def counted(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """The server's own totals so far; None: it does not say."""
        self._input = self._input if input_tokens is None else input_tokens
        self._output = self._output if output_tokens is None else output_tokens

    @property
    def usage(self) -> Usage:
        """What is known of it, or else guessed, by now."""
        if self.refused:
            return NO_USAGE
        read = self._asked if self._input is None else self._input
        written = _estimate(self.letters) if self._output is None else self._output
        cost = (read * self._price[0] + written * self._price[1]) / _PER
        return Usage(read, written, cost, self._input is None or self._output is None)


def _estimate(letters: int) -> int:
    return -(-letters // LETTERS_PER_TOKEN)
