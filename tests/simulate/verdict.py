"""The verdict: every log keeps the invariants, and every answer and stream agrees with the log."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from actors.tasks.events import decode
from actors.tasks.life import FINAL, Task, evolve
from actors.testing import BrokenLog, check_log

from .clients import Reader
from .model import Model

START = "2026-01-01T00:00:00Z"
"""Where the virtual clock starts."""

ATTEMPTS = 5
CODES = {
    "agent_failed",
    "agent_crashed",
    "step_timeout",
    "invalid_plan",
    "interrupted",
    "deadline_exceeded",
}


def judge(model: Model) -> None:
    """Record each disagreement between the logs and what clients received as a failure."""
    disk = model.disk
    folds = {}
    for task_id in {*disk.ids(), *disk.deleted} - disk.damaged:
        try:
            log = disk.log(task_id)
            check_log(log, attempts=ATTEMPTS, crashed=crashed(model, log))
        except BrokenLog as broken:
            model.fail(f"the log of {model.name(task_id)}: {broken}")
            continue
        folds[task_id] = fold(disk.log(task_id))
        _check_events(model, task_id, [json.loads(line) for line in disk.log(task_id).splitlines()])
        known = disk.task(task_id)
        if known is not None and known != folds[task_id][-1]:
            model.fail(f"the store's {known} is not its log's {folds[task_id][-1]}")
    if model.troubles:
        return
    _check_answers(model, folds)
    _check_streams(model)


def fold(log: bytes) -> list[Task | None]:
    """The task after each of its events, from none on."""
    tasks: list[Task | None] = [None]
    for line in log.splitlines():
        tasks.append(evolve(tasks[-1], decode(line)))
    return tasks


def _check_answers(model: Model, folds: dict[str, list[Task | None]]) -> None:
    disk = model.disk
    for task_id in model.created - model.deleting - disk.damaged:
        if disk.task(task_id) is None:
            model.fail(f"{model.name(task_id)} was created, and is lost")
    for task_id in model.accepted - model.deleting - disk.damaged:
        task = disk.task(task_id)
        if task is None or task.status not in FINAL:
            model.fail(f"{model.name(task_id)} was accepted, and is {task and task.status}")
    for what, task in model.views:
        if task.task_id in disk.damaged:
            continue
        states = folds.get(task.task_id, [])
        if task.last_seq >= len(states) or states[task.last_seq] != task:
            at = states[task.last_seq] if task.last_seq < len(states) else None
            model.fail(f"{what} was answered with {task}, the log says {at}")
    for brief in model.briefs:
        if brief.task_id in disk.damaged:
            continue
        states = folds.get(brief.task_id, [])
        full = states[brief.last_seq] if brief.last_seq < len(states) else None
        if full is None or (full.status, full.run) != (brief.status, brief.run):
            model.fail(f"listed as {brief}, the log says {full}")


def _check_streams(model: Model) -> None:
    for got in model.slices:
        lines = model.disk.log(got.task_id).splitlines(keepends=True)[got.after :]
        whole = b"".join(lines)
        name = model.name(got.task_id)
        if not whole.startswith(bytes(got.lines)):
            model.fail(f"a stream of {name} from {got.after} on is not its log: {got.lines!r}")
        known = got.task_id not in model.deleting | model.disk.damaged
        if isinstance(got, Reader) and known and got.lines != whole:
            model.fail(f"a reader of {name} stands at {got.cursor} of {got.after + len(lines)}")


def _check_events(model: Model, task_id: str, events: list[dict[str, Any]]) -> None:
    name = model.name(task_id)
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        model.fail(f"the times of {name} go back: {times}")
    starts: Counter[str] = Counter()
    for event in events:
        data = event["data"]
        if event["event_type"] == "step_started":
            starts[data["step_id"]] += 1
        if (error := data.get("error")) and error["code"] not in CODES:
            model.fail(f"{name} has an error that nothing explains: {error}")
    if not model.crashes and not model.refusals_ever:
        for step_id, count in starts.items():
            if model.attempts[f"{task_id}/{step_id}"] > count:
                model.fail(f"{step_id} of {name} was worked on more often than its log says")


def crashed(model: Model, log: bytes) -> set[int] | None:
    """The seqs of the restarts that followed a crash; None if refused writes blur them."""
    if model.refusals_ever:
        return None
    found = set()
    for line in log.splitlines():
        event = json.loads(line)
        if event["data"].get("reason") == "restart" and _end_before(model, event) == "crash":
            found.add(event["seq"])
    return found


def _end_before(model: Model, event: dict[str, Any]) -> str:
    """How the process before the one that wrote this event ended."""
    gone = datetime.fromisoformat(event["timestamp"]) - datetime.fromisoformat(START)
    at_ms = round(gone.total_seconds() * 1_000)  # Timestamps are cut to the millisecond.
    return [end for boot, end in model.boots if int(boot * 1_000) <= at_ms][-1]
