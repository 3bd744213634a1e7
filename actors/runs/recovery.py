"""Resume the tasks of a process that has ended, and charge its death to a step, if there is a cause.

Rule: who is charged is decided in `actors.runs.charges`; this module reads and records.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from actors.errors import TaskUnreadable
from actors.journal.journal import CommittedView, readable
from actors.runs.agents import Agents
from actors.runs.charges import (
    CHARGES,
    NO_CHARGES,
    Charges,
    after_end,
    charged,
    dump_charges,
    load_charges,
    running_steps,
)
from actors.runs.live_tasks import LiveTask, LiveTasks
from actors.runs.run import ResumeState
from actors.runs.steps import load_output
from actors.tasks import events as e
from actors.tasks.context import CONTEXT, load_context
from actors.tasks.life import Task

log = logging.getLogger(__name__)


async def stored_beside(view: CommittedView, task: Task) -> dict[str, bytes]:
    """What is stored beside the log of a task. Before the first start that is the context at most."""
    fresh = task.status == "queued" and task.run == 1 and task.context_task_id is None
    return {} if fresh else await view.outputs(task.task_id)


def resume_state(tasks: LiveTasks, live: LiveTask, stored: Mapping[str, bytes]) -> ResumeState:
    """What a run starts from, but its charges."""
    outputs = {
        key: load_output(step.step, stored[key])
        for key, step in live.task.steps.items()
        if step.status == "completed"
    }
    return ResumeState(
        outputs,
        context=load_context(stored.get(CONTEXT)),
        suspects_turn=tasks.suspects_turn,
        after_crash=live.last_end == "crash",
    )


def open_run(live: LiveTask, charges: Charges) -> None:
    """Record the first event of a run, or of its continuation, with the charges from then on."""
    live.charges = charges
    stored = None if charges == NO_CHARGES else dump_charges(live.task.run, charges)
    live.ledger.record(_opening(live.task), step_id=CHARGES, output=stored)


def _opening(task: Task) -> e.Event:
    kept = tuple(key for key, step in task.steps.items() if step.status == "completed")
    if task.status == "executing":
        return e.TaskResumed("restart", kept, task.run)
    return e.TaskStarted(1) if task.run == 1 else e.TaskResumed("retry", kept, task.run)


async def charge(lives: Sequence[LiveTask], tasks: LiveTasks, agents: Agents) -> None:
    """Charge the death of the last process, if it died, and resume its tasks in the log.

    All tasks are resumed at once, before any of them runs: a step that the log shows as running
    after the next death has run in this process.
    """
    before, running = [], []
    for live in lives:
        before.append(await _stored_charges(tasks.view, live.task))
        running += running_steps(live.task, before[-1], _with_effects(live.task, agents))
    cause = charged(running) if tasks.last_end == "crash" else None
    if cause is not None:
        log.warning("step %s of task %s is charged for the crash", cause.step_id, cause.task_id)
    for live, charges in zip(lives, before, strict=True):
        is_cause = cause is not None and cause.task_id == live.ledger.task_id
        step_id = cause.step_id if cause and is_cause else None
        open_run(live, after_end(charges, live.task, live.last_end, step_id))


async def _stored_charges(view: CommittedView, task: Task) -> Charges:
    try:
        stored = await stored_beside(view, task)
        with readable(task.task_id):
            return load_charges(stored.get(CHARGES), task.run)
    except TaskUnreadable:
        pass  # The run will read it again, and fail with it.
    return NO_CHARGES


def _with_effects(task: Task, agents: Agents) -> set[str]:
    """The steps of a task whose agents have effects outside."""
    found = {key: agents.address(step.agent_type) for key, step in task.steps.items()}
    return {key for key, agent in found.items() if agent and agent.has_effects}
