"""An analyzer that asks a language model for the questions of a plan.

Rule: the model proposes, and `assemble_plan` makes the plan, as it does without a model. The model
may repair its answer once. If it then has given no usable plan, the task is planned without it and
the plan says so. A tool call that is still wrong is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, assert_never

from actors.agents.model.passages import select_passages
from actors.agents.model.prompts import ToolCatalog, plan_prompt, repair_prompt, tool_catalog
from actors.agents.model.proposal import (
    ArgumentCheck,
    CheckedCalls,
    ProposedPlan,
    accept_questions,
    check_calls,
    plan_with_calls,
)
from actors.errors import ActorError, BudgetReached, InvalidPlan, ModelRejected, ModelUnavailable
from actors.messages import Analyze, Synthesize
from actors.models.fallback import fallback_failure
from actors.models.model import InvalidAnswer, Model, Prompt
from actors.runtime.call import Call
from actors.tasks.evidence import Findings
from actors.tasks.failure import Failure
from actors.tasks.plan import Plan
from actors.tasks.planning import assemble_plan
from actors.usage import NO_USAGE, Usage

log = logging.getLogger(__name__)

_UNUSABLE = "The model gave no usable plan, so the task was planned without it."
_NO_TOKENS = "No tokens are left for a language model, so the task was planned without it."
_NO_QUESTION = "It has no question with words that can be searched for."


@dataclass(frozen=True, slots=True)
class _PlanAnswer:
    """A model's answer: the plan made of it, if any, and what is wrong with it, if anything."""

    plan: Plan | None
    usage: Usage
    text: str
    wrong: str


class ModelAnalyzer:
    """Plans with a language model; chooses among the evidence as the analyzer without one does.

    `plan_without_model` plans a task without a model, and `synthesize` chooses the findings. Only
    with `check_arguments` may the model choose tools, and that checks the arguments it proposes.

    Failure mode: retried, as without a model. If the model cannot be reached or refuses, its error
    is raised; with `fallback_to_extractive` the task is planned without it at once.
    """

    name = "analyzer"
    does = "Asks a language model for the questions of a task, and chooses among the evidence."

    def __init__(
        self,
        model: Model,
        *,
        plan_without_model: Callable[[Analyze], Awaitable[Plan]],
        synthesize: Callable[[Synthesize], Awaitable[Findings]],
        fallback_to_extractive: bool = False,
        check_arguments: ArgumentCheck | None = None,
    ) -> None:
        self._model = model
        self._plan_without_model = plan_without_model
        self._synthesize = synthesize
        self._falls_back = fallback_to_extractive
        self._check_arguments = check_arguments

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`; both say what a model has used."""
        match request:
            case Analyze():
                return await self._plan(request)
            case Synthesize():
                findings = await self._synthesize(request)
                return replace(findings, passages=select_passages(findings, request))
            case _:
                assert_never(request)

    async def _plan(self, request: Analyze) -> Plan:
        tools = tool_catalog(request.tool_options if self._check_arguments else ())
        prompt = plan_prompt(request, tools)
        usage, plan = NO_USAGE, None
        why: ActorError = InvalidPlan(_UNUSABLE)
        for _ in range(2):
            left = request.tokens_left
            if left is not None and left <= usage.tokens:
                why = BudgetReached(_NO_TOKENS)
                break
            try:
                answer = await self._answer(request, prompt, tools)
            except (ModelUnavailable, ModelRejected) as error:
                why, usage = error, usage + error.usage
                if plan is None and not self._falls_back:
                    error.usage = usage
                    raise
                break
            usage += answer.usage
            plan = answer.plan or plan
            if not answer.wrong:
                break
            prompt = repair_prompt(request, tools, answer.text, answer.wrong)
        if plan is None:
            plan = replace(await self._plan_without_model(request), degraded=Failure.of(why))
        return replace(plan, usage=usage)

    async def _answer(self, request: Analyze, prompt: Prompt, tools: ToolCatalog) -> _PlanAnswer:
        """Ask once, and make a plan of the answer if there is one in it."""
        shape = plan_with_calls(tuple(tools.tool_options)) if tools else ProposedPlan
        try:
            answer = await self._model.structured(prompt, shape)
        except InvalidAnswer as invalid:
            return _PlanAnswer(None, invalid.usage, invalid.text, invalid.message)
        proposed, text = answer.value, answer.value.model_dump_json()
        accepted = accept_questions(proposed)
        if not accepted.questions:
            return _PlanAnswer(None, answer.usage, text, _NO_QUESTION)
        calls = CheckedCalls()
        if self._check_arguments:
            calls = await check_calls(proposed, accepted.places, tools, self._check_arguments)
        if calls.wrong:
            log.info("tool calls of a model that are left out of a plan: %s", " ".join(calls.wrong))
        made = assemble_plan(accepted.questions, request.tool_options, calls.choices)
        other = fallback_failure(self._model, answer.answered_by)
        plan = replace(made, degraded=other, by_model=True)
        return _PlanAnswer(plan, answer.usage, text, " ".join(calls.wrong))
