"""What can be asked of an actor.

Rule: a request is a frozen dataclass and names its reply: `class Retrieve(Request[Evidence])`.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

R = TypeVar("R")
P = TypeVar("P")


class Request(Generic[R]):
    """A question with one answer of type `R`."""

    __slots__ = ()

    control: ClassVar[bool] = False
    """True: it goes over the control lane, which no full mailbox holds up."""

    must_finish: ClassVar[bool] = False
    """True: once it has left the mailbox it runs to its end, whether or not the asker still waits."""


class StreamRequest(Request[R], Generic[P, R]):
    """A question answered in parts of type `P`, and at its end with an `R`."""

    __slots__ = ()
