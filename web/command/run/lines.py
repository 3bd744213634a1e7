"""A task told in plain lines, for logs and pipes.

Rule: progress goes to stderr and the report alone to stdout, each character of it once.
"""

from __future__ import annotations

from typing import Any

from web.command.run.view import RunView, StepView, kept
from web.command.terminal import one_line

QUIET = frozenset({"partial_output", "heartbeat", "task_created"})


def progress_line(event: dict[str, Any], view: RunView) -> str | None:
    """What to say of this event, once `view` has taken it in; none if it is not worth a line."""
    kind, data = event["event_type"], event.get("data") or {}
    if kind in QUIET:
        return None
    if kind == "stream_closing":
        return f"the server closes the stream: {data.get('reason')}"
    if step := view.steps.get(data.get("step_id", "")):
        return _step_line(kind, data, step)
    match kind:
        case "task_queued":
            return f"queued, {data['position']} before it" if data["position"] else None
        case "task_started":
            return f"started as task {view.task_id}"
        case "task_resumed":
            return f"goes on after a {data['reason']}; {len(data['kept_steps'])} steps kept"
        case "plan_created":
            return f"plan: {len(data['steps'])} steps"
        case _:
            return None


def _step_line(kind: str, data: dict[str, Any], step: StepView) -> str | None:
    name = one_line(f"{step.step_id} {step.step}: {step.description}", 100)
    match kind:
        case "step_started":
            return f"{name}" if data["attempt"] == 1 else f"{name} (attempt {data['attempt']})"
        case "step_completed":
            result = f", {told}" if (told := result_in_words(step)) else ""
            worse = f"; {one_line(step.notes[-1])}" if step.degraded else ""
            return f"{step.step_id} done in {step.duration_s or 0:.2f} s{result}{worse}"
        case "step_retrying" | "step_failed":
            return f"{step.step_id} {one_line(step.notes[-1])}"
        case _:
            return None


def result_in_words(step: StepView) -> str:
    """The countable part of a step's result: "4 passages, 2 documents"."""
    counts = [
        f"{value} {name.replace('_', ' ')}"
        for name, value in step.result.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    return ", ".join(counts)


def summary_line(view: RunView) -> str:
    """How it ended, in one line."""
    took = f" in {view.elapsed_s:.1f} s" if view.elapsed_s is not None else ""
    match view.state:
        case "completed":
            worse = " (degraded)" if view.degraded else ""
            return f"Completed{took}{worse}. Task {view.task_id}"
        case "failed":
            error = view.error or {"message": "unknown", "code": "unknown"}
            why = one_line(f"{error['message']} [{error['code']}]")
            return f"Failed{took}: {why} Kept: {kept(view)}. Task {view.task_id}"
        case "cancelled":
            reason = f" ({one_line(view.reason)})" if view.reason else ""
            return f"Cancelled{took}{reason}. Kept: {kept(view)}. Task {view.task_id}"
        case _:
            return f"The stream ended early ({view.closing or 'cut'}). Task {view.task_id}"


def going_on(view: RunView) -> str | None:
    """How to take up what did not complete; none if there is nothing to take up."""
    if view.state not in ("failed", "cancelled"):
        return None
    return f"To go on from there: POST /tasks/{view.task_id}/retry on a server (terzetto serve)."


class StreamedText:
    """Turns the text so far, which a new attempt may begin again, into pieces to print once.

    An attempt that repeats what was printed adds nothing until it has more. One that differs is
    printed whole, after a rule, because what is in a pipe cannot be taken back.
    """

    AGAIN = "\n\n---\n\n"

    def __init__(self) -> None:
        self._printed = ""

    def more(self, text: str) -> str:
        """What to print now that the text is `text`."""
        if self._printed.startswith(text):
            return ""
        if text.startswith(self._printed):
            piece = text[len(self._printed) :]
        else:
            piece = self.AGAIN + text
        self._printed = text
        return piece

    def last(self, text: str) -> str:
        """What to print when the text will not change any more: the rest, and a line's end."""
        piece = self.more(text)
        return piece if not (self._printed + piece) or text.endswith("\n") else piece + "\n"
