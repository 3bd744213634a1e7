"""A ref: the address of an actor.

Rule: requests flow down. Each call carries the chain of actors that wait for it. Asking an actor of
that chain raises `AskCycle` at once instead of hanging.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, TypeVar

import trio

from actors.errors import ActorStopped, AskCycle
from actors.runtime.call import Call, CallState
from actors.runtime.request import Request, StreamRequest

R = TypeVar("R")
P = TypeVar("P")

PARTS_AHEAD = 32
"""Parts of a streamed answer that may wait for the asker before the handler is paused."""

askers: ContextVar[tuple[str, ...]] = ContextVar("askers", default=())
"""Names of the actors that wait for the current handler, the outermost first."""


class Mailbox:
    """The two lanes of an actor: they belong to its address and outlive its instances."""

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

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.name = name
        self._mailbox = mailbox

    async def ask(self, request: Request[R], *, handler_s: float = math.inf) -> R:
        """Wait for room, then for the reply, and return it or raise the actor's error.

        `handler_s`: seconds the handler may work, counted from its start and not from now; past
        them the answer is `StepTimeout`. Bound the waiting itself with a cancel scope.
        """
        call = Call(request, self._chain(), handler_s)
        if not self._put_at_once(call):
            await self._put(call)
        return await call.reply()

    async def send(self, request: Request[R], *, handler_s: float = math.inf) -> Call[R]:
        """Wait for room only; then `await call.reply()`. Raises `ActorStopped` or `AskCycle`."""
        call = Call(request, self._chain(), handler_s)
        await self._put(call)
        return call

    def send_nowait(self, request: Request[R]) -> Call[R]:
        """Like `send`, but raises `trio.WouldBlock` if there is no room."""
        call = Call(request, self._chain())
        self._put_nowait(call)
        return call

    async def send_on(self, request: Request[R], then: Callable[[Call[R]], None]) -> None:
        """Wait for room only. `then` is called with the settled call; it must not wait or raise.

        Nothing waits for the reply, so it cannot cause an `AskCycle`.
        """
        await self._put(Call(request, (), then=then))

    def send_on_nowait(self, request: Request[R], then: Callable[[Call[R]], None]) -> None:
        """Like `send_on`, but raises `trio.WouldBlock` if there is no room."""
        self._put_nowait(Call(request, (), then=then))

    def stream(
        self, request: StreamRequest[P, R], *, handler_s: float = math.inf
    ) -> PartStream[P, R]:
        """An answer in parts: `async with ref.stream(Write(...)) as parts`, then iterate."""
        send, receive = trio.open_memory_channel[P](PARTS_AHEAD)
        call = Call(request, self._chain(), handler_s, send)
        return PartStream(self, call, receive)

    def _chain(self) -> tuple[str, ...]:
        chain = askers.get()
        if self.name in chain:
            raise AskCycle(f"{' -> '.join(chain)} -> {self.name} would wait for itself.")
        return chain

    async def _put(self, call: Call[Any]) -> None:
        try:
            self._put_nowait(call)
        except trio.WouldBlock:
            try:
                await self._lane(call).send(call)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise self._stopped_error() from None
        except ActorStopped:
            # The system ends, and the asker with it: not because of what it asks.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise

    def _put_at_once(self, call: Call[Any]) -> bool:
        """Whether there was room."""
        try:
            self._lane(call).send_nowait(call)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    def _put_nowait(self, call: Call[Any]) -> None:
        try:
            self._lane(call).send_nowait(call)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._stopped_error() from None

    def _lane(self, call: Call[Any]) -> trio.MemorySendChannel[Call[Any]]:
        return self._mailbox.control_send if call.request.control else self._mailbox.send

    def _stopped_error(self) -> ActorStopped:
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
        if self._call.state is not CallState.SETTLED:
            await self._call.reply()
        self._call.result()  # It raises the handler's error.
        raise StopAsyncIteration

    async def batch(self) -> list[P]:
        """The parts that have come, at least one; none after the last. Raises the handler's error."""
        try:
            parts = [await self.__anext__()]
        except StopAsyncIteration:
            return []
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                parts.append(self._receive.receive_nowait())
        return parts

    @property
    def result(self) -> R:
        """What the handler returned; there once the parts have ended."""
        return self._call.result()
