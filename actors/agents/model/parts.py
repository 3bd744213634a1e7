"""A model's text in parts: what comes within a moment goes out as one.

Rule: the model is read beside the writing, so a reader that is slow pauses the model and a model
that pauses holds nothing back. Leaving closes the model's stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from actors.errors import ActorError
from actors.models.model import Model, Prompt, TextStream
from actors.usage import Usage

PART_S = 0.05
"""How long text is gathered for one part."""

MOST_PIECE = 500
"""Characters that are looked at in one go; others run in between."""

_AHEAD = 16


@dataclass(frozen=True, slots=True)
class Streamed:
    """What an answer took, which model gave it, and whether that ended at its limit of tokens."""

    usage: Usage
    answered_by: str
    cut_off: bool


async def stream_parts(
    model: Model, prompt: Prompt, take: Callable[[str], Awaitable[bool]]
) -> Streamed:
    """Hand the model's answer to `take`, part by part, until it ends or `take` wants no more.

    What has come before an error is handed over first. The error then carries what was used.
    """
    async with model.stream(prompt) as stream:
        send, receive = trio.open_memory_channel[str](_AHEAD)
        failures: list[ActorError] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, stream, send, failures)
            while text := await _gathered(receive):
                if not await take(text):
                    nursery.cancel_scope.cancel()
                    break
        for failure in failures:
            if not failure.usage.tokens:
                failure.usage = stream.usage
            raise failure
        return Streamed(stream.usage, stream.answered_by, stream.cut_off)


async def _read(
    stream: TextStream, send: trio.MemorySendChannel[str], failures: list[ActorError]
) -> None:
    with send:
        try:
            async for text in stream:
                for at in range(0, len(text), MOST_PIECE):
                    await send.send(text[at : at + MOST_PIECE])
        except ActorError as failure:  # Told once what came before it has been handed over.
            failures.append(failure)


async def _gathered(receive: trio.MemoryReceiveChannel[str]) -> str:
    """The next piece, with what follows it within `PART_S`; nothing at the end."""
    text = ""
    try:
        text = await receive.receive()
        with trio.move_on_after(PART_S):
            while len(text) < MOST_PIECE:
                text += await receive.receive()
    except trio.EndOfChannel:
        pass
    return text
