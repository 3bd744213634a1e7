"""An actor: a plain class behind a mailbox, served in a nursery.

The contract of an actor:

    class Parrot:
        async def handle(self, request, call):       # one call at a time, or `concurrency` at once
            return value                             # the reply
                raise ActorError(...)                    # an answer as well; not a crash
            return call.defer()                      # answered later: call.settle(...), call.fail(...)
            await call.part(...)                     # one part of a streamed answer
        async def background(self): ...              # optional: runs beside the handlers

Anything else that it raises, but our own cancellation, is a crash (see `actors.runtime.border`): that
ask is answered with `AgentCrashed`, and the actor is rebuilt from its factory, within its restart
limit; past it `RestartLimitExceeded` ends the nursery. The old instance finishes its other handlers,
while new calls go to the new one.

Rule: every call that an actor has taken or finds in its mailbox is settled, whatever happens to it.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import trio

from actors.errors import ActorError, ActorStopped, AgentCrashed, StepTimeout
from actors.runtime.backoff import RestartLimit
from actors.runtime.border import split_fault
from actors.runtime.call import DEFERRED, Call, CallState
from actors.runtime.fairness import CALLS_PER_TICK
from actors.runtime.ref import Mailbox, Ref, askers

log = logging.getLogger(__name__)

CONTROL_CAPACITY = 4096
"""Control requests that may wait. Their handlers never wait, so the lane is mostly empty."""


class Actor(Protocol):
    """What the runtime needs of an actor; see the top of this file."""

    async def handle(self, request: Any, call: Call[Any]) -> Any:
        """Answer one request."""


class RestartLimitExceeded(Exception):
    """An actor crashed too often, so the system ends. The operator's move: read the log."""


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """An actor's figures: `depth` of `capacity` calls wait, `in_flight` of `concurrency` run."""

    name: str
    state: str
    depth: int
    capacity: int
    in_flight: int
    concurrency: int
    restarts: int
    handled: int


def spawn(
    nursery: trio.Nursery,
    name: str,
    factory: Callable[[], Actor],
    *,
    capacity: int,
    concurrency: int = 1,
    limit: RestartLimit | None = None,
    calls_per_tick: int = CALLS_PER_TICK,
) -> ActorHandle:
    """Start an actor in `nursery`; requests may be sent at once."""
    handle = ActorHandle(
        name, factory, capacity, concurrency, limit or RestartLimit(), calls_per_tick
    )
    nursery.start_soon(handle._serve, name=f"actor {name}")
    return handle


class ActorHandle(Ref):
    """A ref that owns the actor: its workers, instances, restarts and figures."""

    def __init__(
        self,
        name: str,
        factory: Callable[[], Actor],
        capacity: int,
        concurrency: int,
        limit: RestartLimit,
        calls_per_tick: int,
    ) -> None:
        super().__init__(name, Mailbox(capacity, CONTROL_CAPACITY))
        self._as_asker = (name,)
        self._factory = factory
        self._concurrency = concurrency
        self._limit = limit
        self._calls_per_tick = calls_per_tick
        self._instance: Actor | None = None
        self._background = trio.CancelScope()
        self._rebuilt = trio.lowlevel.ParkingLot()
        self._crashes: deque[float] = deque()
        self._open: set[Call[Any]] = set()
        self._restarts = 0
        self._handled = 0
        self._stopped = False

    def info(self) -> ActorInfo:
        """The actor's figures at this moment."""
        state = "stopped" if self._stopped else "running" if self._instance else "restarting"
        return ActorInfo(
            name=self.name,
            state=state,
            depth=self._mailbox.depth(),
            capacity=self._mailbox.capacity,
            in_flight=len(self._open),
            concurrency=self._concurrency,
            restarts=self._restarts,
            handled=self._handled,
        )

    # --- serving ----------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._build()
                nursery.start_soon(self._work, self._mailbox.control_receive)
                for _ in range(self._concurrency):
                    nursery.start_soon(self._work, self._mailbox.receive)
        finally:
            self._stopped = True
            self._settle_rest()
            if trio.current_effective_deadline() != -math.inf:
                log.critical("the actor %s has ended, though the system has not", self.name)

    async def _work(self, lane: trio.MemoryReceiveChannel[Call[Any]]) -> None:
        # One scope serves many calls, because creating one costs a third of an ask. A cancelled call
        # ends its scope, and the next call gets a new one.
        while not self._stopped:
            with trio.CancelScope() as scope:
                taken, spent = 0, False
                while not spent:
                    taken += 1
                    # A checkpoint for every call would handle one call per tick on a busy loop.
                    yields = taken % self._calls_per_tick == 0
                    call = (None if yields else _at_hand(lane)) or await lane.receive()
                    call.take(self._open)
                    while self._instance is None:
                        await self._rebuilt.park()
                    if call.state is not CallState.SETTLED:  # Else its asker has left.
                        spent = await self._handle(call, self._instance, scope)
                    del call  # An idle worker holds no reference to its last request.

    @trio.lowlevel.enable_ki_protection
    async def _handle(self, call: Call[Any], instance: Actor, scope: trio.CancelScope) -> bool:
        """Let an instance answer a call; whether that has cancelled the scope."""
        is_limited = call.handler_s != math.inf
        askers.set(call.chain + self._as_asker)
        if is_limited:
            scope.deadline = trio.current_time() + call.handler_s
        call.begin(scope)
        try:
            value = await instance.handle(call.request, call)
            if value is not DEFERRED:
                call.settle(value)
        except ActorError as error:
            call.fail(error)
        except BaseException as error:  # noqa: BLE001 - a bug in an agent stays in that agent.
            self._contain(error, partial(self._crashed_at, call, instance))
        finally:
            if is_limited:
                scope.deadline = math.inf
            self._handled += 1
            if call.state is CallState.RUNNING:  # Cancelled: its time is up, or the asker left.
                late = f"The {self.name} took longer than {call.handler_s:g} s."
                gone = f"The actor {self.name} has stopped."
                call.fail(StepTimeout(late) if scope.cancel_called else ActorStopped(gone))
        # The scope itself is asked only if need be: that takes a tenth of an ask.
        return call.given_up or (is_limited and scope.cancel_called)

    def _settle_rest(self) -> None:
        """The actor has ended: fail all open calls and all calls in the mailbox."""
        for call in list(self._open):
            call.fail(ActorStopped(f"The actor {self.name} has stopped."))
        for lane in (self._mailbox.control_receive, self._mailbox.receive):
            while True:
                try:
                    lane.receive_nowait().fail(ActorStopped(f"The actor {self.name} has stopped."))
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
            lane.close()

    # --- instances --------------------------------------------------------------------------

    def _build(self) -> None:
        self._instance = instance = self._factory()
        background: Callable[[], Awaitable[None]] | None = getattr(instance, "background", None)
        if background is not None:
            self._background = trio.CancelScope()
            self._nursery.start_soon(self._run_background, instance, background, self._background)
        self._rebuilt.unpark_all()

    @trio.lowlevel.enable_ki_protection
    async def _run_background(
        self, instance: Actor, background: Callable[[], Awaitable[None]], scope: trio.CancelScope
    ) -> None:
        askers.set((self.name,))
        with scope:
            try:
                await background()
            except BaseException as error:  # noqa: BLE001 - as in `_handle`.
                self._contain(error, partial(self._crashed, instance))

    @staticmethod
    def _contain(error: BaseException, crashed: Callable[[BaseException], None]) -> None:
        """Count what an actor is at fault for as a crash, and raise what must pass."""
        passes, crash = split_fault(error)
        try:
            if crash is not None:
                crashed(crash)
            if passes is not None:
                raise passes from None
        finally:
            del error, passes, crash  # Their tracebacks refer to this frame.

    def _crashed_at(self, call: Call[Any], instance: Actor, crash: BaseException) -> None:
        cause = crash
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
        call.fail(AgentCrashed(f"The {self.name} crashed: {type(cause).__name__}."))
        self._crashed(instance, crash)

    def _crashed(self, instance: Actor | None, crash: BaseException) -> None:
        log.error("actor %s crashed", self.name, exc_info=crash)
        if instance is not self._instance:
            return  # An old instance, already replaced.
        self._instance = None
        self._background.cancel()
        now = trio.current_time()
        self._crashes.append(now)
        while self._crashes[0] < now - self._limit.window_s:
            self._crashes.popleft()
        delay = self._limit.delay_s(len(self._crashes))
        if delay is None:
            raise RestartLimitExceeded(
                f"The actor {self.name} crashed {len(self._crashes)} times"
                f" within {self._limit.window_s:g} s."
            ) from crash
        self._restarts += 1
        self._nursery.start_soon(self._rebuild, delay)

    @trio.lowlevel.enable_ki_protection
    async def _rebuild(self, delay_s: float) -> None:
        await trio.sleep(delay_s)
        try:
            self._build()
        except BaseException as error:  # noqa: BLE001 - as in `_handle`; the first may stop the start.
            self._contain(error, partial(self._crashed, None))


def _at_hand(lane: trio.MemoryReceiveChannel[Call[Any]]) -> Call[Any] | None:
    """The next call, if one is in the mailbox."""
    try:
        return lane.receive_nowait()
    except trio.WouldBlock:
        return None
