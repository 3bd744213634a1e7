"""One run of a task as a story: the plan, its steps in the order of their needs, the ending.

    analysis -> retrieval, one per question, side by side -> synthesis -> writing -> ending

Rule: a run only decides, through its ledger, which has it committed meanwhile. A run that is
cancelled leaves no ending: whoever cancelled it says what that means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from graphlib import TopologicalSorter
from random import Random
from typing import Any, assert_never

import trio

from actors.clock import Now
from actors.errors import (
    ActorError,
    ActorStopped,
    BudgetReached,
    DeadlineExceeded,
    Interrupted,
    InvalidRequest,
    OutputTooLarge,
)
from actors.journal.ledger import Ledger
from actors.messages import Analyze, CallTool, Retrieve, Synthesize, Write
from actors.runs.agents import Agents
from actors.runtime import Backoff
from actors.tasks import events as e
from actors.tasks.budget import Budget
from actors.tasks.context import NO_CONTEXT, Context
from actors.tasks.evidence import Evidence, Findings, Report
from actors.tasks.failure import Failure
from actors.tasks.life import Step
from actors.tasks.limits import MAX_OUTPUT_BYTES
from actors.tasks.named_urls import urls_in
from actors.tasks.outputs import dump_output
from actors.tasks.plan import ANALYSIS, MAX_STEPS, Plan, PlannedStep, Question
from actors.usage import Meter


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run, and what it needs of the world."""

    backoff: Backoff
    step_timeout_s: float
    max_task_s: float
    budget: Budget
    now: Now
    rng: Random


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run goes on from: the outputs of finished steps, and how many attempts of a step do not
    count. `context` comes from the task that it follows up."""

    outputs: Mapping[str, Any]
    forgiven: Mapping[str, int]
    context: Context = NO_CONTEXT


MOST_RETRY_AFTER_S = 60.0
"""Longer than this nobody is waited for, whatever they say."""


class StepGaveUp(Exception):
    """A step has failed for good, and its failure is the task's."""

    def __init__(self, step_id: str, failure: Failure) -> None:
        super().__init__(step_id, failure)
        self.step_id = step_id
        self.failure = failure


class Pipeline:
    """One run. `retries` counts the attempts after the first, for each actor; `stopped` is told
    what attempts have used that were stopped in their middle, as there is no event to tell it."""

    def __init__(
        self,
        ledger: Ledger,
        agents: Agents,
        limits: Limits,
        kept: Kept,
        retries: Counter[str],
        stopped: Meter,
    ) -> None:
        self._ledger = ledger
        self._agents = agents
        self._limits = limits
        self._outputs = dict(kept.outputs)
        self._kept = kept
        self._retries = retries
        self._stopped = stopped

    async def run(self) -> None:
        """Take the task from where it is to `task_completed` or `task_failed`."""
        task = self._ledger.task
        failure: tuple[Failure, str | None] | None = None
        with trio.CancelScope(deadline=self._deadline()) as deadline:
            try:
                await trio.lowlevel.checkpoint()  # A deadline that has passed stops us here.
                plan: Plan = await self._play(ANALYSIS)
                await self._walk(plan)
            except* StepGaveUp as gave_up:
                first = _first(gave_up)
                failure = first.failure, first.step_id
        if deadline.cancelled_caught and failure is None:
            limit = task.deadline_s or self._limits.max_task_s
            failure = Failure.of(DeadlineExceeded(f"The task took longer than {limit:g} s.")), None
        self._end(failure)

    def _deadline(self) -> float:
        """The end of this run on Trio's clock; time when the server was down counts."""
        task = self._ledger.task
        assert task.run_started_at is not None
        started = datetime.fromisoformat(task.run_started_at)
        gone = (self._limits.now() - started).total_seconds()
        return trio.current_time() + (task.deadline_s or self._limits.max_task_s) - gone

    def _end(self, failure: tuple[Failure, str | None] | None) -> None:
        task = self._ledger.task
        if failure is None:
            report: Report = self._outputs[list(task.steps)[-1]]
            done = e.TaskCompleted(
                task.text,
                len(task.steps),
                task.degraded,
                report.sources,
                task.usage or None,
                asdict(report.citations) if report.citations else None,
            )
            try:
                self._ledger.record(done)
                return
            except OutputTooLarge as error:
                failure = Failure.of(error), None
        used = task.usage + self._stopped.usage
        self._ledger.record(e.TaskFailed(*failure, task.partial_output, used or None))

    # --- steps ------------------------------------------------------------------------------

    async def _walk(self, plan: Plan) -> None:
        """Play each step as soon as all that it depends on are done."""
        order = TopologicalSorter({step.step_id: step.depends_on for step in plan.steps})
        order.prepare()
        async with trio.open_nursery() as nursery:
            self._start_ready(plan, order, nursery)

    # Not closures of `_walk`: two that call each other hold the whole run until the garbage
    # collector finds them, and a thousand such runs stop the loop for a tenth of a second.

    def _start_ready(
        self, plan: Plan, order: TopologicalSorter[str], nursery: trio.Nursery
    ) -> None:
        ready = order.get_ready()
        for step in plan.steps:
            if step.step_id in ready:
                nursery.start_soon(self._play_and_go_on, step, plan, order, nursery)

    async def _play_and_go_on(
        self, step: PlannedStep, plan: Plan, order: TopologicalSorter[str], nursery: trio.Nursery
    ) -> None:
        await self._play(step, plan)
        order.done(step.step_id)
        self._start_ready(plan, order, nursery)

    async def _play(self, step: PlannedStep, plan: Plan | None = None) -> Any:
        """Attempt a step until it succeeds or gives up, and return its output."""
        if step.step_id in self._outputs:
            return self._outputs[step.step_id]
        output = await self._attempts(step, plan)
        self._outputs[step.step_id] = output
        return output

    async def _attempts(self, step: PlannedStep, plan: Plan | None) -> Any:
        state = self._state(step)
        if state and state.status == "failed" and state.error:
            raise StepGaveUp(step.step_id, state.error)  # A crash came before the run's ending.
        backoff = self._backoff(step)
        if self._tries(step) >= backoff.attempts:
            gone = Interrupted("The server went down during the last attempt that was left.")
            return await self._gave_up(step, gone, 0.0)
        while True:
            attempt = self._attempt_of(step) + 1
            kept = self._kept_text(step)
            await self._record(
                e.StepStarted(
                    step.step_id,
                    step.step,
                    step_number=self._number(step),
                    total_steps=len(plan.steps) if plan else None,
                    agent_type=step.agent_type,
                    description=step.description,
                    attempt=attempt,
                    continues=bool(kept),
                )
            )
            started, meter = trio.current_time(), Meter()
            try:
                output = await self._work(step, attempt, kept, meter)
            except (ActorStopped, trio.Cancelled):
                self._stopped.add(meter.usage)
                raise
            except ActorError as error:
                if error is self._ledger.failed:
                    raise
                error.usage = error.usage or meter.usage  # Whoever is stopped cannot tell.
                delay = backoff.delay_s(self._tries(step), self._limits.rng)
                if delay is None or not error.retryable:
                    return await self._gave_up(step, error, trio.current_time() - started)
                delay = max(delay, min(error.retry_after_s or 0.0, MOST_RETRY_AFTER_S))
                await self._retry_after(step, attempt, delay, error)
            else:
                await self._completed(step, output, trio.current_time() - started)
                return output

    async def _retry_after(
        self, step: PlannedStep, attempt: int, delay_s: float, error: ActorError
    ) -> None:
        failure = Failure.of(error)
        tool_option = self._agents.consulted(step.agent_type)
        self._retries[tool_option.ref.name if tool_option else step.agent_type] += 1
        await self._record(
            e.StepRetrying(
                step.step_id,
                step.step,
                attempt,
                attempt + 1,
                delay_s,
                failure,
                error.usage or None,
            )
        )
        await trio.sleep(delay_s)

    async def _gave_up(self, step: PlannedStep, error: ActorError, duration_s: float) -> Any:
        """The agent's failure mode: without the library the task goes on, without a plan it ends."""
        failure = Failure.of(error)
        tool_option = self._agents.consulted(step.agent_type)
        if step.step == "retrieval" and not (tool_option and tool_option.must_succeed):
            empty = Evidence(self._question(step), missed=(failure,), usage=error.usage)
            await self._completed(step, empty, duration_s)
            return empty
        attempts, usage = self._attempt_of(step), error.usage or None
        await self._record(e.StepFailed(step.step_id, step.step, attempts, failure, usage))
        raise StepGaveUp(step.step_id, failure)

    async def _completed(self, step: PlannedStep, output: Any, duration_s: float) -> None:
        await self._ledger.room()
        self._ledger.record(
            *([e.PlanCreated(output.steps)] if isinstance(output, Plan) else []),
            e.StepCompleted(
                step.step_id,
                step.step,
                attempt=self._attempt_of(step),
                duration_s=round(duration_s, 6),
                degraded=output.degraded is not None,
                error=output.degraded,
                result=summary(output, len(self._ledger.task.text)),
                usage=output.usage or None,
            ),
            step_id=step.step_id,
            output=dump_output(step.step, output),
        )

    async def _work(self, step: PlannedStep, attempt: int, kept: str, meter: Meter) -> Any:
        """One attempt: ask the agent whose step it is."""
        task = self._ledger.task
        key, limit = f"{task.task_id}/{step.step_id}", self._limits.step_timeout_s
        about, left = task.task_description, self._tokens_left()
        match step.step:
            case "analysis":
                tool_options = await self._agents.tool_options()
                analyze = Analyze(key, about, self._kept.context.about, left, tool_options, meter)
                plan = await self._agents.analyzer.ask(analyze, handler_s=limit)
                return self._within_budget(plan)
            case "retrieval":
                return await self._retrieve(step, key)
            case "synthesis":
                needs = tuple(self._outputs[q.step_id] for q in self._plan().questions)
                request = Synthesize(key, about, self._plan(), needs, self._kept.context.passages)
                return await self._agents.analyzer.ask(request, handler_s=limit)
            case "writing":
                (findings,) = (self._outputs[need] for need in step.depends_on)
                write = Write(key, about, self._plan(), findings, kept, left, meter)
                return await self._write(step, write, attempt)
            case _:
                assert_never(step.step)

    async def _retrieve(self, step: PlannedStep, key: str) -> Evidence:
        """Ask the library, or whoever else the plan names."""
        question, limit = self._question(step), self._limits.step_timeout_s
        if not question.of:
            urls = urls_in(self._ledger.task.task_description)
            retrieve = Retrieve(key, question, urls)
            return await self._agents.retriever.ask(retrieve, handler_s=limit)
        tool_option = self._agents.consulted(step.agent_type)
        if tool_option is None:
            raise InvalidRequest(f"There is no agent or tool {step.agent_type} any more.")
        about = self._ledger.task.task_description
        consult = CallTool(key, step.agent_type, question, question.arguments, about)
        return await tool_option.ref.ask(consult, handler_s=limit)

    async def _write(self, step: PlannedStep, request: Write, attempt: int) -> Report:
        size = len(e.encode_line({"": request.kept})) if request.kept else 0
        limit = self._budget().output_bytes or MAX_OUTPUT_BYTES
        on = bool(request.kept)
        writer = self._agents.writer.stream(request, handler_s=self._limits.step_timeout_s)
        async with writer as parts:
            async for part in parts:
                text = part.encode(errors="replace").decode()  # Lone surrogates have no UTF-8.
                size += len(e.encode_line({"": text}))  # As the ending will hold it.
                if size > limit:
                    raise OutputTooLarge(f"The text is longer than {limit:,} bytes.")
                if text:
                    await self._record(e.PartialOutput(step.step_id, step.step, attempt, text, on))
            return parts.result

    # --- budget -----------------------------------------------------------------------------

    def _budget(self) -> Budget:
        return self._ledger.task.budget.within(self._limits.budget)

    def _tokens_left(self) -> int | None:
        most = self._budget().tokens
        return None if most is None else max(0, most - self._ledger.task.usage.tokens)

    def _within_budget(self, plan: Plan) -> Plan:
        most = self._budget().steps or MAX_STEPS
        fitting = plan.within(most)
        if fitting is plan:
            return plan
        steps = f"The plan had {len(plan.steps)} steps, and the budget allows {most}"
        cut = BudgetReached(f"{steps}: its last questions were left out.")
        return replace(fitting, degraded=plan.degraded or Failure.of(cut))

    # --- small words ------------------------------------------------------------------------

    async def _record(self, event: e.Event) -> None:
        await self._ledger.room()
        self._ledger.record(event)

    def _kept_text(self, step: PlannedStep) -> str:
        """The text that an attempt to write goes on with."""
        if step.step != "writing" or not self._agents.writer_continues:
            return ""
        return self._ledger.task.text or self._ledger.task.kept_text or ""

    def _question(self, step: PlannedStep) -> Question:
        return next(q for q in self._plan().questions if q.step_id == step.step_id)

    def _backoff(self, step: PlannedStep) -> Backoff:
        tool_option = self._agents.consulted(step.agent_type)
        return (tool_option and tool_option.backoff) or self._limits.backoff

    def _plan(self) -> Plan:
        plan: Plan = self._outputs[ANALYSIS.step_id]
        return plan

    def _state(self, step: PlannedStep) -> Step | None:
        return self._ledger.task.steps.get(step.step_id)

    def _attempt_of(self, step: PlannedStep) -> int:
        state = self._state(step)
        return state.attempts if state else 0

    def _tries(self, step: PlannedStep) -> int:
        state = self._state(step)
        return state.tries - self._kept.forgiven.get(step.step_id, 0) if state else 0

    def _number(self, step: PlannedStep) -> int:
        steps = list(self._ledger.task.steps)
        return steps.index(step.step_id) + 1 if step.step_id in steps else 1


def _first(group: BaseExceptionGroup[StepGaveUp]) -> StepGaveUp:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def summary(output: Any, characters: int) -> dict[str, Any]:
    """What `step_completed` tells people of a step's output."""
    match output:
        case Plan():
            questions = [question.text for question in output.questions if not question.of]
            return {"questions": questions, "intents": list(output.intents)}
        case Evidence():
            titles = list(dict.fromkeys(passage.title for passage in output.passages))
            found = {"passages": len(output.passages), "documents": titles}
            return {"question": output.question.text, **found, "sample": output.sample}
        case Findings():
            count = len(output.answer) + sum(len(s.findings) for s in output.sections)
            return {"findings": count, "sources": len(output.sources)}
        case Report():
            figures = {"citations": asdict(output.citations)} if output.citations else {}
            return {"characters": characters, "sources": len(output.sources), **figures}
        case _:
            raise AssertionError(f"no summary of {type(output).__name__}")
