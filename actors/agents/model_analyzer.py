"""An analyzer that asks a language model for the questions of a plan.

Rule: the model proposes, and the plan is made by the code that makes every plan. A model that gives
no usable answer twice is not asked again: the task is planned without it, and the plan says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.gathering import gathered
from actors.agents.model_passages import chosen
from actors.agents.model_prompts import plan_prompt, repair_prompt
from actors.agents.model_proposal import ProposedPlan, drafts_of, intents_of
from actors.agents.planning import plan_of, planned
from actors.agents.slices import with_pauses
from actors.agents.words import terms
from actors.errors import ActorError, BudgetReached, InvalidPlan, ModelRejected, ModelUnavailable
from actors.messages import Analyze, Weigh
from actors.models.fallback import stood_in
from actors.models.model import InvalidAnswer, Model
from actors.runtime.call import Call
from actors.tasks.evidence import Findings
from actors.tasks.failure import Failure
from actors.tasks.plan import Plan
from actors.usage import NO_USAGE, Usage

_UNUSABLE = "The model gave no usable plan, so the task was planned without it."
_NO_TOKENS = "No tokens are left for a language model, so the task was planned without it."
_NO_QUESTION = "It has no question with words that can be searched for."


class ModelAnalyzer:
    """Plans with a language model; weighs as the analyzer without one does.

    Failure mode: retried, as without a model. A model that cannot be reached or refuses is raised,
    or, with `fallback_to_extractive`, the task is planned without it at once.
    """

    name = "analyzer"
    does = "Asks a language model for the questions of a task, and weighs the evidence on them."

    def __init__(
        self,
        model: Model,
        *,
        fallback_to_extractive: bool = False,
        extractive: AnalyzerAgent | None = None,
    ) -> None:
        self._model = model
        self._falls_back = fallback_to_extractive
        self._extractive = extractive or AnalyzerAgent()

    async def handle(self, request: Analyze | Weigh, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Weigh`; both say what a model has used."""
        match request:
            case Analyze():
                return await self._plan(request)
            case Weigh():
                findings = await self._extractive.handle(_by_their_text(request), call)
                assert isinstance(findings, Findings)
                return replace(findings, passages=chosen(findings, gathered(request)))
            case _:
                assert_never(request)

    async def _plan(self, request: Analyze) -> Plan:
        usage = NO_USAGE
        prompt = plan_prompt(request)
        for _ in range(2):
            left = request.tokens_left
            if left is not None and left <= usage.tokens:
                return await self._without_model(request, BudgetReached(_NO_TOKENS), usage)
            try:
                answer = await self._model.structured(prompt, ProposedPlan)
            except InvalidAnswer as invalid:
                usage += invalid.usage
                prompt = repair_prompt(request, invalid.text, invalid.message)
            except (ModelUnavailable, ModelRejected) as error:
                error.usage = usage + error.usage
                if not self._falls_back:
                    raise
                return await self._without_model(request, error, error.usage)
            else:
                usage += answer.usage
                if drafts := drafts_of(answer.value):
                    kinds = intents_of(answer.value) or (await _planned(request)).intents
                    made = plan_of(drafts, kinds, request.helpers)
                    other = stood_in(self._model, answer.answered_by)
                    return replace(made, usage=usage, degraded=other, by_model=True)
                said = answer.value.model_dump_json()
                prompt = repair_prompt(request, said, _NO_QUESTION)
        return await self._without_model(request, InvalidPlan(_UNUSABLE), usage)

    async def _without_model(self, request: Analyze, why: ActorError, usage: Usage) -> Plan:
        return replace(await _planned(request), degraded=Failure.of(why), usage=usage)


def _by_their_text(request: Weigh) -> Weigh:
    """Weigh on a model's questions by their own words: what it would search for besides is a guess,
    while the words that our own plans add to a question are its subject."""
    plan = request.plan
    if not plan.by_model:
        return request
    meant = {q.step_id: replace(q, query=" ".join(terms(q.text))) for q in plan.questions}
    evidence = [replace(e, question=meant[e.question.step_id]) for e in request.evidence]
    questions = tuple(meant[question.step_id] for question in plan.questions)
    return replace(request, plan=replace(plan, questions=questions), evidence=tuple(evidence))


async def _planned(request: Analyze) -> Plan:
    """The plan that needs no model."""
    return await with_pauses(planned(request.task_description, request.about, request.helpers))
