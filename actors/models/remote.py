"""A language model behind a provider's SDK: what all of them have in common.

Rule: one call asks once, except that a server that takes no schema is asked again in words. Both
kinds of answer are read as they are written, so that silence is noticed and leaving stops the work.
What a model turns out to do is remembered for its next call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import trio
from pydantic import BaseModel

from actors.errors import ActorError
from actors.models.answer_stream import Reading
from actors.models.metering import FREE, Price, Tally
from actors.models.model import Answer, InvalidAnswer, M, Prompt
from actors.models.provider import Chunks, Provider
from actors.models.reasoning import Thoughts
from actors.models.structured import has_fields, in_words, parsed

ROOM_FOR_THOUGHTS = 4_096
"""Tokens that a model gets besides, once it has used up its limit without a word of an answer."""


class _SchemaRefused(Exception):
    """The server refuses the request, and it may be for the schema in it."""


class RemoteModel:
    """A `Model` that a provider runs."""

    def __init__(self, provider: Provider, *, idle_s: float, price: Price = FREE) -> None:
        self._provider = provider
        self._idle_s = idle_s
        self._price = price
        self._enforces = True
        self._room = 0
        self._thinks_aloud = False

    @property
    def name(self) -> str:
        return self._provider.endpoint.name

    @property
    def can_continue(self) -> bool:
        return self._provider.can_continue

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[Reading]:
        """The answer as it is written; leaving the block stops it."""
        async with self._reading(prompt, None, held_back=self._thinks_aloud) as reading:
            yield reading

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this shape; raises `InvalidAnswer` when the model gives another."""
        if self._enforces:
            with suppress(_SchemaRefused):
                return await self._structured(prompt, shape, enforced=True)
        spelled = replace(prompt, system=f"{prompt.system}\n\n{in_words(shape)}".lstrip())
        answer = await self._structured(spelled, shape, enforced=False)
        self._enforces = False  # It answers without the schema, so it was that which it refused.
        return answer

    async def _structured(self, prompt: Prompt, shape: type[M], *, enforced: bool) -> Answer[M]:
        asked = replace(prompt, goes_on_from="")
        async with self._reading(asked, shape if enforced else None, held_back=True) as reading:
            text = "".join([piece async for piece in reading])
            usage, cut_off = reading.usage, reading.cut_off
        try:
            return Answer(parsed(self.name, text, shape, usage), usage, self.name)
        except InvalidAnswer:
            if not cut_off and not has_fields(text, shape):
                self._enforces = False  # It takes the schema and does not look at it.
            raise

    @asynccontextmanager
    async def _reading(
        self, prompt: Prompt, shape: type[BaseModel] | None, *, held_back: bool
    ) -> AsyncIterator[Reading]:
        prompt = replace(prompt, max_tokens=prompt.max_tokens + self._room)
        provider, tally = self._provider, Tally(prompt, self._price)
        thoughts = Thoughts(held_back=held_back)
        try:
            chunks = await self._asked(prompt, shape, tally)
            reading = Reading(provider, chunks, prompt, tally, thoughts, idle_s=self._idle_s)
            try:
                yield reading
            finally:
                await reading.aclose()
                if reading.only_thought:
                    self._room = ROOM_FOR_THOUGHTS
        finally:
            self._thinks_aloud |= thoughts.unopened
            prompt.meter.add(tally.usage)

    async def _asked(self, prompt: Prompt, shape: type[BaseModel] | None, tally: Tally) -> Chunks:
        provider = self._provider
        with trio.move_on_after(self._idle_s):
            try:
                return await provider.ask(prompt, shape)
            except provider.faults as error:
                tally.refused = True
                if shape is not None and provider.is_bad_request(error):
                    raise _SchemaRefused from None
                raise provider.failure(error) from None
            except ActorError:
                tally.refused = True  # It was not asked at all.
                raise
        silent = provider.endpoint.broken(f"did not answer within {self._idle_s:g} s.")
        silent.usage = tally.usage
        raise silent
