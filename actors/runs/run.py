"""One run of a task as a story: the plan, its steps in the order of their dependencies, the ending.

    first step: the plan -> the other steps, side by side as far as they can -> ending

Rule: a run only decides, through its ledger, which commits in the background. A cancelled run leaves
no ending: the supervisor writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import trio

from actors.clock import Now
from actors.errors import (
    ActorError,
    ActorStopped,
    DeadlineExceeded,
    Interrupted,
    InvalidRequest,
    OutputTooLarge,
    leaf_errors,
)
from actors.journal.ledger import Ledger
from actors.runs.agents import AgentAddress, Agents
from actors.runs.charges import NO_CHARGES, Charges
from actors.runs.steps import CONTRACTS, StepInput, dump_output
from actors.runtime import Backoff, StreamRequest
from actors.tasks import events as e
from actors.tasks.budget import Budget
from actors.tasks.context import NO_CONTEXT, Context
from actors.tasks.evidence import Report
from actors.tasks.failure import Failure
from actors.tasks.life import Step
from actors.tasks.limits import MAX_OUTPUT_BYTES
from actors.tasks.plan import ANALYSIS, Plan, PlannedStep
from actors.usage import Meter


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Limits of every run, its clock and its source of chance."""

    backoff: Backoff
    step_timeout_s: float
    max_task_s: float
    budget: Budget
    now: Now
    rng: Random


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What a run starts from: outputs of finished steps by step id, and the charges of its steps.

    `context` comes from the task that this one follows up. A suspect holds `suspects_turn` during its
    attempt. `after_crash`: the process died before, so that each start of a step is made durable.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    charges: Charges = NO_CHARGES
    context: Context = NO_CONTEXT
    suspects_turn: trio.Lock = field(default_factory=trio.Lock)
    after_crash: bool = False


MAX_RETRY_AFTER_S = 60.0
"""The longest wait that a failed agent may ask for."""


class StepGaveUp(Exception):
    """A step has failed for good, and the task fails with it."""

    def __init__(self, step_id: str, failure: Failure) -> None:
        super().__init__(step_id, failure)
        self.step_id = step_id
        self.failure = failure


class Run:
    """One run.

    `retries` counts, per actor, attempts after the first. `stopped` adds up what attempts used that
    were stopped midway, since no event of theirs says it.
    """

    def __init__(
        self,
        ledger: Ledger,
        agents: Agents,
        limits: RunLimits,
        resume: ResumeState,
        retries: Counter[str],
        stopped: Meter,
    ) -> None:
        self._ledger = ledger
        self._agents = agents
        self._limits = limits
        self._budget = ledger.task.budget.within(limits.budget)
        self._outputs = dict(resume.outputs)
        self._resume = resume
        self._retries = retries
        self._stopped = stopped
        self._begun: list[str] = []  # Sets take 500 bytes more.
        self._done: list[str] = []
        self._working = 0
        self._waits = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Take the task from where it is to `task_completed` or `task_failed`."""
        task = self._ledger.task
        failure: tuple[Failure, str | None] | None = None
        with trio.CancelScope(deadline=self._deadline()) as deadline:
            try:
                if trio.current_time() >= deadline.deadline:
                    await trio.lowlevel.checkpoint()  # It ends here.
                plan: Plan = await self._do(ANALYSIS)
                await self._walk(plan)
            except* StepGaveUp as gave_up:
                first = leaf_errors(gave_up)[0]
                assert isinstance(first, StepGaveUp)
                failure = first.failure, first.step_id
        if deadline.cancelled_caught and failure is None:
            limit = task.deadline_s or self._limits.max_task_s
            failure = Failure.of(DeadlineExceeded(f"The task took longer than {limit:g} s.")), None
        self._end(failure)

    def _deadline(self) -> float:
        """The end of this run on Trio's clock. Time when the server was down counts."""
        task = self._ledger.task
        assert task.run_started_at is not None
        started = datetime.fromisoformat(task.run_started_at)
        # A clock that was set back gives the task no time that it has used.
        latest = max(self._limits.now(), datetime.fromisoformat(task.updated_at))
        elapsed_s = (latest - started).total_seconds()
        return trio.current_time() + (task.deadline_s or self._limits.max_task_s) - elapsed_s

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

    # --- the steps of a plan ----------------------------------------------------------------

    async def _walk(self, plan: Plan) -> None:
        """Do each step as soon as all that it depends on are done.

        This task does what it can itself, and has a nursery only while steps run side by side: what
        waits for a model for minutes then costs no other task.
        """
        while ready := self._ready(plan):
            if len(ready) == 1:
                await self._do_here(ready, plan)
                continue
            async with trio.open_nursery() as nursery:
                await self._go_on(plan, nursery)
                while self._working:
                    await self._waits.park()
                    await self._go_on(plan, nursery)

    # Not a closure of `_walk`: one that refers to itself keeps the whole run alive until the garbage
    # collector finds it, and a thousand such runs stop the loop for a tenth of a second.

    async def _go_on(self, plan: Plan, nursery: trio.Nursery) -> None:
        """Do what is ready, one step here and the others beside it, until it is one step alone."""
        while (ready := self._ready(plan)) and (self._working or len(ready) > 1):
            for step in ready[1:]:
                nursery.start_soon(self._do_beside, step, plan, nursery)
            await self._do_here(ready, plan)

    async def _do_here(self, ready: list[PlannedStep], plan: Plan) -> None:
        """Do the first of these steps, all of which begin now."""
        self._begun += [step.step_id for step in ready]
        self._working += len(ready)
        await self._do(ready[0], len(plan.steps))
        self._ended(ready[0])

    async def _do_beside(self, step: PlannedStep, plan: Plan, nursery: trio.Nursery) -> None:
        """Do a step; then `_walk` goes on, or this task does, if that one is at work."""
        await self._do(step, len(plan.steps))
        self._ended(step)
        if not self._waits.unpark():
            await self._go_on(plan, nursery)
            self._waits.unpark()  # Perhaps all is done now.

    def _ended(self, step: PlannedStep) -> None:
        self._done.append(step.step_id)
        self._working -= 1

    def _ready(self, plan: Plan) -> list[PlannedStep]:
        """The steps that have not begun, though all that they depend on are done."""
        left = (step for step in plan.steps if step.step_id not in self._begun)
        return [step for step in left if set(step.depends_on) <= set(self._done)]

    async def _do(self, step: PlannedStep, total_steps: int | None = None) -> Any:
        """Attempt a step until it succeeds or gives up, and return its output."""
        if step.step_id not in self._outputs:
            self._outputs[step.step_id] = await self._attempts(step, total_steps)
        return self._outputs[step.step_id]

    # --- the attempts of a step -------------------------------------------------------------

    async def _attempts(self, step: PlannedStep, total_steps: int | None) -> Any:
        state = self._state(step)
        if state and state.status == "failed" and state.error:
            raise StepGaveUp(step.step_id, state.error)  # A crash came before the run's ending.
        backoff = self._backoff(step)
        if self._tries(step) >= backoff.attempts:
            error = Interrupted("The server went down during the last attempt that was left.")
            return await self._gave_up(step, error, 0.0)
        while True:
            async with self._turn(step):
                output, delay_s = await self._attempt(step, total_steps)
            if delay_s is None:
                return output
            await trio.sleep(delay_s)

    async def _attempt(
        self, step: PlannedStep, total_steps: int | None
    ) -> tuple[Any, float | None]:
        """One attempt: the output of the step, or the seconds to wait before the next attempt."""
        attempt = self._attempt_of(step) + 1
        given = self._input(step)
        await self._record_start(step, attempt, total_steps, continues=bool(given.kept_text))
        started = trio.current_time()
        try:
            output = await self._work(given, attempt)
        except (ActorStopped, trio.Cancelled):
            self._stopped.add(given.meter.usage)
            raise
        except ActorError as error:
            if error is self._ledger.failed:
                raise
            error.usage = error.usage or given.meter.usage  # A stopped agent cannot report it.
            delay_s = self._backoff(step).delay_s(self._tries(step), self._limits.rng)
            if delay_s is None or not error.retryable:
                return await self._gave_up(step, error, trio.current_time() - started), None
            delay_s = max(delay_s, min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
            await self._record_retry(step, attempt, delay_s, error)
            return None, delay_s
        await self._completed(step, output, trio.current_time() - started)
        return output, None

    def _turn(self, step: PlannedStep) -> AbstractAsyncContextManager[None]:
        """Entered when an attempt of the step may begin; left when it has ended."""
        return self._suspects_turn() if self._is_suspect(step) else nullcontext()

    def _is_suspect(self, step: PlannedStep) -> bool:
        return self._resume.charges.is_suspect(step.step_id, self._attempt_of(step) + 1)

    @asynccontextmanager
    async def _suspects_turn(self) -> AsyncIterator[None]:
        async with self._resume.suspects_turn:
            try:
                yield
            finally:  # Until the log says that this one has ended, the next one would be confused with it.
                with suppress(ActorError):
                    await self._ledger.flush()

    async def _work(self, given: StepInput, attempt: int) -> Any:
        """One attempt: ask the agent that the step names."""
        step, contract = given.step, CONTRACTS[given.step.step]
        agent = self._agents.address(step.agent_type)
        if agent is None:
            raise InvalidRequest(f"There is no agent or tool {step.agent_type} any more.")
        request = await contract.request(given)
        if isinstance(request, StreamRequest):
            output = await self._stream(agent, request, given, attempt)
        else:
            output = await agent.ref.ask(request, handler_s=self._limits.step_timeout_s)
        return contract.accept(output, given)

    async def _stream(
        self, agent: AgentAddress, request: StreamRequest[str, Any], given: StepInput, attempt: int
    ) -> Any:
        """Record the parts of the answer as they come, within the limit of the task's text."""
        size = len(e.encode_line({"": given.kept_text})) if given.kept_text else 0
        async with agent.ref.stream(request, handler_s=self._limits.step_timeout_s) as parts:
            while batch := await parts.batch():
                size = await self._record_parts(batch, given, attempt, size)
                del batch  # A writer that thinks costs no memory.
            return parts.result

    async def _record_parts(
        self, parts: Sequence[str], given: StepInput, attempt: int, size: int
    ) -> int:
        """Record parts of a text that had `size` bytes before; its size after them."""
        step, continues = given.step, bool(given.kept_text)
        limit = given.budget.output_bytes or MAX_OUTPUT_BYTES
        written: list[e.Event] = []
        for part in parts:
            text = part.encode(errors="replace").decode()  # UTF-8 has no lone surrogates.
            size += len(e.encode_line({"": text}))  # As the ending will hold it.
            if text and size <= limit:
                written.append(e.PartialOutput(step.step_id, step.step, attempt, text, continues))
        if written:
            await self._record(*written)
        if size > limit:
            raise OutputTooLarge(f"The text is longer than {limit:,} bytes.")
        return size

    async def _record_retry(
        self, step: PlannedStep, attempt: int, delay_s: float, error: ActorError
    ) -> None:
        agent = self._agents.address(step.agent_type)
        self._retries[agent.ref.name if agent else step.agent_type] += 1
        await self._record(
            e.StepRetrying(
                step.step_id,
                step.step,
                attempt,
                attempt + 1,
                delay_s,
                Failure.of(error),
                error.usage or None,
            )
        )

    async def _gave_up(self, step: PlannedStep, error: ActorError, duration_s: float) -> Any:
        """The failure mode of the step: go on with an empty output, or fail the task."""
        failure = Failure.of(error)
        empty_output = CONTRACTS[step.step].empty_output
        agent = self._agents.address(step.agent_type)
        if empty_output and not (agent and agent.must_succeed):
            output = empty_output(self._input(step), failure, error.usage)
            await self._completed(step, output, duration_s)
            return output
        attempts, usage = self._attempt_of(step), error.usage or None
        await self._record(e.StepFailed(step.step_id, step.step, attempts, failure, usage))
        raise StepGaveUp(step.step_id, failure)

    # --- what is recorded -------------------------------------------------------------------

    async def _record(self, *events: e.Event) -> None:
        await self._ledger.room()
        self._ledger.record(*events)

    async def _record_start(
        self, step: PlannedStep, attempt: int, total_steps: int | None, *, continues: bool
    ) -> None:
        """Record the start of an attempt; durably, if a death during it may be charged to it."""
        agent = self._agents.address(step.agent_type)
        has_effects = agent is not None and agent.has_effects
        durable = has_effects or self._resume.after_crash or self._is_suspect(step)
        await self._record(
            e.StepStarted(
                step.step_id,
                step.step,
                step_number=self._number(step),
                total_steps=total_steps,
                agent_type=step.agent_type,
                description=step.description,
                attempt=attempt,
                continues=continues,
            )
        )
        if durable:
            await self._ledger.flush()

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
                result=CONTRACTS[step.step].summary(output, self._input(step)),
                usage=output.usage or None,
            ),
            step_id=step.step_id,
            output=dump_output(step.step, output),
        )

    # --- where a step stands ----------------------------------------------------------------

    def _input(self, step: PlannedStep) -> StepInput:
        task, agent = self._ledger.task, self._agents.address(step.agent_type)
        kept = (task.text or task.kept_text or "") if agent and agent.continues else ""
        return StepInput(
            step,
            task,
            self._outputs,
            self._budget,
            self._agents.tool_options,
            self._resume.context,
            kept,
            Meter(),
            self._tries(step) + 1 >= self._backoff(step).attempts,
        )

    def _backoff(self, step: PlannedStep) -> Backoff:
        agent = self._agents.address(step.agent_type)
        return (agent and agent.backoff) or self._limits.backoff

    def _state(self, step: PlannedStep) -> Step | None:
        return self._ledger.task.steps.get(step.step_id)

    def _attempt_of(self, step: PlannedStep) -> int:
        state = self._state(step)
        return state.attempts if state else 0

    def _tries(self, step: PlannedStep) -> int:
        """Attempts in this run that are charged to the step."""
        state = self._state(step)
        return state.tries - self._resume.charges.uncharged.get(step.step_id, 0) if state else 0

    def _number(self, step: PlannedStep) -> int:
        steps = list(self._ledger.task.steps)
        return steps.index(step.step_id) + 1 if step.step_id in steps else 1
