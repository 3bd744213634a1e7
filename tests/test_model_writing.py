"""A writer with a language model: its text streams as it comes, checked, and ends with our sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import trio
from scripted import NoLibrary
from scripted_model import ScriptedModel, Slot, plan
from trio.testing import MockClock

from actors.agents.extractive.report import parts
from actors.clock import virtual_clock
from actors.errors import ModelRejected, ModelUnavailable
from actors.library.retrieval import Found, Query
from actors.messages import Write
from actors.models.parts import PART_S
from actors.settings import Settings
from actors.system import open_system
from actors.tasks.evidence import CitationFigures, Finding, Findings, Passage, Report, Section
from actors.tasks.failure import Failure
from actors.usage import Usage
from actors.wiring import model_analyzer, model_writer

TASK = "What is a green frog? What is a brown toad?"
PLAN = plan(TASK)
BOOK = Passage("b", "The [Pond](http://evil.example)", "Frogs", 3, "A frog is green.")
NOTES = Passage("n", "Notes", "", 1, "Toads sleep in winter. See https://good.example/toads.")
OTHER = Passage("o", "Other", "", 2, "Frogs and toads are amphibians.")
FINDINGS = Findings(
    (
        Section(PLAN.questions[0], (Finding("A frog is green.", 0, 1.0),)),
        Section(PLAN.questions[1]),
    ),
    (BOOK, NOTES),
    passages=(BOOK, NOTES, OTHER),
)
HEAD = f"# {TASK}\n\n"


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
    _, unsure, listed = model.prompts[0].user.partition("The library may not answer these.")
    assert unsure and "What is a brown toad?" in listed and "What is a green frog?" not in listed


async def test_nothing_found_is_said_without_asking_a_model() -> None:
    nothing = Findings(tuple(Section(q) for q in PLAN.questions))

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


@pytest.mark.parametrize(
    ("section", "why"),
    [(Section(PLAN.questions[0]), "nothing"), (Section(PLAN.questions[0], answers=False), "close")],
)
async def test_a_model_is_asked_whenever_there_are_passages(section: Section, why: str) -> None:
    findings = Findings((section,), passages=(NOTES, OTHER))

    text, report, model = await written(["Toads sleep in winter [1]."], findings=findings)

    assert "Toads sleep in winter [1]." in text
    assert report.degraded is None
    assert "The library may not answer these." in model.prompts[0].user


async def test_the_task_gets_no_section_of_its_own_in_a_models_plan() -> None:
    task = replace(PLAN.questions[0], text="Frogs and toads?")
    made = replace(PLAN, questions=(task, *PLAN.questions[1:]), by_model=True)
    model = ScriptedModel(texts=[["Frogs are green [1]."]])

    await model_writer(model).handle(Write("t/s5", "Frogs and toads?", made, FINDINGS), Slot())

    assert "Questions:\n- What is a brown toad?\n" in model.prompts[0].user


UNCITED = "The model's text cites no source."


async def test_below_a_text_that_cites_nothing_stand_the_excerpts() -> None:
    text, report, _ = await written(["Frogs are blue. Toads too [9]."])

    assert text == (
        f"{HEAD}Frogs are blue. Toads too.\n\n"
        "## Excerpts from the sources\n\n*The text above cites no source.*\n\n"
        "A frog is green. [1]\n\n"
        "## Sources\n\n- [1] The Pond, section “Frogs”, passage 3\n- [2] Notes, passage 1\n"
    )
    assert [source.n for source in report.sources] == [1, 2]
    assert report.degraded is not None
    assert report.degraded.message.startswith(UNCITED)
    assert report.citations == CitationFigures(0, 1, 1, 0)


async def test_without_excerpts_a_text_that_cites_nothing_is_degraded_alone() -> None:
    findings = Findings((Section(PLAN.questions[0]),), passages=(NOTES,))

    text, report, _ = await written(["Frogs are blue."], findings=findings)

    assert text == f"{HEAD}Frogs are blue.\n\n## Sources\n\nThe text cites no source.\n"
    assert report.degraded is not None and report.degraded.message == UNCITED


async def test_an_uncited_text_that_was_also_cut_off_says_both() -> None:
    _, report, _ = await written(["word " * 100] * 1_000, max_tokens=1_000)

    assert report.degraded is not None
    assert report.degraded.code == "output_too_large"
    assert report.degraded.message.startswith(UNCITED)
    assert "more to write" in report.degraded.message


@pytest.mark.parametrize("cited", [True, False])
async def test_the_sample_library_is_named_if_one_of_its_documents_is_cited(cited: bool) -> None:
    findings = replace(FINDINGS, sample=True, sample_documents=("n",))

    text, _, _ = await written([f"Toads sleep [{2 if cited else 1}]."], findings=findings)

    assert ("sample library" in text) is cited


async def test_what_could_not_be_searched_is_said_first() -> None:
    missed = (Failure("tool_failed", "The tool a/b answered with an error: [x](y)"),)
    section = replace(FINDINGS.sections[0], missed=missed)
    findings = replace(FINDINGS, sections=(section, *FINDINGS.sections[1:]))

    text, _, _ = await written(["Frogs are green [1]."], findings=findings)

    note = "*Not searched: The tool a/b answered with an error: \\[x](y)*\n\n"
    assert text.startswith(f"{HEAD}{note}Frogs are green [1].")


async def test_a_model_without_a_first_text_in_time_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    began = trio.current_time()

    options: dict[str, Any] = {"fallback_to_extractive": True, "first_text_s": 60}
    text, report, _ = await written([61.0, "Frogs are green [1]."], **options)

    assert trio.current_time() - began == pytest.approx(60)
    assert text == "".join(parts(TASK, FINDINGS))
    assert report.degraded is not None
    assert report.degraded.message == "scripted:1 wrote nothing within 60 s."


async def test_after_its_first_text_a_model_may_take_longer(autojump_clock: MockClock) -> None:
    options: dict[str, Any] = {"fallback_to_extractive": True, "first_text_s": 60}
    text, report, _ = await written([59.0, "Frogs are ", 59.0, "green [1]."], **options)

    assert "Frogs are green [1]." in text
    assert report.degraded is None


async def test_a_text_that_goes_on_for_too_long_ends_there(autojump_clock: MockClock) -> None:
    said = [piece for _ in range(99) for piece in ("Frogs are green [1]. ", 5.0)]
    model, slot = ScriptedModel(texts=[said]), Slot()

    report = await model_writer(model, whole_text_s=60).handle(request(), slot)

    assert slot.text.count("Frogs are green [1].") == 13
    assert slot.text.endswith("passage 3\n")
    assert report.degraded is not None and "too long to write" in report.degraded.message


@pytest.mark.parametrize(("last", "asked_again"), [(False, True), (True, False)])
async def test_a_failure_is_retried_before_the_report_is_written_without_the_model(
    last: bool, asked_again: bool
) -> None:
    model = ScriptedModel(texts=[[ModelUnavailable("away")]])
    writer = model_writer(model, fallback_to_extractive=True)

    try:
        report = await writer.handle(replace(request(), last_attempt=last), Slot())
    except ModelUnavailable:
        assert asked_again
    else:
        assert not asked_again and report.degraded is not None


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
    assert whole.count(HEAD) == 1
    assert whole.count("## Sources") == 1
    assert whole.count("\n```") % 2 == 0
    assert report.sources[-1].n == 2


@pytest.mark.parametrize("said", ["Frogs are green [1].", "Frogs are blue."])
async def test_a_report_that_was_whole_is_only_answered_for(said: str) -> None:
    whole, first, _ = await written([said])

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
        async def find(self, query: Query, *, limit: int) -> Found:
            return Found((Passage("b", "The Pond", "Frogs", 3, "A frog is a green animal."),))

    plans = [{"questions": [{"question": "What is a frog?", "search": "frog"}]}]
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
