"""What must be so whenever every task waits: nobody sleeps who could go on, and the counts are true."""

from __future__ import annotations

from actors.system import System
from actors.testing import Machine

from .clients import ENDED, Reader
from .model import Model


def check_quiet(model: Model, system: System, machine: Machine) -> None:
    """Called when all tasks are blocked."""
    desk = system._desk
    slots = system.settings.max_running_tasks
    for reader in model.slices:
        if not isinstance(reader, Reader) or not reader.waiting:
            continue
        task = model.disk.task(reader.task_id)
        if task is None:
            model.blame(f"a reader of {model.name(reader.task_id)} sleeps, and it is deleted")
        if task and (reader.cursor != task.last_seq or task.status in ENDED):
            where = f"at {reader.cursor} of {task.last_seq}, {task.status}"
            model.blame(f"a reader of {model.name(reader.task_id)} sleeps {where}")
    scopes = sum(live.scope is not None for live in desk.live.values())
    if scopes != desk.running:
        model.blame(f"{desk.running} slots are taken by {scopes} runs")
    if desk.running > slots:
        model.blame(f"{desk.running} runs in {slots} slots")
    if desk.queue and desk.running < slots and not desk.draining:
        model.blame(f"{len(desk.queue)} tasks wait, and only {desk.running} of {slots} run")
    if machine.store.writing == 0 and desk.pending != model.disk.pending():
        model.blame(f"{desk.pending} pending are counted, {model.disk.pending()} are on the disk")


def check_still(model: Model, system: System) -> None:
    """Called at the very end, when nothing is left to do."""
    desk, view = system._desk, system._desk.view
    if desk.live or desk.queue or desk.running:
        model.blame(f"left on the desk: {list(desk.live)}, {list(desk.queue)}, {desk.running}")
    if view._used:
        model.blame(f"tails that nobody lets go: {list(view._used)}")
    for actor in system.tree():
        if actor.depth or actor.in_flight:
            model.blame(f"unsettled asks: {actor}")
    if any(model.working.values()):
        model.blame(f"agents at work for nothing: {model.working}")
    if children := desk.runs.child_tasks:
        model.blame(f"tasks left over: {[task.name for task in children]}")
