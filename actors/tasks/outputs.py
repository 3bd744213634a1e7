"""What is stored beside the public log: what a resumed run needs and no reader sees.

That is the private output of each finished step, and which attempts do not count.

Rule: fields are only ever added to the types below, with a default, so that old outputs stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from actors.tasks.context import NO_CONTEXT, Context
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


CONTEXT = "context"
"""Where `dump_context` is stored, beside the outputs of the steps."""

_CONTEXT = TypeAdapter(Context)


def dump_context(context: Context) -> bytes:
    """What a task takes over from the one that it follows up."""
    return _CONTEXT.dump_json(context)


def load_context(body: bytes | None) -> Context:
    """What `dump_context` wrote; an empty one if there is none."""
    return _CONTEXT.validate_json(body) if body else NO_CONTEXT


FORGIVEN = "forgiven"
"""Where `dump_forgiven` is stored, beside the outputs of the steps."""

_FORGIVEN = TypeAdapter(tuple[int, dict[str, int]])


def dump_forgiven(run: int, forgiven: Mapping[str, int]) -> bytes:
    """How many attempts of each step of this run were interrupted through nobody's fault."""
    return _FORGIVEN.dump_json((run, dict(forgiven)))


def load_forgiven(body: bytes | None, run: int) -> dict[str, int]:
    """What `dump_forgiven` wrote for this run; nothing for another one, or if there is none."""
    written, forgiven = _FORGIVEN.validate_json(body) if body else (run, {})
    return forgiven if written == run else {}
