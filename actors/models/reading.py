"""Reading an answer while a server writes it: within a time for each piece and a size for all.

Rule: every way out of an answer ends it at the server. It is left by cancelling the read under it,
which ends each of the generators between the socket and here, and with them the connection.
"""

from __future__ import annotations

from typing import Any, Self

import trio

from actors.errors import ActorError, ModelRejected
from actors.models.model import InvalidAnswer, Prompt
from actors.models.provider import Chunks, Piece, Provider
from actors.usage import Usage

MOST_LETTERS = 262_144
"""As much as a task may write."""
_LETTERS_PER_TOKEN = 4
_PER = 1_000_000

Price = tuple[float, float]
"""What a million tokens cost: read, and written."""

FREE: Price = (0.0, 0.0)


class Reading:
    """A `TextStream` over the chunks of one answer."""

    def __init__(
        self,
        provider: Provider,
        chunks: Chunks,
        prompt: Prompt,
        *,
        idle_s: float,
        price: Price,
    ) -> None:
        self._provider = provider
        self._endpoint = provider.endpoint
        self._chunks = chunks
        self._prompt = prompt
        self._idle_s = idle_s
        self._price = price
        self._letters = 0
        self._finished = False
        self._input_tokens: int | None = None
        self._output_tokens: int | None = None

    @property
    def usage(self) -> Usage:
        """As the server counted; as long as it has not, about four letters to a token."""
        asked = len(self._prompt.system) + len(self._prompt.user) + len(self._prompt.goes_on_from)
        tokens_in = _known(self._input_tokens, asked)
        tokens_out = _known(self._output_tokens, self._letters)
        cost = (tokens_in * self._price[0] + tokens_out * self._price[1]) / _PER
        return Usage(tokens_in, tokens_out, cost)

    @property
    def answered_by(self) -> str:
        return self._endpoint.name

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            while True:
                piece = await self._piece()
                if piece.text:
                    return self._counted(piece.text)
        except ActorError as error:
            error.usage = self.usage
            raise

    async def aclose(self) -> None:
        """End the answer, wherever it is."""
        with trio.CancelScope() as scope:
            scope.cancel()
            while True:
                try:
                    await anext(self._chunks)
                except StopAsyncIteration:
                    return
                except self._provider.faults:  # Whatever is wrong with the rest: nobody reads it.
                    continue

    async def _piece(self) -> Piece:
        """The next one; raises `StopAsyncIteration` at the end of a whole answer."""
        silent = True
        with trio.move_on_after(self._idle_s):
            try:
                chunk = await anext(self._chunks)
                silent = False
            except StopAsyncIteration:
                self._end("broke off in the middle of its answer.")
            except self._provider.faults as error:
                if self._finished:
                    raise StopAsyncIteration from None  # Only the count of tokens is missing.
                raise self._provider.failure(error) from None
        if silent:
            self._end(f"said nothing for {self._idle_s:g} s.")
        piece = self._taken(chunk)
        if piece.refused:
            raise ModelRejected(
                f"{self._endpoint.name} declined to answer this. Word the task in another way."
            )
        self._finished |= piece.finished
        self._input_tokens = _later(self._input_tokens, piece.input_tokens)
        self._output_tokens = _later(self._output_tokens, piece.output_tokens)
        return piece

    def _end(self, otherwise: str) -> None:
        """Nothing comes any more: the end of a whole answer, or else what the error says."""
        if not self._finished:
            raise self._endpoint.broken(otherwise) from None
        if not self._letters:
            told = f"ended its answer without a word, within {self._prompt.max_tokens:,} tokens."
            raise InvalidAnswer(f"{self._endpoint.name} {told}", "", self.usage) from None
        raise StopAsyncIteration

    def _taken(self, chunk: Any) -> Piece:
        try:
            return self._provider.read(chunk)
        except (AttributeError, TypeError, ValueError, LookupError):  # SDKs do not validate these.
            raise self._endpoint.broken("sent an answer that cannot be read.") from None

    def _counted(self, text: str) -> str:
        self._letters += len(text)
        if self._letters > MOST_LETTERS:
            raise self._endpoint.broken(f"wrote more than {MOST_LETTERS:,} characters.")
        return text


def _known(tokens: int | None, letters: int) -> int:
    return -(-letters // _LETTERS_PER_TOKEN) if tokens is None else tokens


def _later(before: int | None, now: int | None) -> int | None:
    return before if now is None else now
