"""The writer without a language model: streams the findings as a cited report.

Rule: a part that was sent is never taken back, and each attempt sends the same parts.
"""

from __future__ import annotations

from typing import Any

from actors.agents.extractive.report import parts
from actors.messages import Write
from actors.runtime.call import Call
from actors.tasks.evidence import Report
from actors.tasks.report import numbered_sources


class WriterAgent:
    """Writes the report from the findings, every sentence with its source.

    Failure mode: partial output is kept. The parts that were sent before a failure stay with the
    task; the next attempt starts again and sends the same parts from the first.
    """

    name = "writer"
    does = "Writes the cited report from the findings, and streams it sentence by sentence."

    async def handle(self, request: Write, call: Call[Any]) -> Report:
        """Stream the text in parts; the reply has its numbered sources."""
        for part in parts(request.task_description, request.findings):
            await call.part(part)
        return Report(numbered_sources(request.findings.sources))
