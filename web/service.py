"""What the commands ask for, whether a server answers or this process does.

Rule: both answer in the words of the HTTP API, and refuse with an `ActorError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Protocol

from actors.errors import ActorError
from actors.fetching.fetcher import Page


class ServerUnreachable(ActorError):
    """No answer from the server that has the data folder. The person's move: see if it still runs."""

    code = "server_unreachable"


class UnexpectedAnswer(ActorError):
    """The server answered what its API does not say. The developer's move, or another version's."""

    code = "unexpected_answer"


class Service(Protocol):
    """Tasks and the library, as the command line uses them."""

    async def create(
        self,
        description: str,
        *,
        deadline_s: float | None = None,
        context_task_id: str | None = None,
    ) -> str:
        """Create a task; its id. It may follow up a completed one."""
        ...

    def lines(self, task_id: str, after: int = 0) -> AsyncGenerator[bytes, None]:
        """Execute the task or attach to it: its NDJSON lines after `after`, each without `\\n`.

        Ends after the line that ends the task. Close it (`aclosing`) when leaving early.
        """
        ...

    async def status(self, task_id: str) -> dict[str, Any]:
        """Where the task stands, as the HTTP API shows it."""
        ...

    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel; the task once nothing works for it any more."""
        ...

    async def search(self, q: str, limit: int = 10) -> list[dict[str, Any]]:
        """Passages of the library, best first, each with a `score`."""
        ...

    async def add(self, path: Path) -> tuple[dict[str, Any], bool]:
        """Add a file to the library: its document, and whether it was not there before."""
        ...

    async def add_page(self, page: Page) -> tuple[dict[str, Any], bool]:
        """Add a web page; its URL is its source."""
        ...
