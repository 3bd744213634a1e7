"""Plugins: agents that people write. Find their classes, check them, and run them as actors.

    class PriceList:
        name = "prices"
        does = "Looks up prices in our price list."
        asks = Lookup                                   # a pydantic model: what it is asked

        async def handle(self, request: Lookup, about: About) -> list[Passage]: ...

    agents = ["my_agents.py:PriceList", "our_package.agents:Weather"]     # in the settings

    [project.entry-points."terzetto.agents"]                              # or in a package's metadata
    prices = "our_package.agents:PriceList"

Rule: a class that cannot be used stops the start, with an error that says what is missing. Requests
are validated against the plugin's model, and its replies are checked and bounded. An error in a
plugin fails its step and never ends the actor.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from actors.errors import AgentFailed, InvalidRequest
from actors.messages import CallTool
from actors.runtime import Call, apart, contained
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.tool_options import ToolOption, text_argument

ENTRY_POINTS = "terzetto.agents"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RESERVED = frozenset({"analyzer", "retriever", "writer", "supervisor", "journal"})
MOST_RETRIES = 16
MOST_PASSAGES = 24
MOST_CHARACTERS = 8_000
"""Characters of a passage; the rest is cut off."""
MOST_NAME = 300
"""Characters of a title, a section or a document's id."""


class UnusablePlugin(InvalidRequest):
    """A plugin cannot be used. Its author's move: the message says what is missing."""


@dataclass(frozen=True, slots=True)
class About:
    """What a request is for. `key` is "task_id/step_id", the same at every attempt."""

    key: str
    question: str
    task_description: str


# --- its class ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plugin:
    """The class of a plugin, checked. `when`: words of the questions it is for; empty: all."""

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
        """The plugin as plans see it."""
        return ToolOption(
            self.name, self.does, text_argument(self.schema), self.when, schema=self.schema
        )

    def read(self, arguments: Mapping[str, Any]) -> BaseModel:
        """The validated request; raises `InvalidRequest` if the plugin's model refuses it."""
        with contained(f"the request model of the agent {self.name}", self._refused):
            try:
                return self.asks.model_validate(dict(arguments))
            except ValidationError as error:
                wrong = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        raise self._refused("; ".join(f"{at}: {why}" if at else why for at, why in wrong[:3]))

    def _refused(self, reason: str | BaseException) -> InvalidRequest:
        if isinstance(reason, BaseException):
            reason = f"its model failed ({type(reason).__name__}), and the log says more"
        return InvalidRequest(f"The agent {self.name} cannot be asked this: {reason}.")


def describe_plugin(made: Any, origin: str) -> Plugin:
    """Check a class and read its attributes; raises `UnusablePlugin`."""

    def need(condition: bool, what: str) -> None:
        if not condition:
            raise UnusablePlugin(f"The agent {origin} {what}.")

    need(inspect.isclass(made), "is not a class")
    name, does, asks = (getattr(made, field, None) for field in ("name", "does", "asks"))
    named = isinstance(name, str) and NAME.fullmatch(name) and name not in RESERVED
    need(bool(named), f"needs a `name` of its own in lower-case letters, and not {name!r}")
    described = isinstance(does, str) and bool(does.strip())
    need(described, "needs `does`, a sentence that says what it does")
    is_model = inspect.isclass(asks) and issubclass(asks, BaseModel)
    need(is_model, "needs `asks`, the pydantic model of its requests")
    handles = inspect.iscoroutinefunction(getattr(made, "handle", None))
    need(handles, "needs `async def handle(self, request, about)`")
    request_model = cast("type[BaseModel]", asks)
    try:
        schema = request_model.model_json_schema()
    except BaseException as error:  # noqa: BLE001 - it may have methods of the plugin author.
        _let_ctrl_c_pass(error)
        reason = getattr(error, "message", str(error))
        message = f"The agent {origin} needs `asks` to have a JSON schema: {reason}."
        raise UnusablePlugin(message) from None
    return Plugin(
        made, cast("str", name), cast("str", does), request_model, schema, **_options(made, need)
    )


def _options(made: type[Any], need: Callable[[bool, str], None]) -> dict[str, Any]:
    """The attributes that a class may leave out."""
    when, retries_s = getattr(made, "when", ()), getattr(made, "retries_s", None)
    are_words = isinstance(when, list | tuple) and all(isinstance(word, str) for word in when)
    need(are_words, 'needs words in `when`, such as ("price", "cost")')
    need(
        retries_s is None or _are_delays(retries_s),
        "needs seconds in `retries_s`, such as (0.0, 0.5)",
    )
    on_failure = getattr(made, "on_failure", "degrade")
    need(on_failure in ("degrade", "fail"), 'needs `on_failure` to be "degrade" or "fail"')
    numbers = {}
    for field, default, most in (("concurrency", 4, 1_024), ("mailbox", 64, 65_536)):
        numbers[field] = number = getattr(made, field, default)
        is_count = isinstance(number, int) and _is_number(number, 1, most)
        need(is_count, f"needs `{field}` to be a whole number from 1 to {most:,}")
    return {
        "when": tuple(when),
        "retries_s": None if retries_s is None else tuple(map(float, retries_s)),
        "on_failure": on_failure,
        **numbers,
    }


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and least <= value <= most


def _are_delays(value: Any) -> bool:
    several = isinstance(value, list | tuple) and len(value) <= MOST_RETRIES
    return several and all(_is_number(seconds, 0, 3_600) for seconds in value)


# --- finding it -----------------------------------------------------------------------------------


def load_plugins(named: Iterable[str]) -> tuple[Plugin, ...]:
    """The plugins named in the settings, then those of packages; raises `UnusablePlugin`."""
    found: dict[str, Plugin] = {}
    made = [(origin, _named(origin)) for origin in named]
    points = entry_points(group=ENTRY_POINTS)
    made += [(f"{one.name} = {one.value}", _of_package(one)) for one in points]
    for origin, one in made:
        plugin = describe_plugin(one, origin)
        if plugin.name in found and found[plugin.name].make is not plugin.make:
            raise UnusablePlugin(
                f"The agent {origin} has the name of another agent, {plugin.name!r}."
            )
        found[plugin.name] = plugin
    return tuple(found.values())


def _named(origin: str) -> Any:
    """The class at "FILE.py:NAME" or "MODULE:NAME"."""
    place, colon, name = origin.rpartition(":")
    if not colon or not name.isidentifier():
        raise UnusablePlugin(f'An agent is named like "my_agents.py:MyAgent", not {origin!r}.')
    try:
        module = _of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except BaseException as error:  # The module is the plugin author's code.
        raise _not_loaded(origin, error) from error
    if not hasattr(module, name):
        raise UnusablePlugin(f"The agent {origin} cannot be loaded: there is no {name} in it.")
    return getattr(module, name)


def _of_file(path: Path) -> Any:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    name = f"terzetto_own_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses and pydantic look their module up.
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_package(point: Any) -> Any:
    try:
        return point.load()
    except BaseException as error:  # The package is the plugin author's code.
        raise _not_loaded(f"{point.name} = {point.value}", error) from error


def _let_ctrl_c_pass(error: BaseException) -> None:
    """Raise a KeyboardInterrupt again: while a plugin is loaded, it is a person's Ctrl-C."""
    if isinstance(error, KeyboardInterrupt):
        raise error


def _not_loaded(origin: str, error: BaseException) -> UnusablePlugin:
    _let_ctrl_c_pass(error)
    return UnusablePlugin(f"The agent {origin} cannot be loaded: {type(error).__name__}: {error}")


# --- running it -----------------------------------------------------------------------------------


class _Reply(BaseModel):
    """A passage that can be stored and read again."""

    model_config = ConfigDict(from_attributes=True)

    document_id: str
    title: str
    section: str
    position: Annotated[int, Field(ge=0, le=1_000_000_000)]
    text: str
    score: FiniteFloat


class PluginActor:
    """Runs a plugin.

    Failure mode: the plugin's `on_failure`. "degrade": the task goes on without its passages.
    """

    def __init__(self, plugin: Plugin) -> None:
        self.name, self.does = plugin.name, plugin.does
        self._read = plugin.read
        try:
            self._agent = plugin.make()
        except BaseException as error:  # The constructor is the plugin author's code.
            _let_ctrl_c_pass(error)
            why = f"{type(error).__name__}: {error}"
            raise UnusablePlugin(f"The agent {self.name} cannot be made: {why}") from error

    async def handle(self, request: CallTool, call: Call[Any]) -> Evidence:
        """The passages that the plugin replies with; a text becomes a passage."""
        arguments = self._read(request.arguments)
        about = About(request.key, request.question.text, request.task_description)
        with contained(f"the agent {self.name}", self._failed):
            reply = await apart(self.name, self._agent.handle, arguments, about)
            passages = tuple(self._passages(reply))
        return Evidence(request.question, passages)

    def _failed(self, error: BaseException) -> AgentFailed:
        kind = type(error).__name__
        return AgentFailed(f"The agent {self.name} failed ({kind}); the log says more.")

    def _passages(self, reply: Any) -> Iterable[Passage]:
        several = reply if isinstance(reply, list | tuple) else [reply]
        if not all(isinstance(one, str | Passage) for one in several):
            raise AgentFailed(f"The agent {self.name} must reply with texts or passages.")
        for number, one in enumerate(several[:MOST_PASSAGES], start=1):
            if isinstance(one, str):
                one = Passage(self.name, self.does, "", number, one)
            passage = self._checked(one)
            if passage.text.strip():
                yield passage

    def _checked(self, passage: Passage) -> Passage:
        try:
            given = _Reply.model_validate(passage)
        except ValidationError as error:
            first = error.errors()[0]
            raise AgentFailed(
                f"The agent {self.name} replies with a passage that cannot be used: "
                f"{first['loc'][0]}: {first['msg']}."
            ) from None
        return Passage(
            _cut(given.document_id, MOST_NAME),
            _cut(given.title, MOST_NAME),
            _cut(given.section, MOST_NAME),
            given.position,
            _cut(given.text, MOST_CHARACTERS),
            given.score,
        )


def _cut(text: str, most: int) -> str:
    """The first `most` characters, without halves of surrogate pairs."""
    return text[:most].encode(errors="replace").decode()
