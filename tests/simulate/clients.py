"""The clients: how each operation of a program is performed, and which answers it may get.

Rule: an answer is recorded before anything else happens; each error must have an allowed cause.
"""

from __future__ import annotations

import math
from typing import Any

import trio

from actors.errors import ActorError, AgentCrashed
from actors.journal.follower import Follower
from actors.journal.log import Append, Record, StaleWriter
from actors.system import System

from .model import Bomb, Model, Slice, cast_for, odd_script
from .program import Op


class Clients:
    """All clients of one process."""

    def __init__(self, model: Model, system: System, nursery: trio.Nursery) -> None:
        self.model, self.system = model, system
        self._nursery = nursery
        self.calm = False

    async def perform(self, op: Op) -> None:
        """Do what an operation says, and check the error if there is one."""
        for _ in range(op.ticks):
            await trio.lowlevel.checkpoint()
        task_id = self.model.ids.get(op.task, "")
        if not task_id and op.verb not in ("create", "bomb", "list"):
            return
        async with trio.open_nursery() as nursery:
            if "hangs_up" in op.args:
                nursery.start_soon(_hang_up, nursery.cancel_scope, op.args["hangs_up"])
            try:
                await getattr(self, f"_{op.verb}")(op, task_id)
            except ActorError as error:
                self._explain(op, error)
            nursery.cancel_scope.cancel()

    def _explain(self, op: Op, error: ActorError) -> None:
        model = self.model
        task_id = model.ids.get(op.task, "")
        match error.code:
            case "actor_stopped":
                model.actors_stopped = True  # The process must be about to end; judged then.
                fine = True
            case "draining":
                fine = model.stopping
            case "storage_unavailable":
                fine = model.refusals > 0
            case "overloaded":
                fine = model.busy or op.verb in ("create", "start", "execute", "retry", "again")
            case "task_not_found":
                fine = task_id in model.deleting
            case "task_unreadable":
                fine = task_id in model.disk.damaged
            case "cancel_unfinished":
                fine = model.busy
            case "illegal_state":
                fine = op.verb in ("retry", "delete") or (
                    op.verb == "cancel" and has_ended(model.disk.log(task_id))
                )
            case _:
                fine = False
        if not fine:
            model.fail(f"{op.verb} {op.task} was answered {error.code}: {error}")

    # --- tasks ------------------------------------------------------------------------------

    async def _create(self, op: Op, _: str) -> None:
        self.model.casts.setdefault(op.task, cast_for(op.args))
        self.model.odd.setdefault(op.task, odd_script(op.args))
        key = op.task if "key" in op.args else None
        deadline_s = op.args.get("deadline_s")
        task = await self.system.create(op.task, deadline_s=deadline_s, idempotency_key=key)
        self._record_view(op, task)
        self.model.ids[op.task] = task.task_id
        self.model.created.add(task.task_id)

    async def _again(self, op: Op, task_id: str) -> None:
        create = next(o for o in self.model.program.ops if o.verb == "create" and o.task == op.task)
        if "key" not in create.args or task_id in self.model.deleting:
            return
        deadline_s = create.args.get("deadline_s")
        task = await self.system.create(op.task, deadline_s=deadline_s, idempotency_key=op.task)
        self._record_view(op, task)
        if task.task_id != task_id and task_id not in self.model.deleting:
            self.model.fail(f"the key of {op.task} gave another task")

    async def _start(self, op: Op, task_id: str) -> None:
        self._record_view(op, await self.system.start(task_id))
        self.model.accepted.add(task_id)

    async def _status(self, op: Op, task_id: str) -> None:
        self._record_view(op, await self.system.status(task_id))

    async def _list(self, op: Op, _: str) -> None:
        page = await self.system.tasks(limit=200)
        self.model.briefs += page.tasks

    async def _cancel(self, op: Op, task_id: str) -> None:
        model = self.model
        quiet = not model.restless[task_id]
        retries = model.restless["any " + task_id]
        task = await self.system.cancel(task_id, op.args.get("reason"))
        self._record_view(op, task)
        if task.status != "cancelled":
            model.fail(f"cancel {op.task} was answered with {task.status}")
        if quiet and retries == model.restless["any " + task_id]:
            if model.working[task_id]:
                model.fail(f"cancel {op.task} was answered, and {model.working[task_id]} work")
            model.stopped.add(task_id)

    async def _retry(self, op: Op, task_id: str) -> None:
        model = self.model
        model.stopped.discard(task_id)
        model.restless["any " + task_id] += 1
        model.restless[task_id] += 1  # A request whose client left may still be handled.
        try:
            task = await self.system.retry(task_id)
        except ActorError:
            model.restless[task_id] -= 1
            raise
        model.restless[task_id] -= 1
        model.accepted.add(task_id)
        self._record_view(op, task)
        if task.status != "queued":
            model.fail(f"retry {op.task} was answered with {task.status}")
        for reader in model.slices:
            if isinstance(reader, Reader) and reader.task_id == task_id and not reader.connected:
                self.connect(reader)

    async def _delete(self, op: Op, task_id: str) -> None:
        self.model.deleting.add(task_id)
        await self.system.delete(task_id)
        if self.model.disk.task(task_id) is not None:
            self.model.fail(f"delete {op.task} was answered, and it is on the disk")

    def _record_view(self, op: Op, task: Any) -> None:
        self.model.views.append((f"{op.verb} {op.task}", task))
        if task.task_id not in self.model.deleting:
            committed = self.model.disk.task(task.task_id)
            if committed is None or committed.last_seq < task.last_seq:
                self.model.fail(f"{op.verb} {op.task} was answered before it was durable")

    # --- streams ----------------------------------------------------------------------------

    async def _execute(self, op: Op, task_id: str) -> None:
        after = self._place(op, task_id)
        cursor = self.system.execute(task_id, after=after)
        got = Slice(task_id, after)
        left = op.args.get("leave_after", math.inf)
        async for event in cursor:
            if not got.lines:
                self.model.slices.append(got)
                self.model.accepted.add(task_id)
            got.lines += event.line()
            await trio.sleep(op.args.get("pause_s", 0.0))
            left -= 1
            if left <= 0:
                return
        self._check_closing(op.task, task_id, cursor.closing, bytes(got.lines))

    def _place(self, op: Op, task_id: str) -> int:
        committed = self.model.disk.task(task_id)
        return int(op.args.get("after", 0) * committed.last_seq) if committed else 0

    def _check_closing(self, label: str, task_id: str, closing: Any, lines: bytes) -> None:
        model = self.model
        match closing.reason if closing else None:
            case None:
                fine = has_ended(lines.splitlines()[-1] if lines else b"task_completed")
            case "draining":
                fine = model.stopping
            case "storage":
                fine = model.refusals > 0
            case "deleted":
                fine = task_id in model.deleting
            case _:
                fine = False
        if not fine:
            model.fail(f"a stream of {label} ended: {closing}, after {lines[-200:]!r}")

    async def _read(self, op: Op, task_id: str) -> None:
        reader = Reader(task_id, self._place(op, task_id), op.args.get("pause_s", 0.0))
        self.model.slices.append(reader)
        self.connect(reader)

    async def _drop(self, op: Op, task_id: str) -> None:
        readers = [r for r in self.model.slices if isinstance(r, Reader) and r.task_id == task_id]
        for reader in readers[:1]:
            reader.scope.cancel()
            await trio.sleep(op.args["back_s"])
            if not reader.connected:
                self.connect(reader)

    def connect(self, reader: Reader) -> None:
        """Connect a reader at its cursor."""
        reader.connected = True
        reader.scope = trio.CancelScope()
        self._nursery.start_soon(self._follow, reader, reader.scope)

    async def _follow(self, reader: Reader, scope: trio.CancelScope) -> None:
        label = self.model.name(reader.task_id)
        with scope:
            try:
                again = True
                while again:
                    follower = await self.system.follow(reader.task_id, after=reader.cursor)
                    again = await self._drain(reader, follower)
            except ActorError as error:
                self._explain(Op(0, 0, "read", label), error)
        if reader.scope is scope:
            reader.connected = reader.waiting = False

    async def _drain(self, reader: Reader, follower: Follower) -> bool:
        """Read until the stream ends; whether to come back."""
        while True:
            reader.waiting = True
            try:
                piece = await follower.__anext__()
            except StopAsyncIteration:
                break
            finally:
                reader.waiting = False
            if piece.first_seq != reader.cursor + 1:
                self.model.fail(f"after {reader.cursor} came {piece.first_seq}")
            reader.lines += piece.lines
            reader.cursor = piece.last_seq
            await trio.sleep(0 if self.calm else reader.pause_s)
        label = self.model.name(reader.task_id)
        self._check_closing(label, reader.task_id, follower.closing, bytes(reader.lines))
        if follower.closing and follower.closing.reason == "storage":
            await trio.sleep(0.3)
            return True
        return False

    # --- faults -----------------------------------------------------------------------------

    async def _bomb(self, op: Op, _: str) -> None:
        tasks, supervisor = self.system._tasks, self.system._supervisor
        try:
            await (supervisor if op.args["actor"] == "supervisor" else tasks.journal).ask(Bomb())
        except AgentCrashed:
            return

    async def _damage(self, op: Op, task_id: str) -> None:
        """From now on what is stored of this task cannot be read."""
        if self.model.disk.task(task_id) is not None:
            self.model.disk.damaged.add(task_id)

    async def _stale(self, op: Op, task_id: str) -> None:
        task = self.model.disk.task(task_id)
        if task is None or task_id in self.model.deleting:
            return
        record = Record(task.last_seq, b'{"seq":0}\n')
        try:
            await self.system._tasks.journal.ask(Append(task, task.last_seq - 1, (record,)))
        except StaleWriter:
            return
        if task_id not in self.model.deleting:
            self.model.fail(f"a stale writer wrote to {op.task}")


class Reader(Slice):
    """A client that reads a task's log and, after every cut, reconnects at its cursor."""

    def __init__(self, task_id: str, after: int, pause_s: float) -> None:
        super().__init__(task_id, after)
        self.cursor = after
        self.pause_s = pause_s
        self.connected = self.waiting = False
        self.scope = trio.CancelScope()


def has_ended(line: bytes) -> bool:
    """Whether one of these lines is an ending."""
    kinds = (b"task_completed", b"task_failed", b"task_cancelled")
    return any(b'"event_type":"' + kind in line or line == kind for kind in kinds)


async def _hang_up(scope: trio.CancelScope, ticks: int) -> None:
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()
    scope.cancel()
