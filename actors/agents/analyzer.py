"""The analyzer: plans a task, and later weighs what was found.

Rule: deterministic, and without any model. The same request gives the same reply, so a retry after
a failure can only give what the first attempt would have given.
"""

from __future__ import annotations

from typing import Any, assert_never

from actors.agents.extractive.planning import planned
from actors.agents.extractive.weighing import weighed
from actors.agents.gathering import gathered
from actors.messages import Analyze, Synthesize
from actors.runtime.call import Call
from actors.runtime.cooperative import with_pauses
from actors.tasks.evidence import Findings
from actors.tasks.plan import Plan


class AnalyzerAgent:
    """Splits a task into its questions, and weighs the evidence found on them.

    Failure mode: retried. It needs nothing but its request, so what fails here is the machine or a
    bug; the step is retried with exponential backoff, and the task fails when no attempt is left.
    """

    name = "analyzer"
    does = "Splits a task into questions and a plan, and weighs the evidence found on them."

    async def handle(self, request: Analyze | Synthesize, call: Call[Any]) -> Plan | Findings:
        """A `Plan` for `Analyze`, `Findings` for `Synthesize`."""
        match request:
            case Analyze():
                return await with_pauses(
                    planned(request.task_description, request.about, request.tool_options)
                )
            case Synthesize():
                return await with_pauses(weighed(request.plan, gathered(request)))
            case _:
                assert_never(request)
