"""`terzetto run`: create one task, follow it to its end, and cancel it if the person has enough.

Rule: the exit code says how the task ended, and the first Ctrl-C only asks: what counts is the
ending in the log. The second one ends this process at once, which the log is made to survive.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial

import trio

from actors.errors import ActorError, CancelUnfinished, IllegalState
from web.command.exits import Exit, answer_for
from web.command.run.screens import Screen
from web.command.run.view import RunView
from web.ndjson import event_of
from web.service import Service

CANCEL_S = 30.0
"""How long to wait for a cancel that nobody looks at any more."""
ASK_AGAIN_S = 1.0

Opening = Callable[[], AbstractAsyncContextManager[Service]]


async def run_task(
    opening: Opening,
    description: str,
    screen: Screen,
    view: RunView,
    *,
    deadline_s: float | None = None,
    context_task_id: str | None = None,
    end_at_once: Callable[[int], object] = os._exit,
) -> int:
    """Run one task to its end and answer the exit code."""
    run = _Run(screen, view, end_at_once)
    try:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.obey, signals, nursery)
                nursery.start_soon(screen.animate)
                async with opening() as service:
                    create = partial(
                        service.create,
                        description,
                        deadline_s=deadline_s,
                        context_task_id=context_task_id,
                    )
                    await run.follow(service, create)
                nursery.cancel_scope.cancel()
        if not view.task_id:
            screen.leave()
            screen.say("Stopped before the task began.")
            return run.interrupted or Exit.FAILED
        await screen.finish()
        run.tell_loss()
        return run.exit_code()
    finally:
        screen.leave()


class _Run:
    """One run of the command: the service, the task, and whether the person has interrupted it."""

    def __init__(self, screen: Screen, view: RunView, end_at_once: Callable[[int], object]) -> None:
        self._screen = screen
        self._view = view
        self._end_at_once = end_at_once
        self._service: Service | None = None
        self._task_id: str | None = None
        self._lost: ActorError | None = None
        self.interrupted: int | None = None

    async def follow(self, service: Service, create: Callable[[], Awaitable[str]]) -> None:
        """Create the task and show its lines until there are no more."""
        task_id = await create()
        self._service, self._task_id = service, task_id
        try:
            async with aclosing(service.lines(task_id)) as lines:
                async for line in lines:
                    event = event_of(line)
                    self._view.apply(event)
                    await self._screen.show(line, event)
        except ActorError as error:
            if not self._view.task_id:
                raise
            self._lost = error  # What was shown so far is worth keeping on the screen.
        except BrokenPipeError:
            # Nobody reads this any more, so nobody waits for the task either.
            with trio.move_on_after(CANCEL_S, shield=True):
                await self._cancel("its reader went away")
            raise

    async def obey(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Cancel the task at the first signal, end the process at the second."""
        async for signum in signals:
            if self.interrupted is not None:
                self._screen.leave()
                self._end_at_once(self.interrupted)
                continue
            self.interrupted = 128 + signum
            if self._task_id is None:
                nursery.cancel_scope.cancel()
            elif not self._view.ended:
                self._screen.say("Cancelling. Once more ends it at once.")
                reason = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
                nursery.start_soon(self._cancel, reason)

    async def _cancel(self, reason: str) -> None:
        assert self._service is not None and self._task_id is not None
        while True:
            try:
                await self._service.cancel(self._task_id, reason)
            except IllegalState:
                return  # It came to its own end first, and that one stands.
            except CancelUnfinished as error:
                self._screen.say(f"{error.message} Asking again.")
                await trio.sleep(ASK_AGAIN_S)
            else:
                return

    def tell_loss(self) -> None:
        """Say why the stream did not go on, if it did not."""
        if self._lost is not None:
            self._screen.say(f"terzetto: {self._lost.message} [{self._lost.code}]")

    def exit_code(self) -> int:
        """What the log says. A stream without an ending is no success."""
        match self._view.state:
            case "completed":
                return Exit.OK
            case "cancelled":
                return self.interrupted or Exit.CANCELLED_ELSEWHERE
            case _:
                return answer_for(self._lost) if self._lost else Exit.FAILED
