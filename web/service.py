"""The operations that the commands use, whether a server answers them or this process does.

Rule: both answer with the objects of the HTTP API, and refuse with an `ActorError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from actors.errors import ActorError
from actors.fetching.fetcher import Page
from web.access.keys import Principal


class ServerUnreachable(ActorError):
    """The server of the data folder does not answer. The person's move: check if it is running."""

    code = "server_unreachable"


class UnexpectedAnswer(ActorError):
    """The answer is not one of the API: a bug, or another version. The developer's move."""

    code = "unexpected_answer"


Outcome = Literal["added", "changed", "updated", "unchanged"]
"""What adding did; "changed": the source had other bytes before. "updated": the same bytes were
parsed again by a newer parser."""


def outcome_of(added: Mapping[str, Any], *, created: bool) -> Outcome:
    """What adding did, by the document that it answered with."""
    if added.get("replaced"):
        return "changed"
    return "added" if created else "updated" if added.get("updated") else "unchanged"


class Service(Protocol):
    """Tasks and the library, as the commands use them."""

    def acting_for(self, principal: Principal) -> Service:
        """The same service for someone else: whose tasks are theirs, and who sees no others."""
        ...

    async def create(
        self,
        description: str,
        *,
        deadline_s: float | None = None,
        context_task_id: str | None = None,
    ) -> str:
        """Create a task and return its id. `context_task_id` is a completed task to build on."""
        ...

    def lines(self, task_id: str, after: int = 0) -> AsyncGenerator[bytes, None]:
        """Execute the task or attach to it: its NDJSON lines after `after`, each without `\\n`.

        Ends after the line that ends the task. Close it (`aclosing`) when leaving early.
        """
        ...

    async def status(self, task_id: str) -> dict[str, Any]:
        """The task as the HTTP API shows it."""
        ...

    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel the task and return it once no agent works for it any more."""
        ...

    async def search(self, q: str, limit: int = 10) -> list[dict[str, Any]]:
        """Passages of the library, best first, each with its `score`."""
        ...

    async def add(self, path: Path) -> tuple[dict[str, Any], Outcome]:
        """Add a file to the library; its path is its source."""
        ...

    async def add_page(self, page: Page) -> tuple[dict[str, Any], Outcome]:
        """Add a web page; its URL is its source."""
        ...

    async def documents_from(self, source: str) -> list[dict[str, Any]]:
        """The documents that came from this source or from below it, with `sources` and `uploaded`."""
        ...

    async def forget_source(self, source: str) -> list[dict[str, Any]]:
        """Forget a source; the documents that this removed."""
        ...

    async def library_counts(self) -> dict[str, int]:
        """The counts of the library, as `GET /health` shows them."""
        ...
