"""What must hold whenever every Trio task is blocked: no missed wake-up, and true counts."""

from __future__ import annotations

from actors.system import System
from actors.tasks.life import FINAL
from actors.testing import Machine

from .clients import Reader
from .model import Model


def check_quiet(model: Model, system: System, machine: Machine) -> None:
    """Called when all tasks are blocked."""
    tasks = system._tasks
    slots = system.settings.max_running_tasks
    for reader in model.slices:
        if not isinstance(reader, Reader) or not reader.waiting:
            continue
        if reader.task_id in model.disk.damaged:
            continue
        task = model.disk.task(reader.task_id)
        if task is None:
            model.fail(f"a reader of {model.name(reader.task_id)} sleeps, and it is deleted")
        if task and (reader.cursor != task.last_seq or task.status in FINAL):
            where = f"at {reader.cursor} of {task.last_seq}, {task.status}"
            model.fail(f"a reader of {model.name(reader.task_id)} sleeps {where}")
    scopes = sum(live.scope is not None for live in tasks.live.values())
    if scopes != tasks.running:
        model.fail(f"{tasks.running} slots are taken by {scopes} runs")
    if tasks.running > slots:
        model.fail(f"{tasks.running} runs in {slots} slots")
    if tasks.queue and tasks.running < slots and not tasks.draining:
        model.fail(f"{len(tasks.queue)} tasks wait, and only {tasks.running} of {slots} run")
    counted = (
        not model.disk.damaged
    )  # A damaged task that was pending is counted until the next start.
    if counted and machine.store.writing == 0 and tasks.pending.total() != model.disk.pending():
        model.fail(
            f"{tasks.pending.total()} pending are counted, {model.disk.pending()} are on the disk"
        )


def check_still(model: Model, system: System) -> None:
    """Called at the very end, when nothing is left to do."""
    tasks, view = system._tasks, system._tasks.view
    if tasks.live or tasks.queue or tasks.running:
        model.fail(f"still live: {list(tasks.live)}, {len(tasks.queue)}, {tasks.running}")
    if view._used:
        model.fail(f"tails that nobody lets go: {list(view._used)}")
    for actor in system.tree():
        if actor.depth or actor.in_flight:
            model.fail(f"unsettled asks: {actor}")
    if any(model.working.values()):
        model.fail(f"agents at work for nothing: {model.working}")
    if children := tasks.runs.child_tasks:
        model.fail(f"tasks left over: {[task.name for task in children]}")
