"""Who is charged one attempt when the process dies, so that a crash loop ends with its cause.

    suspects that ran   other steps with effects that ran   charged
    exactly one         any number                          the suspect
    none or several     exactly one                         the step with effects
    none or several     none or several                     nobody

A step with effects is one of a tool or a plugin: other people's code, the likeliest cause, whose
start is in the log before it is called. Every step that ran when the process died is a suspect from
then on, charged or not: its next attempt begins when no other suspect runs. So the next death says
more, and a built-in step is charged only for a death during which it was the only suspect.

At most one step is charged for one death. So deaths that no step causes (`kill -9`, a power failure)
end at most one task in as many deaths as a step has attempts.

Rule: pure. What must survive the process is one `Charges` for each task, stored beside its log with
the event that resumes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from actors.tasks.life import Task

LastEnd = Literal["crash", "shutdown", "storage"]
"""Why the work on a task stopped before it is resumed. Only a crash uses up an attempt."""

CHARGES = "forgiven"
"""Where `dump_charges` is stored, beside the outputs of the steps."""


@dataclass(frozen=True, slots=True)
class Charges:
    """Of one run: per step the interrupted attempts that are not charged, and its suspects.

    `suspects` holds the number of each suspect's attempt that a death interrupted. The step is a
    suspect in the attempt after that one, and no longer once that attempt has ended by itself.
    """

    uncharged: Mapping[str, int] = field(default_factory=dict)
    suspects: Mapping[str, int] = field(default_factory=dict)

    def is_suspect(self, step_id: str, attempt: int) -> bool:
        """Whether this attempt of the step is one of a suspect."""
        return self.suspects.get(step_id) == attempt - 1


NO_CHARGES = Charges()

_STORED: TypeAdapter[tuple[int, dict[str, int]] | tuple[int, dict[str, int], dict[str, int]]] = (
    TypeAdapter(tuple[int, dict[str, int]] | tuple[int, dict[str, int], dict[str, int]])
)


def dump_charges(run: int, charges: Charges) -> bytes:
    """The charges of a run as JSON, as they are stored beside the log."""
    return _STORED.dump_json((run, dict(charges.uncharged), dict(charges.suspects)))


def load_charges(body: bytes | None, run: int) -> Charges:
    """What `dump_charges` wrote for this run; none for another run, or if there is no body."""
    written, *stored = _STORED.validate_json(body) if body else (run,)
    return Charges(*stored) if written == run else NO_CHARGES


@dataclass(frozen=True, slots=True)
class RunningStep:
    """A step that ran when the process died."""

    task_id: str
    step_id: str
    has_effects: bool
    suspect: bool


def charged(running: Collection[RunningStep]) -> RunningStep | None:
    """The step that a death of the process is charged to; see the table above."""
    for causes in (
        [step for step in running if step.suspect],
        [step for step in running if step.has_effects and not step.suspect],
    ):
        if len(causes) == 1:
            return causes[0]
    return None


def running_steps(task: Task, charges: Charges, with_effects: Collection[str]) -> list[RunningStep]:
    """The steps of a task that ran when its process ended; `with_effects` holds ids of steps."""
    return [
        RunningStep(task.task_id, key, key in with_effects, charges.is_suspect(key, step.attempts))
        for key, step in task.steps.items()
        if task.status == "executing" and step.status == "running"
    ]


def after_end(
    charges: Charges, task: Task, last_end: LastEnd, charged_step: str | None = None
) -> Charges:
    """The charges of a task that is resumed after its process, or the work on it, has ended.

    `charged_step` is the step of this task that a crash is charged to, if one is.
    """
    uncharged, suspects = dict(charges.uncharged), dict(charges.suspects)
    for step in running_steps(task, charges, ()):
        key = step.step_id
        if last_end != "crash" or key != charged_step:
            uncharged[key] = uncharged.get(key, 0) + 1
        if last_end == "crash" or step.suspect:  # Else suspicion would end with an orderly stop.
            suspects[key] = task.steps[key].attempts
    return Charges(uncharged, suspects)
