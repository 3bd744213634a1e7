"""An agent that a person has written, as the actor that plays it.

    class PriceList:
        name = "prices"
        does = "Looks up prices in our price list."
        asks = Lookup                                   # a pydantic model: what it is asked

        async def handle(self, request: Lookup, about: About) -> list[Passage]: ...

Rule: what it is asked has been checked against its model, and what it replies is checked, too. Its
mistakes are its own: they are answered as a failure of its step.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, ValidationError

from actors.errors import ActorError, AgentFailed, InvalidRequest
from actors.messages import Consult
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Helper

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TAKEN = frozenset({"analyzer", "retriever", "writer", "supervisor", "journal"})

MOST_PASSAGES = 24
MOST_CHARACTERS = 8_000
"""Characters of a passage; what is longer is cut."""


class UnusableAgent(InvalidRequest):
    """An agent of one's own cannot be used. Its person's move: the message tells what is missing."""


@dataclass(frozen=True, slots=True)
class About:
    """What a request is for. `key` is "task_id/step_id", the same at every attempt."""

    key: str
    question: str
    task_description: str


@dataclass(frozen=True, slots=True)
class OwnAgent:
    """What a person's class says of itself. `when`: words of questions it is for; none: of all."""

    make: type[Any]
    name: str
    does: str
    asks: type[BaseModel]
    when: tuple[str, ...]
    concurrency: int
    mailbox: int
    retries_s: tuple[float, ...] | None
    on_failure: Literal["degrade", "fail"]

    def helper(self) -> Helper:
        """How plans see it."""
        return Helper(self.name, self.does, single_text(self.asks.model_json_schema()), self.when)


def described(made: Any, origin: str) -> OwnAgent:
    """Read what a class says of itself; raises `UnusableAgent`."""

    def wrong(what: str) -> UnusableAgent:
        return UnusableAgent(f"The agent {origin} {what}.")

    if not inspect.isclass(made):
        raise wrong("is no class")
    name, does, asks = (getattr(made, field, None) for field in ("name", "does", "asks"))
    if not (isinstance(name, str) and NAME.fullmatch(name)) or name in TAKEN:
        raise wrong(f"needs a `name` of its own in small letters, and not {name!r}")
    if not (isinstance(does, str) and does.strip()):
        raise wrong("needs `does`, a sentence that says what it does")
    if not (inspect.isclass(asks) and issubclass(asks, BaseModel)):
        raise wrong("needs `asks`, the pydantic model of what it is asked")
    if not inspect.iscoroutinefunction(getattr(made, "handle", None)):
        raise wrong("needs `async def handle(self, request, about)`")
    when, retries_s = getattr(made, "when", ()), getattr(made, "retries_s", None)
    if isinstance(when, str) or not all(isinstance(word, str) for word in when):
        raise wrong('needs words in `when`, such as ("price", "cost")')
    if retries_s is not None and not all(_is_number(s, 0, 3_600) for s in retries_s):
        raise wrong("needs seconds in `retries_s`, such as (0.0, 0.5)")
    on_failure = getattr(made, "on_failure", "degrade")
    if on_failure not in ("degrade", "fail"):
        raise wrong('needs `on_failure` to be "degrade" or "fail"')
    bounds = {"concurrency": (4, 1_024), "mailbox": (64, 65_536)}
    numbers = {field: getattr(made, field, default) for field, (default, _) in bounds.items()}
    for field, (_, most) in bounds.items():
        if not (isinstance(numbers[field], int) and _is_number(numbers[field], 1, most)):
            raise wrong(f"needs `{field}` to be a whole number from 1 to {most:,}")
    return OwnAgent(
        make=made,
        name=name,
        does=does,
        asks=asks,
        when=tuple(when),
        retries_s=None if retries_s is None else tuple(map(float, retries_s)),
        on_failure=cast("Literal['degrade', 'fail']", on_failure),
        **numbers,
    )


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and least <= value <= most


def single_text(schema: Mapping[str, Any]) -> str | None:
    """The one property that must be given, if there is just one and it is a text; else None."""
    required = schema.get("required") or []
    if len(required) != 1:
        return None
    kind = (schema.get("properties") or {}).get(required[0])
    return str(required[0]) if isinstance(kind, Mapping) and kind.get("type") == "string" else None


class OwnAgentActor:
    """Plays one of a person's agents.

    Failure mode: as it says itself. "degrade": the task goes on without its passages.
    """

    def __init__(self, agent: OwnAgent) -> None:
        self.name, self.does = agent.name, agent.does
        self._asks = agent.asks
        self._agent = agent.make()

    async def handle(self, request: Consult, call: Call[Any]) -> Evidence:
        """The passages it replies with; a text is a passage, too."""
        try:
            asked = self._asks.model_validate(dict(request.arguments))
        except ValidationError as error:
            faults = "; ".join(f"{one['loc']}: {one['msg']}" for one in error.errors()[:3])
            raise InvalidRequest(f"The agent {self.name} cannot be asked this: {faults}.") from None
        about = About(request.key, request.question.text, request.task_description)
        try:
            replied = await self._agent.handle(asked, about)
        except ActorError:
            raise
        except Exception as error:
            log.error("the agent %s failed", self.name, exc_info=error)
            kind = type(error).__name__
            raise AgentFailed(
                f"The agent {self.name} failed ({kind}); the log says more."
            ) from None
        return Evidence(request.question, tuple(self._passages(replied)))

    def _passages(self, replied: Any) -> Iterable[Passage]:
        several = replied if isinstance(replied, list | tuple) else [replied]
        if not all(isinstance(one, str | Passage) for one in several):
            raise AgentFailed(
                f"The agent {self.name} replies with texts or passages, nothing else."
            )
        for number, one in enumerate(several[:MOST_PASSAGES], start=1):
            if isinstance(one, str):
                one = Passage(self.name, self.does, "", number, one)
            text = one.text.encode(errors="replace").decode()[:MOST_CHARACTERS]
            if text.strip():
                yield Passage(
                    one.document_id, one.title, one.section, one.position, text, one.score
                )
