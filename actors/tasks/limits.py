"""Limits of a new task.

Rule: HTTP and the in-process API check by these and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.errors import InvalidRequest
from actors.tasks.budget import Budget
from actors.tasks.plan import MAX_STEPS

MAX_DESCRIPTION = 20_000
"""Characters of a task's description."""

MIN_DEADLINE_S, MAX_DEADLINE_S = 1.0, 86_400.0
MAX_METADATA = 32
MAX_METADATA_BYTES = 4 * 1024
MAX_REASON = 1_000
MAX_KEY = 255

MAX_OUTPUT_BYTES = 262_144
"""Text that a task may write, in UTF-8."""

BUDGET_RANGES = (
    ("tokens", 0, 10**9),
    ("steps", 4, MAX_STEPS),
    ("output_bytes", 1_024, MAX_OUTPUT_BYTES),
)
"""Each limit of a budget with its smallest and largest value. A plan has at least 4 steps."""


def check_new_task(description: str, deadline_s: float | None, metadata: Mapping[str, str]) -> None:
    """Raise `InvalidRequest` unless a task may have these values."""
    check_text(description, "task_description", MAX_DESCRIPTION)
    if not description.strip():
        raise InvalidRequest("task_description is blank. Describe the task in plain words.")
    if deadline_s is not None and not MIN_DEADLINE_S <= deadline_s <= MAX_DEADLINE_S:
        raise InvalidRequest(
            f"deadline_s must be from {MIN_DEADLINE_S:g} to {MAX_DEADLINE_S:g} seconds."
        )
    size = 0
    for key, value in metadata.items():
        check_text(key, "metadata", MAX_METADATA_BYTES)
        check_text(value, "metadata", MAX_METADATA_BYTES)
        size += len(key.encode()) + len(value.encode())
    if len(metadata) > MAX_METADATA or size > MAX_METADATA_BYTES:
        raise InvalidRequest(
            f"metadata may hold {MAX_METADATA} strings and {MAX_METADATA_BYTES} bytes in all."
        )


def check_budget(budget: Budget) -> None:
    """Raise `InvalidRequest` unless every limit is in its range."""
    for name, least, most in BUDGET_RANGES:
        limit = getattr(budget, name)
        if limit is not None and not least <= limit <= most:
            raise InvalidRequest(f"budget.{name} must be from {least:,} to {most:,}.")


def check_text(text: str, name: str, most: int) -> None:
    """Raise `InvalidRequest` for text that is too long or cannot be stored."""
    if len(text) > most:
        raise InvalidRequest(f"{name} has {len(text):,} characters, and {most:,} are allowed.")
    if "\0" in text:
        raise InvalidRequest(f"{name} contains a NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} contains half of a surrogate pair.") from None
