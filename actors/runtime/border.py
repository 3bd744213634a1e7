"""The border to other people's code: which part of an exception must pass, and which is its fault.

Other people's code may raise anything: `SystemExit`, `KeyboardInterrupt`, `GeneratorExit`, a
`Cancelled` that it kept from a scope of its own, and groups of all of these. Past the border each of
them would end the actor or the server, or stop them silently.

A `Cancelled` is ours only while a scope around the border is cancelled. Trio then reports an
effective deadline of -inf; a cancelled scope never becomes uncancelled, and scopes inside the border
have ended when their exception arrives here.

Rule: only our own cancellation passes. A real Ctrl-C does not arrive here, because the code runs
with Trio's protection from KeyboardInterrupt: it is raised in the main task instead.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import outcome
import trio

from actors.errors import ActorError, ActorStopped

log = logging.getLogger(__name__)

T = TypeVar("T")

LEFT_OPEN_S = 0.01
"""Between two looks at tasks that other people's code has left in a nursery of its own."""


class ProcessDied(BaseException):
    """A simulated process is gone. It passes every border: nothing can catch a `kill -9`."""


def split_fault(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """What of an exception must be raised further, and what is a fault of the code that raised it."""
    if not trio.lowlevel.in_trio_task():
        return error, None  # The interpreter closes a coroutine of a run that has ended.
    ours = trio.current_effective_deadline() == -math.inf

    def passes(one: BaseException) -> bool:
        return isinstance(one, ProcessDied) or (ours and isinstance(one, trio.Cancelled))

    if isinstance(error, BaseExceptionGroup):
        # `split` asks about the groups, too; only their leaves count.
        return error.split(lambda one: not isinstance(one, BaseExceptionGroup) and passes(one))
    return (error, None) if passes(error) else (None, error)


@contextmanager
def contained(name: str, failed: Callable[[BaseException], ActorError]) -> Iterator[None]:
    """Run other people's code in the block: its faults are logged and raised as `failed(fault)`.

    An `ActorError` is an answer and passes, but not `ActorStopped`, which would end the run without
    an ending: only the runtime knows that an actor has stopped.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, ActorError) and not isinstance(error, ActorStopped):
            raise
        passes, fault = split_fault(error)
        try:
            if fault is not None:
                log.error("%s failed", name, exc_info=fault)
            if passes is not None:
                raise passes from None  # With the fault it would end the actor.
            raise failed(error) from None
        finally:
            del passes, fault  # Their tracebacks refer to this frame.


async def apart(name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Call other people's code in a task of its own: what it leaves open ends with that task.

    A scope or nursery that is entered and not left would otherwise stay around the worker of the
    actor called `name`, and cancel later requests. The tasks in it are cancelled, and the call fails.
    """
    ended: list[outcome.Outcome[T]] = []
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_apart, name, ended, nursery, work, *args)
        return ended.pop().unwrap()
    finally:
        ended.clear()  # The traceback of an error refers to it.


@trio.lowlevel.enable_ki_protection
async def _apart(
    name: str,  # Read by `actors.runtime.loop_watch`.
    ended: list[outcome.Outcome[T]],
    nursery: trio.Nursery,
    work: Callable[..., Awaitable[T]],
    *args: Any,
) -> None:
    try:
        with trio.CancelScope():  # At its end Trio reports the scopes that were left open.
            ended.append(outcome.Value(await work(*args)))
    except BaseException as error:  # noqa: BLE001 - `apart` raises it.
        ended[:] = [outcome.Error(error)]
    with trio.CancelScope(shield=True):
        for left in trio.lowlevel.current_task().child_nurseries:
            left.cancel_scope.cancel()
            while left.child_tasks:
                await trio.sleep(LEFT_OPEN_S)
    nursery.cancel_scope.cancel()
