"""Reading an answer while a server writes it: within a time for each piece and a size for all.

Rule: every way out of an answer ends it at the server. It is left by cancelling the read under it,
which ends each of the generators between the socket and here, and with them the connection.
"""

from __future__ import annotations

from typing import Any, Self

import trio

from actors.errors import ActorError, ModelRejected
from actors.models.metering import Tally
from actors.models.model import InvalidAnswer, Prompt
from actors.models.provider import Chunks, Piece, Provider
from actors.models.reasoning import Thoughts, UnopenedThoughts
from actors.usage import Usage

MOST_LETTERS = 262_144
"""As much as a task may write."""


class Reading:
    """A `TextStream` over the chunks of one answer."""

    def __init__(
        self,
        provider: Provider,
        chunks: Chunks,
        prompt: Prompt,
        tally: Tally,
        thoughts: Thoughts,
        *,
        idle_s: float,
    ) -> None:
        self._provider = provider
        self._endpoint = provider.endpoint
        self._chunks = chunks
        self._max_tokens = prompt.max_tokens
        self._tally = tally
        self._thoughts = thoughts
        self._idle_s = idle_s
        self._finished = False
        self._said = False
        self.cut_off = False
        """Whether it ended at its limit of tokens, in the middle of the text."""
        self.only_thought = False
        """Whether it ended there before a word of the answer."""

    @property
    def usage(self) -> Usage:
        """What it has taken so far, estimated where the server has not counted."""
        return self._tally.usage

    @property
    def answered_by(self) -> str:
        return self._endpoint.name

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            text = ""
            while not text:
                text = self._answer_in(await self._piece())
        except StopAsyncIteration:
            text = self._thoughts.finish()
            if not text:
                self._check_said()
                raise
        except ActorError as error:
            error.usage = self.usage
            raise
        self._said = self._said or not text.isspace()
        return text

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
        self._tally.counted(piece.input_tokens, piece.output_tokens)
        if piece.refused:
            raise ModelRejected(
                f"{self._endpoint.name} declined to answer this. Word the task in another way."
            )
        self._finished |= piece.finished
        self.cut_off |= piece.cut_off
        return piece

    def _end(self, otherwise: str) -> None:
        """Nothing comes any more: the end of a whole answer, or else what the error says."""
        if not self._finished:
            raise self._endpoint.broken(otherwise) from None
        raise StopAsyncIteration

    def _check_said(self) -> None:
        if self._said:
            return
        self.only_thought = self.cut_off
        told = f"ended its answer without a word, within {self._max_tokens:,} tokens."
        raise InvalidAnswer(f"{self._endpoint.name} {told}", "", self.usage) from None

    def _taken(self, chunk: Any) -> Piece:
        try:
            return self._provider.read(chunk)
        except (AttributeError, TypeError, ValueError, LookupError):  # SDKs do not validate these.
            raise self._endpoint.broken("sent an answer that cannot be read.") from None

    def _answer_in(self, piece: Piece) -> str:
        """What of a piece is no thought."""
        self._tally.letters += len(piece.text) + len(piece.thought)
        if self._tally.letters > MOST_LETTERS:
            raise self._endpoint.broken(f"wrote more than {MOST_LETTERS:,} characters.")
        if not piece.text:
            return ""
        try:
            return self._thoughts.feed(piece.text)
        except UnopenedThoughts:
            raise self._endpoint.broken("wrote its thoughts where its answer belongs.") from None
