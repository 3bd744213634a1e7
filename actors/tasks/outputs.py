"""The private outputs of steps as bytes: what a resumed run reads instead of working again.

Rule: fields are only ever added to the types below, with a default, so that old outputs stay readable.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from actors.tasks.evidence import Evidence, Findings, Report
from actors.tasks.plan import Plan, StepKind

_ADAPTERS: dict[StepKind, TypeAdapter[Any]] = {
    "analysis": TypeAdapter(Plan),
    "retrieval": TypeAdapter(Evidence),
    "synthesis": TypeAdapter(Findings),
    "writing": TypeAdapter(Report),
}


def dump_output(step: StepKind, output: Any) -> bytes:
    """The output of a step of this kind, as JSON."""
    return _ADAPTERS[step].dump_json(output)


def load_output(step: StepKind, body: bytes) -> Any:
    """What `dump_output` wrote, in this release or an earlier one."""
    return _ADAPTERS[step].validate_json(body)
