"""The analyzer without a language model: plans a task, and later chooses what the report says.

Rule: deterministic. The same request gives the same reply, so a retry after a failure gives what
the first attempt would have given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_never

from actors.agents.extractive.questions import questioned
from actors.agents.extractive.synthesis import synthesized
from actors.messages import Analyze, Synthesize
from actors.runtime.call import Call
from actors.runtime.cooperative import with_pauses
from actors.tasks.evidence import Findings
from actors.tasks.plan import Plan
from actors.tasks.planning import assemble_plan

Synthesis = Callable[[Synthesize], Awaitable[Findings]]


async def plan_task(request: Analyze) -> Plan:
    """The plan of a task, in the person's own words."""
    drafts = await with_pauses(questioned(request.task_description, request.about))
    return assemble_plan(drafts, request.tool_options)


async def synthesize(request: Synthesize) -> Findings:
    """The excerpts of the evidence that answer the questions of the plan."""
    return await with_pauses(synthesized(request))


class AnalyzerAgent:
    """Splits a task into its questions, and chooses the excerpts that answer them.

    Failure mode: retried. It needs nothing but its request, so a failure here is the machine's or a
    bug. The step is retried with exponential backoff; the task fails when no attempt is left.
    """

    name = "analyzer"
    does = "Splits a task into questions and a plan, and chooses the excerpts that answer them."

    def __init__(self, synthesize: Synthesis = synthesize) -> None:
        self._synthesize = synthesize

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`."""
        match request:
            case Analyze():
                return await plan_task(request)
            case Synthesize():
                return await self._synthesize(request)
            case _:
                assert_never(request)
