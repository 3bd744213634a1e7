"""What is stored beside the public log besides the outputs of steps: what a resumed run needs.

Outputs of steps are dumped and loaded by `actors.runs.steps`.

Rule: fields are only ever added to the types below, with a default, so that old outputs stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from actors.tasks.context import NO_CONTEXT, Context

CONTEXT = "context"
"""Where `dump_context` is stored, beside the outputs of the steps."""

_CONTEXT = TypeAdapter(Context)


def dump_context(context: Context) -> bytes:
    """What a task takes over from the one that it follows up."""
    return _CONTEXT.dump_json(context)


def load_context(body: bytes | None) -> Context:
    """What `dump_context` wrote; an empty one if there is none."""
    return _CONTEXT.validate_json(body) if body else NO_CONTEXT


UNCHARGED = "forgiven"
"""Where `dump_uncharged` is stored, beside the outputs of the steps."""

_UNCHARGED = TypeAdapter(tuple[int, dict[str, int]])


def dump_uncharged(run: int, uncharged: Mapping[str, int]) -> bytes:
    """Per step of this run, the attempts that are not charged to it."""
    return _UNCHARGED.dump_json((run, dict(uncharged)))


def load_uncharged(body: bytes | None, run: int) -> dict[str, int]:
    """What `dump_uncharged` wrote for this run; nothing for another one, or if there is none."""
    written, uncharged = _UNCHARGED.validate_json(body) if body else (run, {})
    return uncharged if written == run else {}
