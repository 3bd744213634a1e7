"""The analyzer without a language model: plans a task, and later chooses what the report says.

Rule: deterministic. The same request gives the same reply, so a retry after a failure gives what
the first attempt would have given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from actors.messages import Synthesize
from actors.tasks.evidence import Findings

Synthesis = Callable[[Synthesize], Awaitable[Findings]]
