"""The analyzer without a language model: plans a task, and later chooses among the evidence.

Rule: deterministic. The same request gives the same reply, so a retry after a failure gives what
the first attempt would have given.
"""

from __future__ import annotations

from typing import Any, assert_never

from actors.agents.extractive.planning import planned
from actors.agents.extractive.weighing import weighed
from actors.messages import Analyze, Synthesize
from actors.runtime.call import Call
from actors.runtime.cooperative import with_pauses
from actors.tasks.evidence import Findings, by_question
from actors.tasks.plan import Plan


class AnalyzerAgent:
    """Splits a task into its questions, and weighs the evidence found on them.

    Failure mode: retried. It needs nothing but its request, so a failure here is the machine's or a
    bug. The step is retried with exponential backoff; the task fails when no attempt is left.
    """

    name = "analyzer"
    does = "Splits a task into questions and a plan, and weighs the evidence found on them."

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`."""
        match request:
            case Analyze():
                return await plan_task(request)
            case Synthesize():
                return await weigh_evidence(request)
            case _:
                assert_never(request)


async def plan_task(request: Analyze) -> Plan:
    """The plan of a task, made from its words."""
    return await with_pauses(planned(request.task_description, request.about, request.tool_options))


async def weigh_evidence(request: Synthesize) -> Findings:
    """The sentences of the evidence that answer the questions of the plan."""
    evidence = by_question(request.evidence, request.context)
    return await with_pauses(weighed(request.plan, evidence))
