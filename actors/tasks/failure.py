"""An error as people see it.

Rule: it is public. Nothing stands in it that is the server's own business.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.errors import ActorError


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it stands in events and status: a stable code and a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: ActorError) -> Failure:
        """The public form of an actor's error."""
        return cls(error.code, error.message)
