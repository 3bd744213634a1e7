"""The kinds of steps: everything that a run knows of each.

    analysis     makes the plan                      fails the task
    retrieval    finds evidence on one question      degrades: the task goes on without the evidence
    synthesis    chooses what the report says        fails the task
    writing      writes the report, in parts         fails the task; its text is kept

Rule: `actors.runs.run` walks a plan and knows no agent and no kind of step by name. What is special
about a kind stands here, once. A kind streams if its request is a `StreamRequest`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from actors.errors import BudgetReached
from actors.messages import Analyze, CallTool, Retrieve, Synthesize, Write
from actors.runtime import Request
from actors.tasks.budget import Budget
from actors.tasks.context import NO_CONTEXT, Context
from actors.tasks.evidence import Evidence, Findings, Report
from actors.tasks.failure import Failure
from actors.tasks.life import Task
from actors.tasks.named_urls import urls_in
from actors.tasks.plan import ANALYSIS, MAX_STEPS, Plan, PlannedStep, Question, StepKind
from actors.tasks.tool_options import ToolOption
from actors.usage import Meter, Usage


@dataclass(frozen=True, slots=True)
class StepInput:
    """What an attempt of a step may use: the task as decided, and outputs of earlier steps by id.

    `kept_text` is the text of earlier attempts that this one continues; "" to start anew.
    `last_attempt`: if it fails, the step is not attempted again.
    """

    step: PlannedStep
    task: Task
    outputs: Mapping[str, Any]
    budget: Budget
    tool_options: Callable[[], Awaitable[Sequence[ToolOption]]]
    context: Context = NO_CONTEXT
    kept_text: str = ""
    meter: Meter = field(default_factory=Meter)
    last_attempt: bool = True

    @property
    def key(self) -> str:
        """The idempotency key of the step: the same for all its attempts."""
        return f"{self.task.task_id}/{self.step.step_id}"

    @property
    def plan(self) -> Plan:
        """The plan; exists for every step but the analysis."""
        plan: Plan = self.outputs[ANALYSIS.step_id]
        return plan

    @property
    def question(self) -> Question:
        """The question of a retrieval step."""
        return next(q for q in self.plan.questions if q.step_id == self.step.step_id)

    @property
    def tokens_left(self) -> int | None:
        """Tokens of language models that the step may use; None: any number."""
        most = self.budget.tokens
        return None if most is None else max(0, most - self.task.usage.tokens)


@dataclass(frozen=True, slots=True)
class StepContract:
    """One kind of step.

    `request` builds the request to the agent that the step's `agent_type` names. `accept` completes
    the agent's reply. `summary` is what `step_completed` shows of the output. `empty_output` replaces
    the output of a step that has failed for good; without it the step fails, and the task with it.
    """

    output: TypeAdapter[Any]
    request: Callable[[StepInput], Awaitable[Request[Any]]]
    summary: Callable[[Any, StepInput], dict[str, Any]]
    accept: Callable[[Any, StepInput], Any] = lambda output, given: output
    empty_output: Callable[[StepInput, Failure, Usage], Any] | None = None


# --- analysis -----------------------------------------------------------------------------------


async def _analyze(given: StepInput) -> Analyze:
    options = tuple(await given.tool_options())
    return Analyze(
        given.key,
        given.task.task_description,
        given.context.about,
        given.tokens_left,
        options,
        given.meter,
        given.last_attempt,
    )


def _within_budget(plan: Plan, given: StepInput) -> Plan:
    most = given.budget.steps or MAX_STEPS
    fitting = plan.within(most)
    if fitting is plan:
        return plan
    steps = f"The plan had {len(plan.steps)} steps, and the budget allows {most}"
    cut = BudgetReached(f"{steps}: its last questions were left out.")
    return replace(fitting, degraded=plan.degraded or Failure.of(cut))


def _plan_summary(plan: Plan, given: StepInput) -> dict[str, Any]:
    return {"questions": [question.text for question in plan.questions if not question.of]}


# --- retrieval ----------------------------------------------------------------------------------


async def _retrieve(given: StepInput) -> Retrieve | CallTool:
    """Search the library, or call the tool or plugin that the plan names."""
    question, description = given.question, given.task.task_description
    if not question.of:
        return Retrieve(given.key, question, urls_in(description), given.task.owner)
    name = given.step.agent_type
    return CallTool(given.key, name, question, question.arguments, description)


def _no_evidence(given: StepInput, failure: Failure, usage: Usage) -> Evidence:
    return Evidence(given.question, missed=(failure,), usage=usage)


def _evidence_summary(evidence: Evidence, given: StepInput) -> dict[str, Any]:
    titles = list(dict.fromkeys(passage.title for passage in evidence.passages))
    return {
        "question": evidence.question.text,
        "passages": len(evidence.passages),
        "documents": titles,
        "sample": evidence.sample,
    }


# --- synthesis ----------------------------------------------------------------------------------


async def _synthesize(given: StepInput) -> Synthesize:
    evidence = tuple(given.outputs[question.step_id] for question in given.plan.questions)
    description = given.task.task_description
    return Synthesize(given.key, description, given.plan, evidence, given.context.passages)


def _findings_summary(findings: Findings, given: StepInput) -> dict[str, Any]:
    count = sum(len(section.findings) for section in findings.sections)
    return {"findings": count, "sources": len(findings.sources)}


# --- writing ------------------------------------------------------------------------------------


async def _write(given: StepInput) -> Write:
    needed = (given.outputs[step_id] for step_id in given.step.depends_on)
    findings = next(output for output in needed if isinstance(output, Findings))
    return Write(
        given.key,
        given.task.task_description,
        given.plan,
        findings,
        given.kept_text,
        given.tokens_left,
        given.meter,
        given.last_attempt,
    )


def _report_summary(report: Report, given: StepInput) -> dict[str, Any]:
    figures = {"citations": asdict(report.citations)} if report.citations else {}
    return {"characters": len(given.task.text), "sources": len(report.sources), **figures}


CONTRACTS: Mapping[StepKind, StepContract] = {
    "analysis": StepContract(TypeAdapter(Plan), _analyze, _plan_summary, accept=_within_budget),
    "retrieval": StepContract(
        TypeAdapter(Evidence), _retrieve, _evidence_summary, empty_output=_no_evidence
    ),
    "synthesis": StepContract(TypeAdapter(Findings), _synthesize, _findings_summary),
    "writing": StepContract(TypeAdapter(Report), _write, _report_summary),
}
"""Every kind of step by its name in events."""


def dump_output(kind: StepKind, output: Any) -> bytes:
    """The output of a step as JSON, as it is stored beside the log."""
    return CONTRACTS[kind].output.dump_json(output)


def load_output(kind: StepKind, body: bytes) -> Any:
    """What `dump_output` wrote, in this release or an earlier one."""
    return CONTRACTS[kind].output.validate_json(body)
