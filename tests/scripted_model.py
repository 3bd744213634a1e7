"""A language model that says what a script says, piece by piece, on Trio's clock only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias, TypeVar

import trio
from pydantic import BaseModel, ValidationError

from actors.agents.extractive.questions import questioned
from actors.models.model import Answer, InvalidAnswer, Prompt
from actors.runtime.call import Call
from actors.runtime.cooperative import at_once
from actors.tasks.plan import Plan
from actors.tasks.planning import assemble_plan
from actors.tasks.tool_options import ToolOption
from actors.usage import Usage

M = TypeVar("M", bound=BaseModel)
Said: TypeAlias = str | float | Exception
"""A piece of text, seconds of silence, or a failure."""

ASKED = Usage(100, 20, 0.5)
"""What each answer of a given shape takes."""


def plan(task: str, *tool_options: ToolOption) -> Plan:
    """The plan of a task without a model."""
    return assemble_plan(at_once(questioned(task)), tool_options)


class ScriptedModel:
    """`plans` are answers of a given shape, `texts` are streamed, one for each call."""

    name = "scripted:1"

    def __init__(
        self,
        *,
        plans: Sequence[Any] = (),
        texts: Sequence[Sequence[Said]] = (),
        can_continue: bool = False,
    ) -> None:
        self.plans, self.texts = list(plans), list(texts)
        self.can_continue = can_continue
        self.prompts: list[Prompt] = []
        self.open = 0

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        self.prompts.append(prompt)
        await trio.lowlevel.checkpoint()
        said = self.plans.pop(0)
        if isinstance(said, Exception):
            raise said
        text = said if isinstance(said, str) else json.dumps(said)
        try:
            return Answer(shape.model_validate_json(text), ASKED)
        except ValidationError as wrong:
            raise InvalidAnswer(str(wrong), text, ASKED) from None

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[ScriptedText]:
        self.prompts.append(prompt)
        self.open += 1
        try:
            await trio.lowlevel.checkpoint()
            yield ScriptedText(self.texts.pop(0))
        finally:
            self.open -= 1


class ScriptedText:
    """One streamed answer; a token a piece."""

    answered_by = "scripted:1"
    cut_off = False

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = iter(said)
        self._pieces = 0

    @property
    def usage(self) -> Usage:
        return Usage(200, self._pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        for said in self._said:
            if isinstance(said, Exception):
                await trio.lowlevel.checkpoint()
                raise said
            if isinstance(said, str):
                await trio.lowlevel.checkpoint()
                self._pieces += 1
                return said
            await trio.sleep(said)
        raise StopAsyncIteration


class Slot(Call[Any]):
    """A call that keeps its parts, and when each came; its reader leaves after `break_after`."""

    def __init__(self, break_after: int | None = None) -> None:
        self.break_after = break_after
        self.sent: list[str] = []
        self.times: list[float] = []

    async def part(self, value: Any) -> None:
        if len(self.sent) == self.break_after:
            raise trio.BrokenResourceError
        await trio.lowlevel.checkpoint()
        self.sent.append(value)
        self.times.append(trio.current_time())

    @property
    def text(self) -> str:
        """All of them, joined."""
        return "".join(self.sent)
