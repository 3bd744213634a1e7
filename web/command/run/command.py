"""`terzetto run`: create a task, show its events until it ends, and cancel it on a signal.

Rule: the exit code says how the task ended according to its log. The first Ctrl-C only asks for
cancellation. The second one ends this process at once; the log survives that. Without a place to print
to, the task is cancelled: a person who closes the terminal does not wait for its report.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

import trio

from actors.errors import ActorError, CancelUnfinished, IllegalState
from web.command.output import Exit, exit_code_for, say_error
from web.command.run.screens import Screen
from web.command.run.view import RunView
from web.command.services import OpenService
from web.ndjson import event_of
from web.service import Service
from web.signals import receive_signals, second_signal

CANCEL_S = 30.0
"""How long to wait for the cancellation after the output was lost."""
CANCEL_RETRY_S = 1.0


async def run_task(
    opening: OpenService,
    description: str,
    screen: Screen,
    view: RunView,
    *,
    deadline_s: float | None = None,
    context_task_id: str | None = None,
    end_at_once: Callable[[int], object] = os._exit,
) -> int:
    """Run one task to its end. Returns the exit code."""
    run = _Run(screen, view, end_at_once)
    try:
        with receive_signals() as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.handle_signals, signals, nursery)
                nursery.start_soon(run.animate)
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
        run.say_lost()
        return run.exit_code()
    finally:
        screen.leave()


class _Run:
    """One run of the command: the service, the task, and the signal that interrupted it."""

    def __init__(self, screen: Screen, view: RunView, end_at_once: Callable[[int], object]) -> None:
        self._screen = screen
        self._view = view
        self._end_at_once = end_at_once
        self._service: Service | None = None
        self._task_id: str | None = None
        self._lost: ActorError | None = None
        """The error that ended the event stream before the task ended."""
        self.interrupted: int | None = None
        """The exit code of the first signal."""

    async def follow(self, service: Service, create: Callable[[], Awaitable[str]]) -> None:
        """Create the task and show its events until the stream ends."""
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
            self._lost = error  # The events shown so far stay on the screen.
        except OSError:
            await self._output_lost()
            raise

    async def animate(self) -> None:
        """Redraw the screen until cancelled."""
        try:
            await self._screen.animate()
        except OSError:
            await self._output_lost()
            raise

    async def _output_lost(self) -> None:
        if self._task_id is not None and not self._view.ended:
            with trio.move_on_after(CANCEL_S, shield=True):
                await self._cancel("the output cannot be written")

    async def handle_signals(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Cancel the task at the first signal, end the process at the second."""
        signum = await anext(signals)
        self.interrupted = 128 + signum
        if self._task_id is None:
            nursery.cancel_scope.cancel()
        elif not self._view.ended:
            self._screen.say("Cancelling the task. Press Ctrl-C again to exit at once.")
            reason = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
            nursery.start_soon(self._cancel, reason)
        await second_signal(signals)
        self._screen.leave()
        self._end_at_once(self.interrupted)

    async def _cancel(self, reason: str) -> None:
        assert self._service is not None and self._task_id is not None
        while True:
            try:
                await self._service.cancel(self._task_id, reason)
            except IllegalState:
                return  # The task ended before the cancel arrived. Its ending stands.
            except CancelUnfinished as error:
                self._screen.say(f"{error.message} Trying again.")
                await trio.sleep(CANCEL_RETRY_S)
            else:
                return

    def say_lost(self) -> None:
        """Print the error that ended the event stream, if there was one."""
        if self._lost is not None:
            say_error(self._lost)

    def exit_code(self) -> int:
        """The exit code for the state of the task; a stream without an ending is a failure."""
        match self._view.state:
            case "completed":
                return Exit.OK
            case "cancelled":
                return self.interrupted or Exit.CANCELLED_ELSEWHERE
            case _:
                return exit_code_for(self._lost) if self._lost else Exit.FAILED
