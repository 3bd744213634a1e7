"""One provider's way of being asked, behind which its SDK is.

Rule: a provider translates, from a prompt to a request and from a chunk to a `Piece`, and decides
nothing: times, sizes and ways out are the same for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from actors.errors import ActorError
from actors.models.model import Prompt
from actors.models.provider_errors import Endpoint


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk of an answer tells. Counts are totals so far; `thought` is shown to nobody."""

    text: str = ""
    thought: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    finished: bool = False
    cut_off: bool = False
    refused: bool = False


class Chunks(Protocol):
    """An answer as a provider's SDK hands it out."""

    def __aiter__(self) -> AsyncIterator[Any]: ...

    async def __anext__(self) -> Any: ...


class Provider(Protocol):
    """One provider's way of asking. Failures come as they are, for `failure` to translate."""

    endpoint: Endpoint
    can_continue: bool
    faults: tuple[type[Exception], ...]
    """What `ask`, and the answer that it gives, may raise."""

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the server is told to keep to its schema."""

    def read(self, chunk: Any) -> Piece:
        """What a chunk tells. May fail in any way on a chunk that is not as it should be."""

    def failure(self, error: Exception) -> ActorError:
        """What an exception of the SDK means."""

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server understood the request and refused what it asks for."""


_MOST_TOKENS = 1_000_000_000


def count(value: object) -> int | None:
    """A number of tokens, if it is one: some servers leave it out, or write something else."""
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else None
