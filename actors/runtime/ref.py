"""A ref: the address of an actor, all that others know of it.

Rule: requests flow down. Each call carries the chain of actors that wait for it, and asking one of
those raises `AskCycle` at once where it would otherwise hang.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, TypeVar

import trio

from actors.errors import ActorStopped, AskCycle
from actors.runtime.call import Call
from actors.runtime.request import Request, StreamRequest

R = TypeVar("R")
P = TypeVar("P")

PARTS_AHEAD = 8
"""How many parts of a streamed answer may wait for their asker before the handler is paused."""

askers: ContextVar[tuple[str, ...]] = ContextVar("askers", default=())
"""The names of the actors that wait for what runs here, the outermost first."""

DeadLetters = Counter[str]
"""Messages nobody handled, and replies nobody awaited, counted by reason."""


class Mailbox:
    """The two lanes of an actor. They belong to its address and outlive its instances."""

    def __init__(self, capacity: int, control_capacity: int) -> None:
        self.capacity = capacity
        self.send, self.receive = trio.open_memory_channel[Call[Any]](capacity)
        self.control_send, self.control_receive = trio.open_memory_channel[Call[Any]](
            control_capacity
        )

    def depth(self) -> int:
        """How many calls wait in the ordinary lane."""
        return self.receive.statistics().current_buffer_used


class Ref:
    """Where to send requests to one actor."""

    def __init__(self, name: str, mailbox: Mailbox, dead_letters: DeadLetters) -> None:
        self.name = name
        self._mailbox = mailbox
        self._dead_letters = dead_letters

    async def ask(self, request: Request[R], *, handler_s: float = math.inf) -> R:
        """Wait for room, then for the reply, and return it or raise the actor's error.

        `handler_s`: seconds the handler may work, counted from its start and not from now; past
        them the answer is `StepTimeout`. Bound the waiting itself with a cancel scope.
        """
        return await (await self.send(request, handler_s=handler_s)).reply()

    async def send(self, request: Request[R], *, handler_s: float = math.inf) -> Call[R]:
        """Wait for room only; then `await call.reply()`. Raises `ActorStopped` or `AskCycle`."""
        call = Call(request, self._chain(), self._late, handler_s)
        await self._put(call)
        return call

    async def send_on(self, request: Request[R], then: Callable[[Call[R]], None]) -> None:
        """Wait for room only. `then` gets the call once it is settled, and neither waits nor raises.

        Nobody waits for the reply, so this may be sent from anywhere without an `AskCycle`.
        """
        await self._put(Call(request, (), self._late, then=then))

    def send_on_nowait(self, request: Request[R], then: Callable[[Call[R]], None]) -> None:
        """The same, but raises `trio.WouldBlock` if there is no room."""
        self._put_nowait(Call(request, (), self._late, then=then))

    def stream(
        self, request: StreamRequest[P, R], *, handler_s: float = math.inf
    ) -> PartStream[P, R]:
        """An answer in parts: `async with ref.stream(Write(...)) as parts`, then iterate."""
        send, receive = trio.open_memory_channel[P](PARTS_AHEAD)
        call = Call(request, self._chain(), self._late, handler_s, send)
        return PartStream(self, call, receive)

    def _chain(self) -> tuple[str, ...]:
        chain = askers.get()
        if self.name in chain:
            raise AskCycle(f"{' -> '.join(chain)} -> {self.name} would wait for itself.")
        return chain

    def _late(self) -> None:
        self._dead_letters["late reply"] += 1

    async def _put(self, call: Call[Any]) -> None:
        try:
            self._put_nowait(call)
        except trio.WouldBlock:
            try:
                await self._lane(call).send(call)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise self._no_longer_there() from None

    def _put_nowait(self, call: Call[Any]) -> None:
        try:
            self._lane(call).send_nowait(call)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._no_longer_there() from None

    def _lane(self, call: Call[Any]) -> trio.MemorySendChannel[Call[Any]]:
        return self._mailbox.control_send if call.request.control else self._mailbox.send

    def _no_longer_there(self) -> ActorStopped:
        self._dead_letters["actor stopped"] += 1
        return ActorStopped(f"The actor {self.name} has stopped.")


class PartStream(Generic[P, R]):
    """The parts of one answer, in order. Leaving the block early cancels the handler."""

    def __init__(self, ref: Ref, call: Call[R], receive: trio.MemoryReceiveChannel[P]) -> None:
        self._ref = ref
        self._call = call
        self._receive = receive

    async def __aenter__(self) -> PartStream[P, R]:
        await self._ref._put(self._call)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._call.leave()
        self._receive.close()

    def __aiter__(self) -> PartStream[P, R]:
        return self

    async def __anext__(self) -> P:
        try:
            try:
                return self._receive.receive_nowait()
            except trio.WouldBlock:
                return await self._receive.receive()
        except trio.EndOfChannel:
            pass
        await self._call.reply()
        raise StopAsyncIteration

    @property
    def result(self) -> R:
        """What the handler returned; there once the parts have ended."""
        return self._call.result()
