"""A language model behind a provider's SDK: what all of them have in common.

Rule: one call asks once, except that a server that enforces no schema is asked again in words. Both
kinds of answer are read as they are written, so that silence is noticed and leaving stops the work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import trio
from pydantic import BaseModel

from actors.models.model import Answer, M, Prompt
from actors.models.provider import Chunks, Provider
from actors.models.reading import FREE, Price, Reading
from actors.models.shapes import in_words, parsed


class _SchemaRefused(Exception):
    """The server refuses the request, and it may be for the schema in it."""


class RemoteModel:
    """A `Model` that a provider runs."""

    def __init__(self, provider: Provider, *, idle_s: float, price: Price = FREE) -> None:
        self._provider = provider
        self._idle_s = idle_s
        self._price = price
        self._enforces = True

    @property
    def name(self) -> str:
        return self._provider.endpoint.name

    @property
    def can_continue(self) -> bool:
        return self._provider.can_continue

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[Reading]:
        """The answer as it is written; leaving the block stops it."""
        async with self._reading(prompt, None) as reading:
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
        async with self._reading(
            replace(prompt, goes_on_from=""), shape if enforced else None
        ) as reading:
            text = "".join([piece async for piece in reading])
            usage = reading.usage
        return Answer(parsed(self.name, text, shape, usage), usage, self.name)

    @asynccontextmanager
    async def _reading(
        self, prompt: Prompt, shape: type[BaseModel] | None
    ) -> AsyncIterator[Reading]:
        provider = self._provider
        chunks = await self._asked(prompt, shape)
        reading = Reading(provider, chunks, prompt, idle_s=self._idle_s, price=self._price)
        try:
            yield reading
        finally:
            await reading.aclose()

    async def _asked(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        provider = self._provider
        with trio.move_on_after(self._idle_s):
            try:
                return await provider.ask(prompt, shape)
            except provider.faults as error:
                if shape is not None and provider.is_bad_request(error):
                    raise _SchemaRefused from None
                raise provider.failure(error) from None
        raise provider.endpoint.broken(f"did not answer within {self._idle_s:g} s.")
