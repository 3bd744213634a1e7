"""Plugins: found, planned, called and retried, and their failures handled as they say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import trio
from pydantic import BaseModel, field_validator
from scripted import Cast
from scripted_model import plan

from actors import About, Passage, Settings, open_system
from actors.agents.extractive.questions import questioned
from actors.agents.plugin import UnusablePlugin, describe_plugin, load_plugins
from actors.errors import ActorStopped
from actors.runtime.cooperative import at_once
from actors.tasks.events import Stamped
from actors.tasks.plan import Plan
from actors.tasks.planning import assemble_plan
from actors.tasks.tool_options import ToolOption

README = Path(__file__).parents[1] / "README.md"


class Lookup(BaseModel):
    product: str


class Prices:
    name = "prices"
    does = "Looks up prices."
    asks: ClassVar[type[BaseModel]] = Lookup
    when = ("price", "cost")
    retries_s = (0.0, 0.0)

    asked: ClassVar[list[tuple[Lookup, About]]] = []
    replies: ClassVar[list[Any]] = []

    async def handle(self, request: Lookup, about: About) -> Any:
        self.asked.append((request, about))
        reply = self.replies.pop(0) if self.replies else "A frog costs four coins at the market."
        if isinstance(reply, Exception):
            raise reply
        return reply


class MustHave(Prices):
    name = "must_have"
    on_failure = "fail"


@pytest.fixture(autouse=True)
def fresh() -> None:
    Prices.asked.clear()
    Prices.replies.clear()


async def run(agent: str, task: str) -> list[Stamped]:
    settings = Settings(data_dir=None, agents=(f"test_plugins:{agent}",))
    async with open_system(settings) as system:
        created = await system.create(task)
        return [event async for event in system.execute(created.task_id)]


def planned(task: str, option: ToolOption) -> Plan:
    return assemble_plan(at_once(questioned(task)), (option,))


def of(log: list[Stamped], kind: str, agent: str) -> list[dict[str, Any]]:
    steps = {
        step["step_id"]
        for event in log
        if event.event_type == "plan_created"
        for step in event.data["steps"]
        if step["agent_type"] == agent
    }
    return [e.data for e in log if e.event_type == kind and e.data.get("step_id") in steps]


async def test_an_agent_is_asked_what_it_is_for_and_its_reply_is_cited() -> None:
    log = await run("Prices", "What does a frog cost? Where do toads live?")
    ((request, about),) = Prices.asked
    assert request == Lookup(product="What does a frog cost?")
    assert about.task_description == "What does a frog cost? Where do toads live?"
    assert re.fullmatch(rf"{log[0].task_id}/s\d", about.key)
    assert "A frog costs four coins at the market." in log[-1].data["final_output"]
    assert log[-1].data["sources"][0]["document_id"] == "prices"


class Counted(Prices):
    name = "counted"
    made = 0

    def __init__(self) -> None:
        type(self).made += 1


async def test_an_agent_is_made_once_as_it_may_open_what_it_needs() -> None:
    Counted.made = 0
    await run("Counted", "What does a frog cost?")
    assert Counted.made == 1


async def test_an_agent_is_not_asked_what_it_is_not_for() -> None:
    log = await run("Prices", "Where do toads live?")
    assert not Prices.asked
    assert not of(log, "step_started", "prices")


async def test_an_agent_is_asked_as_often_as_it_says_then_the_task_goes_on_without() -> None:
    Prices.replies += [ValueError("a bug")] * 3
    log = await run("Prices", "What does a frog cost?")
    assert len(of(log, "step_started", "prices")) == 3
    (done,) = of(log, "step_completed", "prices")
    assert done["degraded"] and done["error"]["code"] == "agent_failed"
    assert "a bug" not in done["error"]["message"]
    assert log[-1].event_type == "task_completed"


async def test_an_agent_without_which_the_task_makes_no_sense_fails_it() -> None:
    Prices.replies += [ValueError("a bug")] * 3
    log = await run("MustHave", "What does a frog cost?")
    assert log[-1].event_type == "task_failed"
    assert log[-1].data["error"]["code"] == "agent_failed"


async def test_many_bugs_of_an_agent_do_not_end_the_system() -> None:
    Prices.replies += [ValueError("a bug")] * 30
    settings = Settings(data_dir=None, agents=("test_plugins:Prices",))
    async with open_system(settings) as system:
        for _ in range(8):
            task = await system.create("What does a frog cost?")
            last = [event async for event in system.execute(task.task_id)][-1]
            assert last.event_type == "task_completed"
        restarts = {agent.name: agent.restarts for agent in system.agents()}
    assert restarts["prices"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        Passage("d9", "Prices of 2026", "Frogs", 3, "A frog costs four coins."),
        [
            Passage("d9", "Prices of 2026", "Frogs", 3, "A frog costs four coins."),
            "Toads are free.",
        ],
    ],
)
async def test_a_reply_may_be_passages_and_texts(reply: Any) -> None:
    Prices.replies.append(reply)
    log = await run("Prices", "What does a frog cost?")
    assert log[-1].data["sources"][0]["title"] == "Prices of 2026"


async def test_a_reply_that_is_neither_is_a_failure_of_the_step() -> None:
    Prices.replies += [{"price": 4}] * 3
    log = await run("Prices", "What does a frog cost?")
    (done,) = of(log, "step_completed", "prices")
    assert "must reply with texts or passages" in done["error"]["message"]


class Odd(BaseModel):
    product: str

    @field_validator("product")
    @classmethod
    def _buggy(cls, value: str) -> str:
        raise KeyError(value)


class OddlyAsked(Prices):
    name = "oddly_asked"
    asks = Odd


async def test_a_bug_in_the_model_of_what_it_is_asked_is_a_failure_of_the_step() -> None:
    settings = Settings(data_dir=None, agents=("test_plugins:OddlyAsked",))
    async with open_system(settings) as system:
        for _ in range(8):
            task = await system.create("What does a frog cost?")
            log = [event async for event in system.execute(task.task_id)]
        restarts = {agent.name: agent.restarts for agent in system.agents()}
    (done,) = of(log, "step_completed", "oddly_asked")
    assert "its model failed (KeyError)" in done["error"]["message"]
    assert log[-1].event_type == "task_completed"
    assert restarts["oddly_asked"] == 0


@pytest.mark.parametrize(
    ("passage", "told"),
    [
        (Passage("d", "t", "", 1, None), "text: "),  # type: ignore[arg-type]
        (Passage("d", None, "", 1, "A frog."), "title: "),  # type: ignore[arg-type]
        (Passage("d", "t", "", "first", "A frog."), "position: "),  # type: ignore[arg-type]
        (Passage("d", "t", "", -1, "A frog."), "position: "),
        (Passage("d", "t", "", 1, "A frog.", math.nan), "score: "),
        (Passage("d", "t", "", 1, "A frog.", math.inf), "score: "),
    ],
    ids=["no text", "no title", "a word for a number", "before the first", "NaN", "infinite"],
)
async def test_a_passage_that_cannot_be_stored_is_a_failure_of_the_step(
    passage: Passage, told: str
) -> None:
    Prices.replies += [passage] * 3
    log = await run("Prices", "What does a frog cost?")
    (done,) = of(log, "step_completed", "prices")
    assert done["error"]["code"] == "agent_failed"
    assert f"replies with a passage that cannot be used: {told}" in done["error"]["message"]
    assert log[-1].event_type == "task_completed"


async def test_a_reply_is_bounded_and_cleaned() -> None:
    text = "A frog costs four coins. " * 1_000
    Prices.replies += [[Passage("d\ud800" * 999, "Frogs " * 999, "x" * 999, 1, text)] * 99]
    log = await run("Prices", "What does a frog cost?")
    (done,) = of(log, "step_completed", "prices")
    assert done["result"]["passages"] == 24
    (source,) = log[-1].data["sources"]
    sizes = {name: len(source[name]) for name in ("document_id", "title", "section", "text")}
    assert sizes == {"document_id": 300, "title": 300, "section": 300, "text": 8_000}


class Stubborn(Prices):
    name = "stubborn"

    async def handle(self, request: Lookup, about: About) -> Any:
        async def guarded() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("a bug in the tidying up")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(guarded)
            nursery.start_soon(trio.sleep_forever)
            self.asked.append((request, about))


async def test_a_bug_while_it_is_cancelled_ends_neither_agent_nor_system(
    autojump_clock: trio.testing.MockClock,
) -> None:
    settings = Settings(data_dir=None, agents=("test_plugins:Stubborn",))
    async with open_system(settings) as system:
        for _ in range(8):
            task = await system.create("What does a frog cost?")
            await system.start(task.task_id)
            asked = len(Prices.asked)
            while len(Prices.asked) == asked:
                await trio.sleep(0.01)
            assert (await system.cancel(task.task_id)).status == "cancelled"
        restarts = {agent.name: agent.restarts for agent in system.agents()}
    assert restarts["stubborn"] == 0


async def _stale() -> trio.Cancelled:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as kept:
            return kept
    raise AssertionError


class Leaving(Prices):
    """Raises what no `except Exception` catches."""

    name = "leaving"
    raised: ClassVar[BaseException | None] = None

    async def handle(self, request: Lookup, about: About) -> Any:
        raise self.raised or await _stale()


class OddModel(BaseModel):
    product: str

    @field_validator("product")
    @classmethod
    def _leave(cls, value: str) -> str:
        raise SystemExit(3)


class OddlyModelled(Prices):
    name = "oddly_modelled"
    asks = OddModel


class OddText(str):
    def strip(self, chars: str | None = None, /) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    "raised",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        type("Stop", (BaseException,), {})("stop"),
        BaseExceptionGroup("both", [SystemExit(3), ValueError("a bug")]),
        ActorStopped("It has not."),
        None,
    ],
    ids=["sys.exit", "Ctrl-C", "GeneratorExit", "its own", "a group", "an error of ours", "stale"],
)
async def test_whatever_an_agent_raises_fails_its_step_alone(
    raised: BaseException | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Leaving, "raised", raised)
    log, restarts = await run_often("Leaving")
    assert len(of(log, "step_started", "leaving")) == 3
    (done,) = of(log, "step_completed", "leaving")
    assert done["degraded"] and done["error"]["code"] == "agent_failed"
    assert log[-1].event_type == "task_completed"
    assert restarts["leaving"] == 0


async def run_often(agent: str) -> tuple[list[Stamped], dict[str, int]]:
    """The log of the last of eight tasks, and the restarts of each actor."""
    settings = Settings(data_dir=None, agents=(f"test_plugins:{agent}",))
    async with open_system(settings) as system:
        for _ in range(8):
            task = await system.create("What does a frog cost?")
            log = [event async for event in system.execute(task.task_id)]
        return log, {agent.name: agent.restarts for agent in system.agents()}


class Untidy(Prices):
    name = "untidy"
    opened: ClassVar[list[trio.CancelScope]] = []

    async def handle(self, request: Lookup, about: About) -> Any:
        self.opened.append(trio.CancelScope(deadline=trio.current_time() + 1))
        self.opened[-1].__enter__()
        return "A frog costs four coins."


async def test_a_scope_that_an_agent_leaves_open_fails_its_step_alone(
    autojump_clock: object,
) -> None:
    log, restarts = await run_often("Untidy")
    (done,) = of(log, "step_completed", "untidy")
    assert "failed (RuntimeError)" in done["error"]["message"]
    assert log[-1].event_type == "task_completed"
    assert restarts["untidy"] == 0


async def test_a_model_and_a_reply_that_exit_fail_their_step_alone() -> None:
    log, restarts = await run_often("OddlyModelled")
    (done,) = of(log, "step_completed", "oddly_modelled")
    assert "its model failed (SystemExit)" in done["error"]["message"]
    assert restarts["oddly_modelled"] == 0

    Prices.replies += [OddText("A frog costs four coins.")] * 99
    log, restarts = await run_often("Prices")
    assert log[-1].event_type == "task_completed"
    assert restarts["prices"] == 0


async def test_a_module_that_exits_when_it_is_loaded_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "leaving.py"
    file.write_text("raise SystemExit(3)")
    with pytest.raises(UnusablePlugin, match="cannot be loaded: SystemExit: 3"):
        load_plugins([f"{file}:Mine"])


class Unmade(Prices):
    name = "unmade"

    def __init__(self) -> None:
        raise OSError("no price list")


async def test_an_agent_that_cannot_be_made_stops_the_start() -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(
            UnusablePlugin, match="The agent unmade cannot be made: OSError: no price"
        ),
        flatten_subgroups=True,
    ):
        await run("Unmade", "What does a frog cost?")


class Size(BaseModel):
    size: Literal["small", "large"]


class Sized(Prices):
    name = "sized"
    asks = Size


async def test_a_question_is_no_answer_to_which_of_some_words() -> None:
    log = await run("Sized", "What does a frog cost?")
    assert not of(log, "step_started", "sized")


# --- how plans see them ---------------------------------------------------------------------------


def test_a_plan_calls_tools_beside_the_library() -> None:
    tool_option = ToolOption("prices", "Looks up prices.", "product", ("price",))
    made = plan("Compare the prices of frogs and toads", tool_option)
    further = [question for question in made.questions if question.of]
    assert [q.arguments["product"] for q in further] == [q.text for q in made.questions if not q.of]
    assert "prices" in {step.agent_type for step in made.steps}
    assert set(made.steps[-2].depends_on) == {q.step_id for q in made.questions}


def test_a_tool_that_requires_more_than_a_text_is_left_to_models() -> None:
    made = plan("frogs", ToolOption("map", "Draws maps.", None))
    assert not any(question.of for question in made.questions)


def test_an_agent_is_asked_for_its_one_text_whatever_its_name() -> None:
    assert describe_plugin(Prices, "mine.py:Prices").tool_option().argument == "product"


# --- what cannot be used is refused ------------------------------------------------------------------


class Unshown(BaseModel):
    question: Callable[[], str]


def of_fields(**fields: Any) -> type:
    given = {"name": "a", "does": "It does.", "asks": Lookup, "handle": Prices.handle, **fields}
    return type("Mine", (), {name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "Big"}, "a `name` of its own in lower-case letters"),
        ({"name": "writer"}, "a `name` of its own"),
        ({"does": " "}, "a sentence that says what it does"),
        ({"asks": dict}, "the pydantic model"),
        ({"handle": lambda self: None}, "async def handle"),
        ({"asks": Unshown}, "`asks` to have a JSON schema"),
        ({"when": "price"}, "words in `when`"),
        ({"when": 7}, "words in `when`"),
        ({"when": ("price", 7)}, "words in `when`"),
        ({"retries_s": 0.5}, "seconds in `retries_s`"),
        ({"retries_s": (0.0,) * 17}, "seconds in `retries_s`"),
        ({"retries_s": (-1,)}, "seconds in `retries_s`"),
        ({"on_failure": "ignore"}, '"degrade" or "fail"'),
        ({"concurrency": 0}, "a whole number from 1 to 1,024"),
    ],
)
def test_a_class_that_does_not_say_what_it_must_is_refused(fields: Any, told: str) -> None:
    with pytest.raises(UnusablePlugin, match=re.escape(told)):
        describe_plugin(of_fields(**fields), "mine.py:Mine")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("mine.py", 'named like "my_agents.py:MyAgent"'),
        ("nowhere.py:Mine", "there is no"),
        ("no_such_module:Mine", "No module named"),
        ("test_plugins:Nobody", "there is no Nobody in it"),
    ],
)
def test_an_agent_that_is_not_there_is_refused(named: str, told: str) -> None:
    with pytest.raises(UnusablePlugin, match=re.escape(told)):
        load_plugins([named])


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(UnusablePlugin, match="the name of another agent"):
        load_plugins(["test_plugins:Prices", "test_plugins:Twin"])


class Twin(Prices):
    """Another with the same name."""


async def test_the_agent_of_the_readme_works(tmp_path: Path) -> None:
    """The text that people copy from the README."""
    (code,) = re.findall(r"```python\n(# my_agents\.py\n.*?)```", README.read_text(), re.DOTALL)
    file = tmp_path / "my_agents.py"
    file.write_text(code)
    assert len(code.strip().splitlines()) <= 20
    settings = Settings(data_dir=None, agents=(f"{file}:PriceList",))
    async with open_system(settings) as system:
        task = await system.create("What does the blue lamp cost?")
        log = [event async for event in system.execute(task.task_id)]
    assert "The blue lamp costs 40 euros." in log[-1].data["final_output"]
    assert of(log, "step_completed", "prices")


async def test_a_plan_that_names_no_plugin_calls_none(autojump_clock: object) -> None:
    """Scripted agents plan without tools, although a plugin is loaded."""
    settings = Settings(data_dir=None, agents=("test_plugins:Prices",))
    async with open_system(settings, agents=Cast().factories()) as system:
        task = await system.create("What does a frog cost?")
        log = [event async for event in system.execute(task.task_id)]
    assert log[-1].event_type == "task_completed" and not Prices.asked
