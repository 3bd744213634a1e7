"""The writer: turns findings into a cited report, a sentence at a time.

Rule: what was sent stays true. A part is never taken back, and each attempt sends the same parts.
"""

from __future__ import annotations

from typing import Any

from actors.agents.extractive.report import parts, sources
from actors.messages import Write
from actors.runtime.call import Call
from actors.tasks.evidence import Report


class WriterAgent:
    """Writes the report from the findings, every sentence with its source.

    Failure mode: partial output kept. The parts that went out before a failure stay with the task;
    another attempt begins anew and sends the same parts from the first.
    """

    name = "writer"
    does = "Writes the cited report from the findings, and streams it sentence by sentence."

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        """Streams the text in parts; the reply carries its numbered sources."""
        for part in parts(request.task_description, request.findings):
            await call.part(part)
        return Report(sources(request.findings))
