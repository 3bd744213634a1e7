"""What a language model is to an agent: text as it is written, or an answer of a given shape.

Rule: a model tries once. Who retries, and what comes in its place, is decided elsewhere. Leaving a
call early, or being cancelled in it, ends the work at the server, too.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from pydantic import BaseModel

from actors.errors import ModelUnavailable
from actors.usage import Meter, Usage

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked. `goes_on_from` is text that the answer must continue, or empty.

    `meter` is told what the answer takes, also if it is left, cancelled or breaks off.
    """

    system: str
    user: str
    max_tokens: int
    goes_on_from: str = ""
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """A value of the shape that was asked for, what it took, and the name of who gave it."""

    value: M
    usage: Usage
    answered_by: str = ""


class InvalidAnswer(ModelUnavailable):
    """The model's answer has not the shape that was asked for; `text` is what it said instead."""

    def __init__(self, message: str, text: str, usage: Usage) -> None:
        super().__init__(message)
        self.text = text
        self.usage = usage


class TextStream(Protocol):
    """Text as it is written. `usage` is whole once the iteration has ended, an estimate before."""

    @property
    def usage(self) -> Usage: ...

    @property
    def answered_by(self) -> str:
        """The name of the model that writes it, which may stand in for the one that was asked."""

    @property
    def cut_off(self) -> bool:
        """Whether it ended at `Prompt.max_tokens`, in the middle of the text."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> str: ...


class Model(Protocol):
    """A language model at some endpoint. Every call raises `ModelUnavailable` or `ModelRejected`."""

    @property
    def name(self) -> str:
        """As in the settings, such as "openai:gpt-5-mini"."""

    @property
    def can_continue(self) -> bool:
        """Whether it honours `Prompt.goes_on_from`."""

    def stream(self, prompt: Prompt) -> AbstractAsyncContextManager[TextStream]:
        """The answer as it is written; leaving the block stops it."""

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this shape; raises `InvalidAnswer` when the model gives another."""
