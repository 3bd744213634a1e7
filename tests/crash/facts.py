"""The facts that clients have received, and whether later answers agree with them.

Rule: a fact is recorded once its answer, or its line, has arrived whole. From then on every later
answer must agree with it, however often the process was killed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.testing import check_log

from .server import ATTEMPTS, TEXT

View = Mapping[str, Any]

ENDINGS = frozenset({"task_completed", "task_failed", "task_cancelled"})
FINAL = frozenset({"completed", "failed", "cancelled"})


class Broken(AssertionError):
    """An answer disagrees with an earlier one."""


@dataclass
class TaskFacts:
    """What is known of one task.

    `lines` holds every line anybody was sent, by seq; `torn` the beginnings of lines that a kill
    cut; `views` what status and other answers said, until the log has confirmed it. `completed`
    holds in which cycle a step was first seen completed. `deleting`: the cycle of a DELETE whose
    answer may have been lost; `gone`: the verb that was answered with 404.
    """

    task_id: str
    description: str
    key: str | None = None
    left_alone: bool = False
    lines: dict[int, bytes] = field(default_factory=dict)
    torn: dict[int, bytes] = field(default_factory=dict)
    views: list[View] = field(default_factory=list)
    completed: dict[str, int] = field(default_factory=dict)
    deleting: int | None = None
    gone: str = ""
    status: str = "pending"

    def alive(self, cycle: int) -> None:
        """The task exists, so a DELETE that a kill had cut off did not happen."""
        if self.gone:
            raise Broken(
                f"task {self.task_id} exists again after {self.gone} was answered with 404"
            )
        if self.deleting is not None and self.deleting < cycle:
            self.deleting = None

    def missing(self, verb: str) -> None:
        """An answer said that there is no such task."""
        if self.deleting is None:
            raise Broken(f"task {self.task_id} is lost")
        self.gone = self.gone or verb

    def line(self, line: bytes, cycle: int) -> dict[str, Any]:
        """A line that a stream brought, its newline included; the event in it."""
        event: dict[str, Any] = json.loads(line)
        before = self.lines.setdefault(event["seq"], line)
        if before != line:
            raise Broken(f"event {event['seq']} was {before!r} and is {line!r}")
        if event["event_type"] == "step_completed":
            self.completed.setdefault(event["data"]["step_id"], cycle)
        return event

    def said(self, view: View) -> None:
        """A task object that came as an answer."""
        if view["task_id"] != self.task_id or view["task_description"] != self.description:
            raise Broken(f"the answer for task {self.task_id} is of another: {view}")
        self.views.append(view)
        self.status = view["status"]

    def attempts_of(self, step_id: str) -> int:
        """How many attempts of a step its lines tell of."""
        events = [json.loads(line) for line in self.lines.values()]
        started = (e["data"] for e in events if e["event_type"] == "step_started")
        return sum(data["step_id"] == step_id for data in started)

    def check(self, log: bytes, last: int, cycle: int) -> None:
        """The whole log as it is now; event `last` was seen before it was requested."""
        lines = log.splitlines(keepends=True)
        if len(lines) < last:
            raise Broken(f"event {last} is lost, {self.lines[last]!r}, from the log {log!r}")
        self.status = check_log(lines, attempts=ATTEMPTS)
        events = [self.line(line, cycle) for line in lines]
        if events[0]["data"]["task_description"] != self.description:
            raise Broken(f"task {self.task_id} has become another")

    def check_said(self, log: bytes, views: Sequence[View], torn: Mapping[int, bytes]) -> None:
        """Compare other answers with the log; what agrees need not be kept."""
        lines = log.splitlines(keepends=True)
        events = [json.loads(line) for line in lines]
        for seq, start in torn.items():
            if seq > len(lines) or not lines[seq - 1].startswith(start):
                raise Broken(f"event {seq} began with {start!r}")
            self.torn.pop(seq, None)
        for view in views:
            _check_view(view, lines, events)
            if view in self.views:
                self.views.remove(view)


def _check_view(view: View, lines: Sequence[bytes], events: Sequence[Mapping[str, Any]]) -> None:
    """An answer said what the log said at that point."""
    last = view["last_seq"]
    if last > len(lines):
        raise Broken(f"the events up to {last} are lost, which an answer knew: {view}")
    so_far = events[:last]
    attempts: Counter[str] = Counter()
    completed = set()
    for event in so_far:
        step = event["data"].get("step_id")
        if event["event_type"] == "step_started":
            attempts[step] += 1
        elif event["event_type"] == "step_completed":
            completed.add(step)
    ending = so_far[-1]["data"] if so_far[-1]["event_type"] in ENDINGS else {}
    expected = {
        "status": check_log(lines[:last]),
        "run": max(1, sum(event["event_type"] == "task_queued" for event in so_far)),
        "updated_at": so_far[-1]["timestamp"],
        "created_at": events[0]["timestamp"],
        "final_output": ending.get("final_output"),
        "error": ending.get("error"),
    }
    found = {name: view[name] for name in expected}
    if found != expected:
        raise Broken(f"an answer said {found} where the log says {expected}")
    if Counter({s["step_id"]: s["attempts"] for s in view["steps"]}) != attempts:
        raise Broken(f"an answer counts other attempts than the log, {attempts}: {view}")
    if {s["step_id"] for s in view["steps"] if s["status"] == "completed"} != completed:
        raise Broken(f"an answer knows other completed steps than the log, {completed}: {view}")
    if view["status"] == "completed" and view["final_output"] != TEXT:
        raise Broken(f"the text is not what the writer wrote: {view['final_output']!r}")


@dataclass
class Facts:
    """All tasks; `intents` are descriptions whose creation was asked for, by their key if any.

    `unanswered`: descriptions of keyless tasks that may or may not exist. `effects` counts the calls
    of the plugin by "task_id/step_id".
    """

    tasks: dict[str, TaskFacts] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)
    unanswered: set[str] = field(default_factory=set)
    created: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    checked: int = 0
    checks: int = 0

    def exists(self, task_id: str, description: str, key: str | None) -> TaskFacts:
        """A creation was answered."""
        task = self.tasks.get(task_id)
        if task is None:
            task = self.tasks[task_id] = TaskFacts(task_id, description, key)
        if (task.description, task.key) != (description, key):
            raise Broken(f"{description!r} was given the id of {task.description!r}")
        self.unanswered.discard(description)
        return task

    def attempts_noted(self, keys: Sequence[str], cycle: int) -> None:
        """No agent of this cycle may have begun a step that was seen completed before it."""
        for noted in keys:
            key = noted.removesuffix("!")
            self.effects[key] += noted.endswith("!")
            task_id, _, step_id = key.partition("/")
            task = self.tasks.get(task_id)
            if task is not None and task.completed.get(step_id, cycle) < cycle:
                raise Broken(f"step {step_id} of task {task_id} was completed and began again")

    def check_effects(self, task: TaskFacts) -> None:
        """Each call of the plugin that was noted had its attempt in the log before."""
        for key, calls in self.effects.items():
            task_id, _, step_id = key.partition("/")
            if task_id == task.task_id and calls > (told := task.attempts_of(step_id)):
                raise Broken(f"step {key} was called {calls} times, and the log tells of {told}")
