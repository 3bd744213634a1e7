"""An analyzer that asks a language model for the questions of a plan.

Rule: the model proposes, and the plan is made by the code that makes every plan. It may repair its
answer once. If there is no usable one then, the task is planned without it, and the plan says so; a
call that is still wrong is left out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, assert_never

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.extractive.planning import plan_of, planned
from actors.agents.extractive.words import terms
from actors.agents.gathering import gathered
from actors.agents.model.calls import Check, Taken, plan_with_calls, taken
from actors.agents.model.offer import Offer, offer_of
from actors.agents.model.passages import chosen
from actors.agents.model.prompts import plan_prompt, repair_prompt
from actors.agents.model.proposal import ProposedPlan, drafts_of, intents_of
from actors.errors import ActorError, BudgetReached, InvalidPlan, ModelRejected, ModelUnavailable
from actors.messages import Analyze, Synthesize
from actors.models.fallback import fallback_failure
from actors.models.model import InvalidAnswer, Model, Prompt
from actors.runtime.call import Call
from actors.runtime.cooperative import with_pauses
from actors.tasks.evidence import Findings
from actors.tasks.failure import Failure
from actors.tasks.plan import Plan
from actors.usage import NO_USAGE, Usage

log = logging.getLogger(__name__)

_UNUSABLE = "The model gave no usable plan, so the task was planned without it."
_NO_TOKENS = "No tokens are left for a language model, so the task was planned without it."
_NO_QUESTION = "It has no question with words that can be searched for."


@dataclass(frozen=True, slots=True)
class _Answered:
    """A model's answer: the plan that it gives, if any, and what is wrong with it, if anything."""

    plan: Plan | None
    usage: Usage
    said: str
    wrong: str


class ModelAnalyzer:
    """Plans with a language model; weighs as the analyzer without one does.

    With a `check` of arguments the model chooses among the tool_options, and what it proposes is checked.

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
        check: Check | None = None,
        extractive: AnalyzerAgent | None = None,
    ) -> None:
        self._model = model
        self._check = check
        self._falls_back = fallback_to_extractive
        self._extractive = extractive or AnalyzerAgent()

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`; both say what a model has used."""
        match request:
            case Analyze():
                return await self._plan(request)
            case Synthesize():
                findings = await self._extractive.handle(_by_their_text(request), call)
                assert isinstance(findings, Findings)
                return replace(findings, passages=chosen(findings, gathered(request)))
            case _:
                assert_never(request)

    async def _plan(self, request: Analyze) -> Plan:
        offer = offer_of(request.tool_options if self._check else ())
        prompt = plan_prompt(request, offer)
        usage, plan = NO_USAGE, None
        why: ActorError = InvalidPlan(_UNUSABLE)
        for _ in range(2):
            left = request.tokens_left
            if left is not None and left <= usage.tokens:
                why = BudgetReached(_NO_TOKENS)
                break
            try:
                answered = await self._answered(request, prompt, offer)
            except (ModelUnavailable, ModelRejected) as error:
                why, usage = error, usage + error.usage
                if plan is None and not self._falls_back:
                    error.usage = usage
                    raise
                break
            usage += answered.usage
            plan = answered.plan or plan
            if not answered.wrong:
                break
            prompt = repair_prompt(request, offer, answered.said, answered.wrong)
        if plan is None:
            return await self._without_model(request, why, usage)
        return replace(plan, usage=usage)

    async def _answered(self, request: Analyze, prompt: Prompt, offer: Offer) -> _Answered:
        """Ask once, and make a plan of the answer if there is one in it."""
        shape = plan_with_calls(tuple(offer.tool_options)) if offer else ProposedPlan
        try:
            answer = await self._model.structured(prompt, shape)
        except InvalidAnswer as invalid:
            return _Answered(None, invalid.usage, invalid.text, invalid.message)
        proposed, said = answer.value, answer.value.model_dump_json()
        drafts = drafts_of(proposed)
        if not drafts.questions:
            return _Answered(None, answer.usage, said, _NO_QUESTION)
        calls = Taken()
        if self._check:
            calls = await taken(proposed, drafts.places, offer, self._check)
        if calls.wrong:
            log.info("a model's calls that are left out of a plan: %s", " ".join(calls.wrong))
        kinds = intents_of(proposed) or (await _planned(request)).intents
        made = plan_of(drafts.questions, kinds, request.tool_options, calls.chosen)
        other = fallback_failure(self._model, answer.answered_by)
        plan = replace(made, degraded=other, by_model=True)
        return _Answered(plan, answer.usage, said, " ".join(calls.wrong))

    async def _without_model(self, request: Analyze, why: ActorError, usage: Usage) -> Plan:
        return replace(await _planned(request), degraded=Failure.of(why), usage=usage)


def _by_their_text(request: Synthesize) -> Synthesize:
    """Synthesize on a model's questions by their own words: what it would search for besides is a guess,
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
    return await with_pauses(planned(request.task_description, request.about, request.tool_options))
