"""What a language model is to an agent: its name, a prompt, and text or a structured answer.

Rule: a model tries once; its caller decides on retries and fallbacks. Leaving a call early, or
cancelling it, also ends the work at the server.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from pydantic import BaseModel

from actors.errors import ModelUnavailable
from actors.usage import Meter, Usage

M = TypeVar("M", bound=BaseModel)

OPENAI, ANTHROPIC, LOCAL, EXTRACTIVE = "openai", "anthropic", "local", "extractive"
_WITH_A_NAME = (OPENAI, ANTHROPIC)
_WITHOUT_A_NAME = (LOCAL, EXTRACTIVE)
FORMS = "openai:NAME, anthropic:NAME, local or extractive"
"""The forms of a model name in the settings. "extractive" means: work without a model."""

CHARACTERS_PER_TOKEN = 4
"""About right for English prose; other languages take more tokens."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A provider and its name for a model; "local" and "extractive" have no name."""

    provider: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.model else self.provider


def parse_model_name(text: str) -> ModelName:
    """Parse a model name of the settings; raises `ValueError` with the valid forms."""
    provider, _, model = (part.strip() for part in text.partition(":"))
    if provider in _WITHOUT_A_NAME and not model:
        return ModelName(provider)
    if provider in _WITH_A_NAME and model:
        return ModelName(provider, model)
    if provider in _WITH_A_NAME:
        raise ValueError(f"{text!r} lacks the model's name: {provider}:NAME")
    raise ValueError(f"{text!r} is not a model name. Use {FORMS}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request to a model. If `goes_on_from` is set, the answer must continue that text.

    `meter` counts the tokens of the answer, even if it is left early, cancelled or fails.
    """

    system: str
    user: str
    max_tokens: int
    goes_on_from: str = ""
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)


def estimated_tokens(prompt: Prompt) -> int:
    """About how many tokens a model reads for a prompt, before a server has counted them."""
    return estimated_tokens_of(len(prompt.system) + len(prompt.user) + len(prompt.goes_on_from))


def estimated_tokens_of(characters: int) -> int:
    """About how many tokens a text of so many characters has."""
    return -(-characters // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """A structured answer: the value, its usage, and the name of the model that gave it."""

    value: M
    usage: Usage
    answered_by: str = ""


class InvalidAnswer(ModelUnavailable):
    """The model's answer does not match the schema; `text` is the answer as it came."""

    def __init__(self, message: str, text: str, usage: Usage) -> None:
        super().__init__(message)
        self.text = text
        self.usage = usage


class ModelTooSlow(ModelUnavailable):
    """The model gave no text in time. Another try would take as long, so fall back at once."""


class TextStream(Protocol):
    """Text as it is written. `usage` is exact once the iteration has ended, an estimate before."""

    @property
    def usage(self) -> Usage: ...

    @property
    def answered_by(self) -> str:
        """The name of the model that writes it: the model that was asked, or a fallback."""

    @property
    def cut_off(self) -> bool:
        """Whether it ended at `Prompt.max_tokens`, in the middle of the text."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> str: ...


class WrappedStream:
    """A `TextStream` over another one. A subclass defines `__anext__`."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream

    @property
    def usage(self) -> Usage:
        return self._stream.usage

    @property
    def answered_by(self) -> str:
        return self._stream.answered_by

    @property
    def cut_off(self) -> bool:
        return self._stream.cut_off

    def __aiter__(self) -> Self:
        return self


class Model(Protocol):
    """A language model. Every call may raise `ModelUnavailable` or `ModelRejected`."""

    @property
    def name(self) -> str:
        """As in the settings, such as "openai:gpt-5-mini"."""

    @property
    def can_continue(self) -> bool:
        """Whether it honours `Prompt.goes_on_from`."""

    def stream(self, prompt: Prompt) -> AbstractAsyncContextManager[TextStream]:
        """The answer as it is written; leaving the block stops it."""

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this type; raises `InvalidAnswer` if the model's answer does not match."""
