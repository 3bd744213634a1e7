"""The messages: what is asked of agents and of the supervisor, and what they reply.

Rule: a message is data. Requests are imperative, and each names its reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.runtime.request import Request, StreamRequest
from actors.tasks.evidence import Evidence, Findings, Report
from actors.tasks.plan import Plan, Question


@dataclass(frozen=True, slots=True)
class Analyze(Request[Plan]):
    """Make a plan for this task. `key` is "task_id/step_id": stable over attempts."""

    key: str
    task_description: str


@dataclass(frozen=True, slots=True)
class Retrieve(Request[Evidence]):
    """Find what the library has on this question."""

    key: str
    question: Question


@dataclass(frozen=True, slots=True)
class Weigh(Request[Findings]):
    """Choose from the evidence what answers the task. One `Evidence` for each question of the plan."""

    key: str
    task_description: str
    plan: Plan
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Write(StreamRequest[str, Report]):
    """Write the report. The parts, joined, are its text."""

    key: str
    task_description: str
    plan: Plan
    findings: Findings
