"""An agent that a person has written: what its class says of itself.

    class PriceList:
        name = "prices"
        does = "Looks up prices in our price list."
        asks = Lookup                                   # a pydantic model: what it is asked

        async def handle(self, request: Lookup, about: About) -> list[Passage]: ...

Rule: what cannot be used is refused before the first task, with what is missing. What it is asked
has been checked against its model.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, PydanticUserError, ValidationError

from actors.errors import InvalidRequest
from actors.tasks.tool_options import ToolOption, question_argument

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TAKEN = frozenset({"analyzer", "retriever", "writer", "supervisor", "journal"})
MOST_RETRIES = 16


class UnusablePlugin(InvalidRequest):
    """An agent of one's own cannot be used. Its person's move: the message tells what is missing."""


@dataclass(frozen=True, slots=True)
class About:
    """What a request is for. `key` is "task_id/step_id", the same at every attempt."""

    key: str
    question: str
    task_description: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a person's class says of itself. `when`: words of questions it is for; none: of all."""

    make: type[Any]
    name: str
    does: str
    asks: type[BaseModel]
    schema: Mapping[str, Any]
    when: tuple[str, ...]
    concurrency: int
    mailbox: int
    retries_s: tuple[float, ...] | None
    on_failure: Literal["degrade", "fail"]

    def tool_option(self) -> ToolOption:
        """How plans see it."""
        return ToolOption(
            self.name, self.does, question_argument(self.schema), self.when, schema=self.schema
        )

    def read(self, arguments: Mapping[str, Any]) -> BaseModel:
        """What it is asked; raises `InvalidRequest` for arguments that its model does not take."""
        try:
            return self.asks.model_validate(dict(arguments))
        except ValidationError as error:
            wrong = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
            told = "; ".join(f"{at}: {why}" if at else why for at, why in wrong[:3])
        except Exception as error:
            log.error("the model of what %s is asked has failed", self.name, exc_info=error)
            told = f"its model failed ({type(error).__name__}), and the log says more"
        raise InvalidRequest(f"The agent {self.name} cannot be asked this: {told}.")


def described(made: Any, origin: str) -> Plugin:
    """Read what a class says of itself; raises `UnusablePlugin`."""

    def wrong(what: str) -> UnusablePlugin:
        return UnusablePlugin(f"The agent {origin} {what}.")

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
    try:
        schema = asks.model_json_schema()
    except PydanticUserError as error:
        raise wrong(f"needs `asks` to have a JSON schema: {error.message}") from None
    when, retries_s = getattr(made, "when", ()), getattr(made, "retries_s", None)
    if not (isinstance(when, list | tuple) and all(isinstance(word, str) for word in when)):
        raise wrong('needs words in `when`, such as ("price", "cost")')
    if retries_s is not None and not _are_delays(retries_s):
        raise wrong("needs seconds in `retries_s`, such as (0.0, 0.5)")
    on_failure = getattr(made, "on_failure", "degrade")
    if on_failure not in ("degrade", "fail"):
        raise wrong('needs `on_failure` to be "degrade" or "fail"')
    bounds = {"concurrency": (4, 1_024), "mailbox": (64, 65_536)}
    numbers = {field: getattr(made, field, default) for field, (default, _) in bounds.items()}
    for field, (_, most) in bounds.items():
        if not (isinstance(numbers[field], int) and _is_number(numbers[field], 1, most)):
            raise wrong(f"needs `{field}` to be a whole number from 1 to {most:,}")
    return Plugin(
        make=made,
        name=name,
        does=does,
        asks=asks,
        schema=schema,
        when=tuple(when),
        retries_s=None if retries_s is None else tuple(map(float, retries_s)),
        on_failure=cast("Literal['degrade', 'fail']", on_failure),
        **numbers,
    )


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and least <= value <= most


def _are_delays(value: Any) -> bool:
    several = isinstance(value, list | tuple) and len(value) <= MOST_RETRIES
    return several and all(_is_number(seconds, 0, 3_600) for seconds in value)
