"""A language model behind a provider, read while the server writes.

Rule: one call asks once, except that a server that refuses a schema is asked again with the schema
in the prompt. Text and structured answers are both streamed, so that a silent server is noticed and
leaving a call ends it at the server. What one call learns about a model is kept for the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Self

import trio
from pydantic import BaseModel

from actors.errors import ActorError, ModelRejected
from actors.models.model import (
    Answer,
    InvalidAnswer,
    M,
    ModelTooSlow,
    Prompt,
    estimated_tokens,
    estimated_tokens_of,
)
from actors.models.provider import Chunks, Delta, Provider
from actors.models.reasoning import ReasoningFilter, UnopenedReasoning
from actors.models.structured import has_fields, in_words, parsed
from actors.usage import NO_USAGE, Usage

MAX_CHARACTERS = 262_144
"""Of one answer, reasoning included: as much as a task may write."""
REASONING_TOKENS = 4_096
"""Tokens that a model gets on top once it has reached its limit before a word of the answer."""

Price = tuple[float, float]
"""The cost of a million input tokens and of a million output tokens."""

FREE: Price = (0.0, 0.0)
_PER = 1_000_000


class _SchemaRefused(Exception):
    """The server refuses the request, perhaps because of the schema in it."""


class RemoteModel:
    """A `Model` at a provider."""

    def __init__(self, provider: Provider, *, idle_s: float, price: Price = FREE) -> None:
        self._provider = provider
        self._idle_s = idle_s
        self._price = price
        self._takes_schemas = True
        self._extra_tokens = 0
        self._hides_opening_tag = False

    @property
    def name(self) -> str:
        return self._provider.endpoint.name

    @property
    def can_continue(self) -> bool:
        return self._provider.can_continue

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[AnswerReader]:
        """The answer as it is written; leaving the block stops it."""
        async with self._open(prompt, None, held_back=self._hides_opening_tag) as reader:
            yield reader

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this type; raises `InvalidAnswer` if the model's answer does not match."""
        if self._takes_schemas:
            with suppress(_SchemaRefused):
                return await self._structured(prompt, shape, enforced=True)
        spelled = replace(prompt, system=f"{prompt.system}\n\n{in_words(shape)}".lstrip())
        answer = await self._structured(spelled, shape, enforced=False)
        self._takes_schemas = False  # It answered without the schema, so it had refused that.
        return answer

    async def _structured(self, prompt: Prompt, shape: type[M], *, enforced: bool) -> Answer[M]:
        prompt = replace(prompt, goes_on_from="")
        async with self._open(prompt, shape if enforced else None, held_back=True) as reader:
            text = "".join([delta async for delta in reader])
            usage, cut_off = reader.usage, reader.cut_off
        try:
            return Answer(parsed(self.name, text, shape, usage), usage, self.name)
        except InvalidAnswer:
            if not cut_off and not has_fields(text, shape):
                self._takes_schemas = False  # It accepts a schema and ignores it.
            raise

    @asynccontextmanager
    async def _open(
        self, prompt: Prompt, shape: type[BaseModel] | None, *, held_back: bool
    ) -> AsyncIterator[AnswerReader]:
        prompt = replace(prompt, max_tokens=prompt.max_tokens + self._extra_tokens)
        provider, counter = self._provider, TokenCounter(prompt, self._price)
        reasoning = ReasoningFilter(held_back=held_back)
        try:
            chunks = await self._ask(prompt, shape, counter)
            reader = AnswerReader(provider, chunks, prompt, counter, reasoning, idle_s=self._idle_s)
            try:
                yield reader
            finally:
                await reader.aclose()
                if reader.only_reasoning:
                    self._extra_tokens = REASONING_TOKENS
        finally:
            self._hides_opening_tag |= reasoning.unopened
            prompt.meter.add(counter.usage)

    async def _ask(
        self, prompt: Prompt, shape: type[BaseModel] | None, counter: TokenCounter
    ) -> Chunks:
        provider = self._provider
        with trio.move_on_after(self._idle_s):
            try:
                return await provider.ask(prompt, shape)
            except provider.faults as error:
                counter.refused = True
                if shape is not None and provider.is_bad_request(error):
                    raise _SchemaRefused from None
                raise provider.failure(error) from None
            except ActorError:
                counter.refused = True  # No request was sent.
                raise
        timeout = ModelTooSlow(f"{self.name} did not answer within {self._idle_s:g} s.")
        timeout.usage = counter.usage
        raise timeout


class AnswerReader:
    """A `TextStream` over the chunks of one answer: bounded in its silence and its length.

    `aclose` cancels the read below it, which ends every generator down to the socket, and so the
    connection.
    """

    def __init__(
        self,
        provider: Provider,
        chunks: Chunks,
        prompt: Prompt,
        counter: TokenCounter,
        reasoning: ReasoningFilter,
        *,
        idle_s: float,
    ) -> None:
        self._provider = provider
        self._endpoint = provider.endpoint
        self._chunks = chunks
        self._max_tokens = prompt.max_tokens
        self._counter = counter
        self._reasoning = reasoning
        self._idle_s = idle_s
        self._finished = False
        self._has_text = False
        self.cut_off = False
        """Whether it ended at its limit of tokens, in the middle of the text."""
        self.only_reasoning = False
        """Whether it ended there before a word of the answer."""

    @property
    def usage(self) -> Usage:
        """The usage so far, estimated where the server has not counted."""
        return self._counter.usage

    @property
    def answered_by(self) -> str:
        return self._endpoint.name

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            text = ""
            while not text:
                text = self._answer_in(await self._next_delta())
        except StopAsyncIteration:
            text = self._reasoning.finish()
            if not text:
                self._check_has_text()
                raise
        except ActorError as error:
            error.usage = self.usage
            raise
        self._has_text = self._has_text or not text.isspace()
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
                except self._provider.faults:  # Nobody reads the rest, so its errors do not matter.
                    continue

    async def _next_delta(self) -> Delta:
        """The next delta; raises `StopAsyncIteration` at the end of a complete answer."""
        silent = True
        with trio.move_on_after(self._idle_s):
            try:
                chunk = await anext(self._chunks)
                silent = False
            except StopAsyncIteration:
                if self._finished:
                    raise
                problem = "broke off in the middle of its answer."
                raise self._endpoint.broken(problem) from None
            except self._provider.faults as error:
                if self._finished:
                    raise StopAsyncIteration from None  # Only the count of tokens is missing.
                raise self._provider.failure(error) from None
        if silent:
            if self._finished:
                raise StopAsyncIteration
            raise ModelTooSlow(f"{self._endpoint.name} sent nothing for {self._idle_s:g} s.")
        delta = self._parse(chunk)
        self._counter.set_counts(delta.input_tokens, delta.output_tokens)
        if delta.refused:
            raise ModelRejected(
                f"{self._endpoint.name} declined to answer this. Word the task in another way."
            )
        self._finished |= delta.finished
        self.cut_off |= delta.cut_off
        return delta

    def _check_has_text(self) -> None:
        if self._has_text:
            return
        self.only_reasoning = self.cut_off
        problem = f"ended its answer without a word, within {self._max_tokens:,} tokens."
        raise InvalidAnswer(f"{self._endpoint.name} {problem}", "", self.usage) from None

    def _parse(self, chunk: Any) -> Delta:
        try:
            return self._provider.read(chunk)
        except (AttributeError, TypeError, ValueError, LookupError):  # The chunk is unvalidated.
            raise self._endpoint.broken("sent an answer that cannot be read.") from None

    def _answer_in(self, delta: Delta) -> str:
        """The text of a delta without reasoning."""
        self._counter.characters += len(delta.text) + len(delta.reasoning)
        if self._counter.characters > MAX_CHARACTERS:
            raise self._endpoint.broken(f"wrote more than {MAX_CHARACTERS:,} characters.")
        if not delta.text:
            return ""
        try:
            return self._reasoning.feed(delta.text)
        except UnopenedReasoning:
            raise self._endpoint.broken("wrote its reasoning as its answer.") from None


class TokenCounter:
    """The usage of one answer, from the request to however it ends.

    The server's counts are used. What the server has not counted is estimated from the text.
    """

    def __init__(self, prompt: Prompt, price: Price) -> None:
        self._estimated_input = estimated_tokens(prompt)
        self._price = price
        self._input: int | None = None
        self._output: int | None = None
        self.characters = 0
        """Characters that the model has written, reasoning included."""
        self.refused = False
        """Whether the request failed before an answer began, so that nothing was used."""

    def set_counts(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """Take the server's totals so far. None or 0: it has not counted."""
        self._input = input_tokens or self._input
        self._output = output_tokens or self._output

    @property
    def usage(self) -> Usage:
        """The tokens and the cost by now, counted or estimated."""
        if self.refused:
            return NO_USAGE
        read = self._estimated_input if self._input is None else self._input
        written = estimated_tokens_of(self.characters) if self._output is None else self._output
        cost = (read * self._price[0] + written * self._price[1]) / _PER
        return Usage(read, written, cost, self._input is None or self._output is None)
