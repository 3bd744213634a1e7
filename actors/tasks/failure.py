"""An error as clients see it.

Rule: public. It holds no path, secret or traceback of the server.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.errors import ActorError


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in events and status: a stable code and a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: ActorError) -> Failure:
        """The public form of an actor's error."""
        return cls(error.code, error.message)
