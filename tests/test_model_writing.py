"""A writer with a language model: its text streams as it comes, checked, and ends with our sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import trio
from scripted import NoLibrary
from scripted_model import ScriptedModel, Slot
from trio.testing import MockClock

from actors.agents.extractive.planning import plan
from actors.agents.extractive.report import parts
from actors.agents.model.writer import PART_S
from actors.clock import virtual_clock
from actors.errors import ModelRejected, ModelUnavailable
from actors.library.documents import Hits
from actors.messages import Write
from actors.settings import Settings
from actors.system import open_system
from actors.tasks.evidence import CitationFigures, Finding, Findings, Passage, Report, Section
from actors.usage import Usage
from actors.wiring import model_analyzer, model_writer

TASK = "What is a frog? What is a toad?"
PLAN = plan(TASK)
BOOK = Passage("b", "The [Pond](http://evil.example)", "Frogs", 3, "A frog is green.")
NOTES = Passage("n", "Notes", "", 1, "Toads sleep in winter. See https://good.example/toads.")
OTHER = Passage("o", "Other", "", 2, "Frogs and toads are amphibians.")
FINDINGS = Findings(
    (Finding("A frog is green.", 0, 1.0),),
    (Section(PLAN.questions[0], in_answer=True), Section(PLAN.questions[1])),
    (BOOK, NOTES),
    passages=(BOOK, NOTES, OTHER),
)
HEAD = "# What is a frog?\n\n"


def request(findings: Findings = FINDINGS, kept: str = "") -> Write:
    return Write("t/s5", TASK, PLAN, findings, kept)


async def written(
    *texts: Sequence[Any], findings: Findings = FINDINGS, kept: str = "", **more: Any
) -> tuple[str, Report, ScriptedModel]:
    model = ScriptedModel(texts=texts, can_continue=True)
    slot = Slot()
    report = await model_writer(model, **more).handle(request(findings, kept), slot)
    assert model.open == 0
    return kept + slot.text, report, model


async def test_a_report_is_our_title_the_models_text_and_our_sources() -> None:
    text, report, model = await written(
        [
            "## Answer\n\nA frog is ",
            "green [",
            "1]. It has wings [9]. Bo",
            "th are amphibians [3].\n",
        ]
    )

    assert text == (
        f"{HEAD}## Answer\n\nA frog is green [1]. It has wings. Both are amphibians [3].\n\n"
        "## Sources\n\n"
        "- [1] The Pond, section “Frogs”, passage 3\n"
        "- [3] Other, passage 2\n"
    )
    assert [source.n for source in report.sources] == [1, 3]
    assert report.citations == CitationFigures(2, 1, 1, 0)
    assert report.usage == Usage(200, 4)
    assert report.degraded is None
    assert "The library has nothing on these" in model.prompts[0].user
    assert "What is a toad?" in model.prompts[0].user.partition("has nothing")[2]


async def test_nothing_found_is_said_without_asking_a_model() -> None:
    nothing = Findings((), tuple(Section(q) for q in PLAN.questions), ())

    text, report, model = await written(findings=nothing)

    assert text == "".join(parts(TASK, nothing))
    assert model.prompts == []
    assert report == Report(())


async def test_tokens_are_gathered_for_a_moment_and_none_is_held_longer(
    autojump_clock: MockClock,
) -> None:
    said: list[Any] = []
    for word in ["one", "two", "three", "four", "five", "six"]:
        said += [f"{word} ", 0.02]
    slot = Slot()

    await model_writer(ScriptedModel(texts=[[*said, 5.0, "seven [1]."]])).handle(request(), slot)

    assert [round(at, 3) for at in slot.times[:2]] == [PART_S, 0.11]
    assert slot.sent[:2] == [f"{HEAD}one two three", " four five six"]
    assert slot.times[2] > 5


async def test_a_slow_reader_pauses_the_model(autojump_clock: MockClock) -> None:
    class Slow(Slot):
        async def part(self, value: Any) -> None:
            await trio.sleep(10)
            await super().part(value)

    came: list[str] = []

    class Told(list[str]):
        def __iter__(self) -> Any:
            for word in ["word " * 400] * 100:
                came.append(word)
                yield word

    slot = Slow()
    with trio.move_on_after(25):
        await model_writer(ScriptedModel(texts=[Told()])).handle(request(), slot)

    assert len(slot.sent) == 2
    assert len(came) < 40


async def test_leaving_closes_the_models_stream(autojump_clock: MockClock) -> None:
    model = ScriptedModel(texts=[["Frogs are green [1]. ", 1000.0]])
    slot = Slot()

    with trio.move_on_after(1) as scope:
        await model_writer(model).handle(request(), slot)

    assert scope.cancelled_caught
    assert slot.text == f"{HEAD}Frogs are green [1]."
    assert model.open == 0


async def test_what_came_before_a_failure_is_sent_and_the_error_says_what_was_used() -> None:
    error = ModelUnavailable("cut")
    model = ScriptedModel(texts=[["Frogs are ", "green [1]. To", error]])
    slot = Slot()

    with pytest.raises(ModelUnavailable) as caught:
        await model_writer(model, fallback_to_extractive=True).handle(request(), slot)

    assert caught.value is error
    assert error.usage == Usage(200, 2)
    assert slot.text == f"{HEAD}Frogs are green [1]."


@pytest.mark.parametrize("said", [[], ["   \n"], ["[99]"], ["## Sources\n1. x"]])
async def test_a_model_that_writes_nothing_has_failed(said: list[str]) -> None:
    with pytest.raises(ModelUnavailable):
        await written(said)


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelRejected("no key")])
async def test_with_a_fallback_the_report_is_put_together_without_the_model(error: Any) -> None:
    text, report, _ = await written([error], fallback_to_extractive=True)

    assert text == "".join(parts(TASK, FINDINGS))
    assert [source.n for source in report.sources] == [1, 2]
    assert report.degraded is not None
    assert report.degraded.code == error.code
    assert report.citations is None


async def test_a_retry_goes_on_from_the_text_that_was_kept() -> None:
    kept = f"{HEAD}## Answer\n\nFrogs are green [1]. Toads"

    text, report, model = await written([" sleep [", "2] [9].\n"], kept=kept)

    assert text.startswith(f"{kept} sleep [2].\n\n## Sources\n\n- [1] ")
    assert [source.n for source in report.sources] == [1, 2]
    assert model.prompts[0].goes_on_from == "## Answer\n\nFrogs are green [1]. Toads"
    assert report.citations == CitationFigures(2, 0, 1, 0)


@pytest.mark.parametrize("cut", range(1, 9))
async def test_wherever_an_attempt_ends_the_next_one_can_go_on(cut: int) -> None:
    said = [
        "Frogs ",
        "are gre",
        "en [",
        "1",
        "]. Call `a",
        "[9]` now. ",
        "```\nx",
        " = 1\n",
        "```\nA",
    ]
    model = ScriptedModel(texts=[[*said[:cut], ModelUnavailable("cut")], [" and more [2]."]])
    writer, first, second = model_writer(model), Slot(), Slot()
    with pytest.raises(ModelUnavailable):
        await writer.handle(request(), first)

    report = await writer.handle(request(kept=first.text), second)

    whole = first.text + second.text
    assert whole.count("# What is a frog?") == 1
    assert whole.count("## Sources") == 1
    assert whole.count("\n```") % 2 == 0
    assert report.sources[-1].n == 2


async def test_a_report_that_was_whole_is_only_answered_for() -> None:
    whole, first, _ = await written(["Frogs are green [1]."])

    text, report, model = await written(kept=whole)

    assert text == whole
    assert model.prompts == []
    assert report.sources == first.sources


async def test_a_report_begun_without_the_model_is_ended_without_it() -> None:
    whole = "".join(parts(TASK, FINDINGS))

    text, report, model = await written(kept=whole[:60])

    assert text == whole
    assert model.prompts == []
    assert report.degraded is not None


async def test_a_model_that_never_stops_is_stopped() -> None:
    text, report, _ = await written(["word [1]. " * 100] * 1_000, max_tokens=1_000)

    assert len(text) < 12_000
    assert text.rstrip().endswith("passage 3")
    assert report.degraded is not None
    assert report.degraded.code == "output_too_large"


async def test_the_models_own_list_of_sources_is_dropped() -> None:
    text, _, _ = await written(["Frogs are green [1].\n\n## Sources\n\n1. My own\n2. Yours\n"])

    assert text.count("## Sources") == 1
    assert "My own" not in text


async def test_a_task_runs_through_both(autojump_clock: MockClock) -> None:
    class Pond(NoLibrary):
        async def search(self, query: str, *, limit: int) -> Hits:
            return Hits((Passage("b", "The Pond", "Frogs", 3, "A frog is a green animal."),), False)

    plans = [{"questions": [{"question": "What is a frog?", "search": "frog"}], "intents": []}]
    model = ScriptedModel(
        plans=[ModelUnavailable("busy"), *plans],
        texts=[["A frog is", ModelUnavailable("cut")], ["A frog is a green animal [1]."]],
    )
    agents: Any = {"analyzer": lambda: model_analyzer(model), "writer": lambda: model_writer(model)}
    settings, pond = Settings(data_dir=None), cast(Any, Pond())
    async with open_system(settings, library=pond, agents=agents, now=virtual_clock) as system:
        task = await system.create("What is a frog?")
        events = [event async for event in system.execute(task.task_id)]

    kinds = [event.event_type for event in events]
    assert kinds.count("step_retrying") == 2
    assert kinds[-1] == "task_completed"
    assert "A frog is a green animal [1].\n\n## Sources" in events[-1].data["final_output"]
    assert [source["n"] for source in events[-1].data["sources"]] == [1]
