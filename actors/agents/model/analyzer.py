"""An analyzer that asks a language model for the questions of a plan.

Rule: the model proposes, and `assemble_plan` makes the plan, as it does without a model. The person's
own task is the first question of every plan, so that it is always searched. The model may repair its answer once. If it then has given no usable plan, the task is planned without it and
the plan says so. A tool call that is still wrong is left out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, assert_never

import trio

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
from actors.models.fallback import fallback_failure, worth_another_try
from actors.models.model import InvalidAnswer, Model, ModelTooSlow, Prompt
from actors.runtime.call import Call
from actors.tasks.evidence import Findings
from actors.tasks.failure import Failure
from actors.tasks.plan import Plan
from actors.tasks.planning import QuestionDraft, assemble_plan
from actors.usage import NO_USAGE

log = logging.getLogger(__name__)

_UNUSABLE = "The model gave no usable plan, so the task was planned without it."
_NO_TOKENS = "No tokens are left for a language model, so the task was planned without it."
_NO_QUESTION = "It has no question with words that can be searched for."


class ModelAnalyzer:
    """Plans with a language model; chooses among the evidence as the analyzer without one does.

    `plan_without_model` plans a task without a model, and `synthesize` chooses the findings. Only
    with `check_arguments` may the model choose tools, and that checks the arguments it proposes.

    Failure mode: retried, as without a model. With `fallback_to_extractive` the task is planned
    without the model if another try is not worth it, or if it takes longer than `max_s`.
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
        max_s: float = math.inf,
        check_arguments: ArgumentCheck | None = None,
    ) -> None:
        self._model = model
        self._plan_without_model = plan_without_model
        self._synthesize = synthesize
        self._falls_back = fallback_to_extractive
        self._max_s = max_s if fallback_to_extractive else math.inf
        self._check_arguments = check_arguments

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`; both say what a model has used."""
        match request:
            case Analyze():
                return await self._plan(request)
            case Synthesize():
                return await self._synthesize(request)
            case _:
                assert_never(request)

    async def _plan(self, request: Analyze) -> Plan:
        without_model = await self._plan_without_model(request)
        planning = _Planning(self._model, request, _task(request, without_model))
        try:
            with trio.move_on_after(self._max_s) as waiting:
                await planning.ask(self._check_arguments)
            if waiting.cancelled_caught:
                late = f"{self._model.name} made no plan within {self._max_s:g} s."
                planning.why = ModelTooSlow(late)
                planning.usage = request.meter.usage or planning.usage
        except (ModelUnavailable, ModelRejected) as error:
            planning.why = error
            error.usage = planning.usage = planning.usage + error.usage
            again = worth_another_try(error, last_attempt=request.last_attempt)
            if planning.plan is None and (again or not self._falls_back):
                raise
        plan = planning.plan or replace(without_model, degraded=Failure.of(planning.why))
        return replace(plan, usage=planning.usage)


def _task(request: Analyze, without_model: Plan) -> QuestionDraft:
    """The task in the person's own words, as one question."""
    own = [question for question in without_model.questions if not question.of]
    text = " ".join(request.task_description.split())
    sides = own[0].sides if len(own) == 1 else ()
    return QuestionDraft(text, context=request.about, sides=sides)


class _Planning:
    """The answers of a model to one request: the plan made of them so far, and their usage.

    `why` is the reason if there is no plan.
    """

    def __init__(self, model: Model, request: Analyze, task: QuestionDraft) -> None:
        self._model = model
        self._request = request
        self._task = task
        self.plan: Plan | None = None
        self.usage = NO_USAGE
        self.why: ActorError = InvalidPlan(_UNUSABLE)

    async def ask(self, check_arguments: ArgumentCheck | None) -> None:
        """Ask for a plan, and once more if something is wrong with it."""
        request = self._request
        listed = [option for option in request.tool_options if option.listed]
        tools = tool_catalog(listed if check_arguments else ())
        prompt = plan_prompt(request, tools)
        for _ in range(2):
            if request.tokens_left is not None and request.tokens_left <= self.usage.tokens:
                self.why = BudgetReached(_NO_TOKENS)
                return
            text, wrong = await self._answer(prompt, tools, check_arguments)
            if not wrong:
                return
            prompt = repair_prompt(request, tools, text, wrong)

    async def _answer(
        self, prompt: Prompt, tools: ToolCatalog, check_arguments: ArgumentCheck | None
    ) -> tuple[str, str]:
        """Ask once, and make a plan of the answer if it has one. Its text, and what is wrong with it."""
        shape = plan_with_calls(tuple(tools.tool_options)) if tools else ProposedPlan
        try:
            answer = await self._model.structured(prompt, shape)
        except InvalidAnswer as invalid:
            self.usage += invalid.usage
            return invalid.text, invalid.message
        self.usage += answer.usage
        proposed, text = answer.value, answer.value.model_dump_json()
        accepted = accept_questions(proposed, self._task)
        if not accepted.usable:
            return text, _NO_QUESTION
        calls = CheckedCalls()
        if check_arguments:
            calls = await check_calls(proposed, accepted.places, tools, check_arguments)
        if calls.wrong:
            log.info("tool calls of a model that are left out of a plan: %s", " ".join(calls.wrong))
        made = assemble_plan(accepted.questions, self._request.tool_options, calls.choices)
        other = fallback_failure(self._model, answer.answered_by)
        self.plan = replace(made, degraded=other, by_model=True)
        return text, " ".join(calls.wrong)
