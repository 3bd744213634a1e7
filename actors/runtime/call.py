"""A call: one request on its way to an actor, and the slot for its reply.

    QUEUED --taken by the actor--> RUNNING --handler keeps the slot--> DEFERRED
       |                              |                                   |
       +---------asker leaves---------+----value, error, actor stops------+--> SETTLED

Rule: a call is settled exactly once and its asker is woken; a later answer changes nothing. Giving up
is cancelling: a queued call whose asker leaves is skipped; an asker that leaves a running call waits
until the handler's scope has been cancelled and exited. Deferred calls, and requests with
`must_finish`, run to their end without the asker.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import trio

from actors.runtime.request import Request

R = TypeVar("R")


class CallState(enum.Enum):
    """Where a call stands; see the picture at the top of this file."""

    QUEUED = "queued"
    RUNNING = "running"
    DEFERRED = "deferred"
    SETTLED = "settled"


class Deferred:
    """Returned by a handler after `call.defer()`: the reply comes later, through the call."""


DEFERRED: Final = Deferred()


class Call(Generic[R]):
    """The envelope of a request. Askers use `reply`; handlers `defer`, `part`, `settle`, `fail`."""

    __slots__ = (
        "_error",
        "_open",
        "_scope",
        "_state",
        "_then",
        "_value",
        "_waiter",
        "chain",
        "given_up",
        "handler_s",
        "parts",
        "request",
    )

    def __init__(
        self,
        request: Request[R],
        chain: tuple[str, ...],
        handler_s: float = math.inf,
        parts: trio.MemorySendChannel[Any] | None = None,
        then: Callable[[Call[R]], None] | None = None,
    ) -> None:
        self.request = request
        self.chain = chain
        self.handler_s = handler_s
        self.parts = parts
        self.given_up = False
        """Whether its asker has left while the handler worked, which cancels the handler's scope."""
        self._then = then
        self._state = CallState.QUEUED
        self._scope: trio.CancelScope | None = None
        self._open: set[Call[Any]] | None = None
        self._waiter: trio.lowlevel.Task | None = None
        self._value: Any = None
        self._error: Exception | None = None

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self._state

    # --- the asker's side -------------------------------------------------------------------

    async def reply(self) -> R:
        """The handler's value; raises its error. Cancelled while it waits, it gives the call up."""
        if self._state is CallState.SETTLED:
            await trio.lowlevel.checkpoint()
        else:  # As in `_settled`, without a coroutine of its own.
            self._waiter = trio.lowlevel.current_task()
            try:
                await trio.lowlevel.wait_task_rescheduled(self._given_up)
            except trio.Cancelled:
                await self.leave()
                raise
        return self.result()

    def result(self) -> R:
        """The handler's value, once the call is settled; raises its error."""
        assert self._state is CallState.SETTLED
        if self._error is not None:
            raise self._error
        value: R = self._value
        return value

    async def leave(self) -> None:
        """Give the call up. On return no handler works for it, unless it must finish."""
        if self._state is CallState.SETTLED:
            return
        if self._state is CallState.QUEUED:
            self._finish(None, None)
        elif self._state is CallState.RUNNING and not self.request.must_finish:
            assert self._scope is not None
            self.given_up = True
            self._scope.cancel()
            with trio.CancelScope(shield=True):
                await self._settled()

    async def _settled(self) -> None:
        if self._state is CallState.SETTLED:
            await trio.lowlevel.checkpoint()
            return
        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._given_up)

    def _given_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED

    # --- the handler's side -----------------------------------------------------------------

    async def part(self, value: Any) -> None:
        """Send one part of a streamed answer; a slow asker makes this wait."""
        assert self.parts is not None, f"{type(self.request).__name__} is not answered in parts"
        try:
            self.parts.send_nowait(value)
        except trio.WouldBlock:
            await self.parts.send(value)

    def defer(self) -> Deferred:
        """Keep the reply slot open: the handler returns this, and the call is settled later."""
        self._state = CallState.DEFERRED
        return DEFERRED

    def settle(self, value: R) -> None:
        """Answer with a value. An answer to a settled call is dropped."""
        if self._state is not CallState.SETTLED:
            self._finish(value, None)

    def fail(self, error: Exception) -> None:
        """Answer with an error, which is raised in the asker."""
        if self._state is not CallState.SETTLED:
            self._finish(None, error)

    def _finish(self, value: Any, error: Exception | None) -> None:
        self._state, self._value, self._error = CallState.SETTLED, value, error
        self._scope = None
        if self._open is not None:
            self._open.discard(self)
        if self.parts is not None:
            self.parts.close()
        if self._waiter is not None:
            trio.lowlevel.reschedule(self._waiter)
            self._waiter = None
        if self._then is not None:
            self._then(self)

    # --- the actor's side -------------------------------------------------------------------

    def take(self, open_calls: set[Call[Any]]) -> None:
        """The actor takes the call from its mailbox; it stays in `open_calls` until it is settled."""
        if self._state is not CallState.SETTLED:
            self._open = open_calls
            open_calls.add(self)

    def begin(self, scope: trio.CancelScope) -> None:
        """The actor starts to work on it, inside `scope`."""
        self._state, self._scope = CallState.RUNNING, scope
