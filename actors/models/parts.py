"""Read a model's answer in parts, as it is written.

The model is read in a task of its own, so a slow reader pauses the model, and a slow model holds
back no text. Leaving closes the model's stream.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from actors.errors import ActorError
from actors.models.model import Model, ModelTooSlow, Prompt, TextStream
from actors.usage import Usage

PART_S = 0.05
"""Text that comes within this time is sent as one part."""

MOST_PIECE = 500
"""Characters that are checked at once; other tasks run in between."""

_AHEAD = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the first text of an answer, and for all of it."""

    first_text_s: float = math.inf
    whole_text_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Streamed:
    """What an answer used, which model gave it, and whether it was cut off.

    `cut_off`: it ended at its limit of tokens; `late`: its time was over.
    """

    usage: Usage
    answered_by: str
    cut_off: bool
    late: bool = False


async def stream_parts(
    model: Model,
    prompt: Prompt,
    take: Callable[[str], Awaitable[bool]],
    patience: Patience = Patience(),
) -> Streamed:
    """Pass the model's answer to `take`, part by part, until it ends or `take` returns False.

    Text that came before an error is passed on first. The error then carries the usage. Raises
    `ModelTooSlow` if no text comes in time.
    """
    ends_at = trio.current_time() + patience.whole_text_s
    with trio.move_on_after(patience.first_text_s) as waiting:
        async with model.stream(prompt) as stream:
            late, failures = False, list[ActorError]()
            send, receive = trio.open_memory_channel[str](_AHEAD)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, stream, send, failures)
                while True:
                    if not (text := await _gathered(receive)):
                        break
                    waiting.deadline = math.inf
                    late = trio.current_time() > ends_at
                    if not await take(text) or late:
                        nursery.cancel_scope.cancel()
                        break
            for failure in failures:
                if not failure.usage.tokens:
                    failure.usage = stream.usage
                raise failure
            return Streamed(stream.usage, stream.answered_by, stream.cut_off, late)
    slow = ModelTooSlow(f"{model.name} wrote nothing within {patience.first_text_s:g} s.")
    slow.usage = prompt.meter.usage
    raise slow


async def _read(
    stream: TextStream, send: trio.MemorySendChannel[str], failures: list[ActorError]
) -> None:
    with send:
        try:
            async for text in stream:
                for at in range(0, len(text), MOST_PIECE):
                    await send.send(text[at : at + MOST_PIECE])
        except ActorError as failure:  # Raised once the text before it was passed on.
            failures.append(failure)


async def _gathered(receive: trio.MemoryReceiveChannel[str]) -> str:
    """The next piece and what follows it within `PART_S`; "" at the end."""
    text = ""
    try:
        text = await receive.receive()
        with trio.move_on_after(PART_S):
            while len(text) < MOST_PIECE:
                text += await receive.receive()
    except trio.EndOfChannel:
        pass
    return text
