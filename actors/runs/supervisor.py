"""The supervisor: owns every task from its creation to its end.

    Create -> pending -> Execute -> queued -> a slot is free -> a run, one child task of `tasks.runs`

The cancel scope of a run is its handle. `RunLimits` holds the backoff by which steps are retried. What
a run does stands in `actors.runs.run`.

Rule: decide without waiting, by `ledger.record`; answer after `flush`, when the decision is in the
log. No handler waits for an agent.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, assert_never

import trio

from actors.errors import (
    ActorError,
    ActorStopped,
    AgentCrashed,
    Draining,
    IllegalState,
    InvalidRequest,
    Overloaded,
    StorageUnavailable,
    TaskNotFound,
    TaskUnreadable,
    TooManyRequests,
    leaf_errors,
)
from actors.journal.journal import Delete, readable
from actors.messages import Cancel, Create, Drain, Execute, Forget, Ping, Recover, Retry
from actors.runs.agents import Agents
from actors.runs.charges import CHARGES, NO_CHARGES, LastEnd, after_end, load_charges
from actors.runs.live_tasks import CancelReason, LiveTask, LiveTasks
from actors.runs.recovery import charge, open_run, resume_state, stored_beside
from actors.runs.run import Run, RunLimits
from actors.runs.shares import has_room
from actors.runs.steps import load_output
from actors.runtime import Call
from actors.tasks import events as e
from actors.tasks.context import CONTEXT, Context, context_of, dump_context
from actors.tasks.failure import Failure
from actors.tasks.life import FINAL, Task
from actors.tasks.limits import check_budget, check_new_task
from actors.usage import Meter

log = logging.getLogger(__name__)

KEYED_TASKS = uuid.UUID("2f6f1a0e-6d2b-5a4e-9a55-7c1d5a0c7e11")
"""The namespace (RFC 9562, version 5) that turns an idempotency key into a task id."""

STORAGE_RETRY_S = 2.0
"""Seconds before a task whose log could not be written is resumed."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Admission limits: tasks that run, that wait for a slot, and that are pending, and unfinished
    tasks of one owner that has a name (None: any number)."""

    running: int
    queued: int
    pending: int
    of_owner: int | None = None


class Supervisor:
    """The actor. Its state is in `LiveTasks`, so a rebuilt instance goes on where the old one was."""

    def __init__(self, tasks: LiveTasks, agents: Agents, limits: RunLimits, slots: Slots) -> None:
        self._tasks = tasks
        self._agents = agents
        self._limits = limits
        self._slots = slots

    async def handle(self, request: Any, call: Call[Any]) -> Any:
        match request:
            case Create():
                return await self._create(request)
            case Execute(task_id=task_id):
                return await self._execute(task_id)
            case Retry(task_id=task_id):
                return await self._retry(task_id)
            case Forget(task_id=task_id):
                return await self._forget(task_id)
            case Recover():
                return await self._recover()
            case Ping():
                return None
            case Cancel() | Drain():  # They wait for runs, and must not hold up the control lane.
                self._tasks.runs.start_soon(self._in_background, request, call)
                return call.defer()
            case _:
                assert_never(request)

    async def _in_background(self, request: Cancel | Drain, call: Call[Any]) -> None:
        try:
            match request:
                case Cancel():
                    call.settle(await self._cancel(request))
                case Drain(grace_s=grace_s):
                    await self._drain(grace_s)
                    call.settle(None)
                case _:
                    assert_never(request)
        except ActorError as error:
            call.fail(error)

    # --- from creation to a slot ------------------------------------------------------------

    async def _create(self, new: Create) -> Task:
        self._check_open()
        check_new_task(new.task_description, new.deadline_s, new.metadata)
        check_budget(new.budget)
        if new.idempotency_key is None:
            task_id = str(uuid.uuid4())
            self._tasks.put(task_id, None)  # A random id cannot exist yet.
            return await self._create_as(task_id, new)
        while True:
            with suppress(TaskNotFound):  # The last task of this key was just deleted.
                return await self._create_as(_keyed_id(new.owner, new.idempotency_key), new)

    async def _create_as(self, task_id: str, new: Create) -> Task:
        async with self._tasks.hold(task_id, create=True) as live:
            if live.ledger.exists:
                _check_same(live.task, new)
                await live.ledger.flush()
                return await self._tasks.view.task(task_id)
            if not has_room(self._tasks.pending, new.owner, self._slots.pending):
                raise Overloaded("Too many tasks are pending. Execute or delete some first.")
            followed = new.context_task_id
            context = dump_context(await self._context(followed)) if followed else None
            live.ledger.record(
                e.TaskCreated(
                    new.task_description,
                    new.deadline_s,
                    dict(new.metadata),
                    new.context_task_id,
                    new.budget or None,
                    new.owner,
                ),
                step_id=CONTEXT,
                output=context,
            )
            created = live.task
            await self._flush(live, pending=1)
            return created

    async def _context(self, task_id: str) -> Context:
        """What the new task takes over from the completed task that it follows up."""
        try:
            task = await self._tasks.view.task(task_id)
            stored = await self._tasks.view.outputs(task_id)
        except TaskNotFound:
            raise InvalidRequest(f"context_task_id: there is no task {task_id}.") from None
        if task.status != "completed":
            raise IllegalState(
                f"The task {task_id} is {task.status}; only a completed one can be followed up."
            )
        with readable(task_id):
            report = load_output("writing", stored[list(task.steps)[-1]])
        return context_of(task, report)

    async def _execute(self, task_id: str) -> Task:
        async with self._tasks.hold(task_id) as live:
            if live.task.status == "pending":
                self._admit(live)
                admitted = live.task
                await self._flush(live, pending=-1)
                return admitted
            await live.ledger.flush()
            if not self._tasks.draining and task_id not in self._tasks.stalled:
                await self._resume(
                    task_id, "storage"
                )  # The index of a damaged log may not name it.
                self._fill_slots()
        return await self._tasks.view.task(task_id)

    async def _retry(self, task_id: str) -> Task:
        async with self._tasks.hold(task_id) as live:
            await self._run_left(live)
            if live.task.status not in ("failed", "cancelled"):
                raise IllegalState(
                    f"The task is {live.task.status}; only a failed or cancelled one can be retried."
                )
            self._admit(live)
            admitted = live.task
            await self._flush(live)
            return admitted

    async def _flush(self, live: LiveTask, *, pending: int = 0) -> None:
        """Wait until the decision is committed; if it cannot be, undo it."""
        owner = live.task.owner
        self._tasks.pending[owner] += pending
        try:
            await live.ledger.flush()
        except StorageUnavailable:
            self._tasks.pending[owner] -= pending
            self._unqueue(live)
            if live.ledger.committed:  # The log may still have it as queued; then it is resumed.
                self._stall(live.ledger.task_id)
            raise

    def _check_open(self) -> None:
        if self._tasks.draining:
            raise Draining("The server is about to stop. Come back in a moment.")

    def _admit(self, live: LiveTask) -> None:
        """Queue a task, or start it when a slot is free; raises `Overloaded` and changes nothing."""
        self._check_open()
        queue, owner = self._tasks.queue, live.task.owner
        most = self._slots.of_owner
        if owner is not None and most is not None and queue.unfinished(owner) >= most:
            raise TooManyRequests(
                f"{most} of your tasks run or wait, which is the most. The task is unchanged."
            )
        starts = not queue and self._tasks.running < self._slots.running
        if not starts and not has_room(queue.waiting_by_owner(), owner, self._slots.queued):
            raise Overloaded(
                f"All slots are taken and {len(queue)} tasks wait. The task is unchanged."
            )
        position = 0 if starts else queue.ahead(owner) + 1
        live.ledger.record(e.TaskQueued(position, live.task.run + 1))
        live.queued = True
        queue.append(owner, live.ledger.task_id)
        self._fill_slots()

    def _fill_slots(self) -> None:
        tasks = self._tasks
        while tasks.queue and tasks.running < self._slots.running and not tasks.draining:
            live = tasks.live[tasks.queue.take()]
            live.queued = False
            live.scope = trio.CancelScope()
            tasks.running += 1
            tasks.runs.start_soon(self._run, live, live.scope, name=f"run {live.ledger.task_id}")

    # --- a run ------------------------------------------------------------------------------

    async def _run(self, live: LiveTask, scope: trio.CancelScope) -> None:
        """One run, from its slot to its end."""
        stopped = Meter()
        try:
            async with live.ledger.writing():
                with scope:
                    # Its work would keep the thread that commits the start waiting, and the client.
                    await live.ledger.flush()
                    await self._run_task(live, stopped)
                if live.cancelled_for and not live.task.finished:
                    partial, used = live.task.partial_output, live.task.usage + stopped.usage
                    live.ledger.record(
                        e.TaskCancelled(live.cancelled_for.text, partial, used or None)
                    )
        except* StorageUnavailable:
            self._stall(live.ledger.task_id)
        except* ActorStopped:
            pass  # The system stops, and the task is resumed at the next start.
        finally:
            self._run_ended(live)

    def _run_ended(self, live: LiveTask) -> None:
        live.scope = live.cancelled_for = live.charges = None
        live.ended.unpark_all()
        self._tasks.running -= 1
        self._tasks.queue.release(live.task.owner)
        self._tasks.clear(live)
        self._fill_slots()
        self._tasks.slot_freed.unpark_all()

    async def _run_left(self, live: LiveTask) -> None:
        """Wait until a run that has decided its ending has committed it.

        Also wait for pending cancels of that run, so that they cannot cancel the next one.
        """
        while live.task.finished and (live.scope is not None or live.cancels):
            await live.ended.park()

    def _stall(self, task_id: str) -> None:
        """The log could not be written: stop, and resume the task later, as after a crash."""
        log.error("task %s waits until its log can be written", task_id)
        self._tasks.view.close_streams("storage", task_id)
        if not (self._tasks.stalled or self._tasks.draining):  # Else the next start resumes it.
            self._tasks.runs.start_soon(self._resume_stalled)
        self._tasks.stalled.add(task_id)

    async def _resume_stalled(self) -> None:
        await trio.sleep(STORAGE_RETRY_S)
        stalled, self._tasks.stalled = self._tasks.stalled, set()
        for task_id in stalled:
            try:
                await self._resume(task_id, "storage")
            except StorageUnavailable:
                self._stall(task_id)
            except (TaskNotFound, TaskUnreadable) as lost:
                log.error("task %s is not resumed: %s", task_id, lost)
        self._fill_slots()

    async def _resume(self, task_id: str, after: LastEnd) -> LiveTask:
        """Queue a task that has no run. The limit of the queue does not apply."""
        async with self._tasks.hold(task_id) as live:
            if live.task.status in ("queued", "executing") and not (live.queued or live.scope):
                live.last_end = after
                live.queued = True
                self._tasks.queue.append(live.task.owner, task_id)
            return live

    async def _run_task(self, live: LiveTask, stopped: Meter) -> None:
        try:
            stored = await stored_beside(self._tasks.view, live.task)
            with readable(live.ledger.task_id):
                before = load_charges(stored.get(CHARGES), live.task.run)
                resume = resume_state(self._tasks, live, stored)
            if live.charges is None:
                open_run(live, after_end(before, live.task, live.last_end))
            run = Run(
                live.ledger,
                self._agents,
                self._limits,
                replace(resume, charges=live.charges or NO_CHARGES),
                self._tasks.retries,
                stopped,
            )
            await run.run()
        except* (ActorStopped, StorageUnavailable):
            raise
        except* Exception as crash:
            # A bug in one run must not end other runs, nor the system at every start.
            if live.ledger.failed:
                raise
            log.error("the run of task %s crashed", live.ledger.task_id, exc_info=crash)
            first = leaf_errors(crash)[0]
            if not isinstance(first, TaskUnreadable):
                first = AgentCrashed("The run stopped because of a bug; see the log.")
            failure = Failure.of(first)
            used = live.task.usage + stopped.usage
            live.ledger.record(e.TaskFailed(failure, None, live.task.partial_output, used or None))

    # --- cancel, delete ---------------------------------------------------------------------

    async def _cancel(self, request: Cancel) -> Task:
        """Answer when no agent works for the task and the log says so. A run writes its own ending."""
        tasks = self._tasks
        async with tasks.hold(request.task_id) as live:
            live.cancels += 1
            try:
                while live.scope is not None:
                    live.cancelled_for = live.cancelled_for or CancelReason(request.reason)
                    live.scope.cancel()
                    await live.ended.park()
            finally:
                live.cancels -= 1
                live.ended.unpark_all()
            if live.task.status in ("completed", "failed"):
                raise IllegalState(
                    f"The task is {live.task.status}, so there is nothing to cancel."
                )
            was = live.task.status
            if was != "cancelled":
                self._unqueue(live)
                task = live.task
                live.ledger.record(
                    e.TaskCancelled(request.reason, task.partial_output, task.usage or None)
                )
            await self._flush(live, pending=-1 if was == "pending" else 0)
        return await tasks.view.task(request.task_id)

    def _unqueue(self, live: LiveTask) -> None:
        if live.queued:
            self._tasks.queue.remove(live.task.owner, live.ledger.task_id)
            live.queued = False

    async def _forget(self, task_id: str) -> None:
        try:
            await self._forget_readable(task_id)
        except TaskUnreadable:
            # Nothing works for it, since nothing could be read. Only the index knows its status.
            owner = await self._tasks.view.store.owner(task_id)
            if await self._tasks.journal.ask(Delete(task_id)) == "pending":
                self._tasks.pending[owner] -= 1

    async def _forget_readable(self, task_id: str) -> None:
        async with self._tasks.hold(task_id) as live:
            settled = -1
            while settled < live.task.last_seq:  # A cancel may decide more while this waits.
                settled = live.task.last_seq
                await live.ledger.flush()
                await self._run_left(live)
            if live.task.status not in ("pending", *FINAL):
                raise IllegalState(
                    f"The task is {live.task.status}. Cancel it before you delete it."
                )
            if isinstance(live.ledger.failed, TaskNotFound):
                raise live.ledger.failed  # Another delete came first; `hold` waits for its end.
            was_pending = live.task.status == "pending"
            live.ledger.failed = TaskNotFound(f"There is no task {task_id}.")
            live.forgotten = trio.Event()
            try:
                await self._tasks.journal.ask(Delete(task_id))
                self._tasks.pending[live.task.owner] -= was_pending
                self._tasks.drop(live)
            except (StorageUnavailable, TaskUnreadable) as refused:
                live.ledger.failed = refused
                raise
            finally:
                live.forgotten.set()

    # --- start and stop ---------------------------------------------------------------------

    async def _recover(self) -> int:
        """Queue what was executing, then what was queued."""
        tasks = self._tasks
        tasks.pending = await tasks.view.store.counts("pending")
        unfinished = await tasks.view.store.unfinished()
        lives = []
        for task_id in unfinished:
            try:
                lives.append(await self._resume(task_id, tasks.last_end))
            except (TaskNotFound, TaskUnreadable) as error:
                log.error("task %s is not resumed: %s", task_id, error)
        await charge(
            [live for live in lives if live.task.status == "executing"], tasks, self._agents
        )
        self._fill_slots()
        return len(unfinished)

    async def _drain(self, grace_s: float) -> None:
        tasks = self._tasks
        tasks.draining = True
        with trio.move_on_after(grace_s):
            await self._runs_ended()
        for live in tasks.live.values():
            if live.scope:
                live.scope.cancel()
        await self._runs_ended()

    async def _runs_ended(self) -> None:
        while self._tasks.running:
            await self._tasks.slot_freed.park()


def _keyed_id(owner: str | None, key: str) -> str:
    """The id of the task with this idempotency key; each owner has keys of its own."""
    space = KEYED_TASKS if owner is None else uuid.uuid5(KEYED_TASKS, owner)
    return str(uuid.uuid5(space, key))


def _check_same(task: Task, new: Create) -> None:
    asked = (new.task_description, new.deadline_s, dict(new.metadata))
    there = (task.task_description, task.deadline_s, dict(task.metadata))
    further = (new.context_task_id, new.budget)
    if asked != there or further != (task.context_task_id, task.budget):
        raise InvalidRequest("This Idempotency-Key was used for a task with other values.")
