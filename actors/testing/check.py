"""The invariants of a task's log, checked from its bytes alone.

    check_log(lines)       # "completed", or raises BrokenLog("event 12, step_started: ...")

Rule: it shares no table with `evolve`. It reads the JSON that clients read, and relies only on what
the HTTP API promises.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

from actors.testing.check_steps import Steps

Data = Mapping[str, Any]

NEXT: Mapping[str, Mapping[str, str]] = {
    "": {"task_created": "pending"},
    "pending": {"task_queued": "queued", "task_cancelled": "cancelled"},
    "queued": {
        "task_started": "executing",
        "task_resumed": "executing",
        "task_cancelled": "cancelled",
        "task_failed": "failed",
    },
    "executing": {
        "task_resumed": "executing",
        "step_started": "executing",
        "plan_created": "executing",
        "partial_output": "executing",
        "step_retrying": "executing",
        "step_completed": "executing",
        "step_failed": "executing",
        "task_completed": "completed",
        "task_failed": "failed",
        "task_cancelled": "cancelled",
    },
    "completed": {},
    "failed": {"task_queued": "queued"},
    "cancelled": {"task_queued": "queued"},
}
"""Which event may come next, and the task's status after it."""

SPLITTERS = ("\x85", "\u2028", "\u2029", "\r")
"""Characters that some readers take for the end of a line; no line may contain them."""


class BrokenLog(AssertionError):
    """A log breaks an invariant."""


def check_log(
    lines: bytes | Iterable[bytes],
    *,
    attempts: int | None = None,
    crashed: Container[int] | None = None,
) -> str:
    """The status of the task whose log this is, from its first event on; raises `BrokenLog`.

    `attempts`: how many a step has in one run; None: not checked. `crashed` holds the seqs of those
    `task_resumed` that followed a crash, which uses up an attempt; None: unknown.
    """
    if isinstance(lines, bytes):
        lines = lines.splitlines(keepends=True)
    reader = _Reader(attempts, crashed)
    for number, line in enumerate(lines, start=1):
        try:
            reader.take(number, line)
        except (AssertionError, KeyError, TypeError, ValueError) as broken:
            kind = type(broken).__name__ if not isinstance(broken, AssertionError) else ""
            raise BrokenLog(f"event {number}: {kind} {broken} in {line!r}") from broken
    return reader.status


class _Reader:
    """What has been read so far."""

    def __init__(self, attempts: int | None, crashed: Container[int] | None) -> None:
        self.status = ""
        self._task_id: str | None = None
        self._run = 0
        self._steps = Steps(attempts, exact=crashed is not None)
        self._crashed = crashed or ()
        self._seq = 0
        self._before = ""

    def take(self, number: int, line: bytes) -> None:
        text = line.decode()
        assert text.endswith("\n"), "a line without its end"
        assert not any(splitter in text for splitter in SPLITTERS), "a line that readers may split"
        event = json.loads(text)
        kind, data = event["event_type"], event["data"]
        assert event["seq"] == number, f"seq {event['seq']} in the place of {number}"
        self._seq = number
        self._task_id = self._task_id or event["task_id"]
        assert event["task_id"] == self._task_id, "an event of another task"
        assert kind in NEXT[self.status], f"{kind} on a task that is {self.status or 'not there'}"
        if self._before == "plan_created":
            assert kind == "step_completed", f"{kind} between the plan and its step's completion"
        if kind.startswith(("step_", "plan_", "partial_")):
            getattr(self._steps, kind)(data)
        else:
            getattr(self, f"_{kind}")(data)
        self.status, self._before = NEXT[self.status][kind], kind

    def _task_created(self, data: Data) -> None:
        assert data["task_description"].strip(), "a blank description"

    def _task_queued(self, data: Data) -> None:
        self._run += 1
        assert data["run"] == self._run, f"run {data['run']} in the place of {self._run}"
        assert data["position"] >= 0, "a position below 0"

    def _task_started(self, data: Data) -> None:
        assert data["run"] == self._run == 1, "only run 1 starts; later ones are resumed"

    def _task_resumed(self, data: Data) -> None:
        reason, kept = data["reason"], data["kept_steps"]
        assert data["run"] == self._run, f"run {data['run']} in the place of {self._run}"
        if reason == "restart":
            assert self.status == "executing", "a restart of what did not run"
            self._steps.interrupt(forgive=self._seq not in self._crashed)
        else:
            assert reason == "retry" and self.status == "queued" and self._run > 1, "a false retry"
            self._steps.new_run()
        assert kept == self._steps.completed, f"kept {kept}, completed {self._steps.completed}"

    def _task_completed(self, data: Data) -> None:
        steps = self._steps
        assert steps.plan and len(steps.completed) == len(steps.plan), "an unfinished step"
        assert data["total_steps"] == len(steps.plan), "a wrong number of steps"
        assert data["final_output"] == steps.text, "final_output is not its parts, joined"
        assert data["degraded"] == steps.degraded, "degraded is not what its steps say"
        numbers = [source["n"] for source in data["sources"]]
        assert numbers == list(range(1, len(numbers) + 1)), "sources out of order"

    def _task_failed(self, data: Data) -> None:
        self._check_partial(data)
        assert data["error"]["code"], "a failure without a code"
        if data["step_id"] is not None:
            assert self._steps.failed.get(data["step_id"]) == data["error"], "not its step's error"

    def _task_cancelled(self, data: Data) -> None:
        self._check_partial(data)

    def _check_partial(self, data: Data) -> None:
        kept = self._steps.text or self._steps.kept_text
        assert data["partial_output"] == kept, f"partial_output is not {kept!r}"
