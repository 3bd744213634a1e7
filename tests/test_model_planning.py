"""An analyzer with a language model: the model proposes questions, and the same code makes the plan."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import trio
from scripted_model import ASKED, ScriptedModel, Slot, plan

from actors.agents.analyzer import synthesize
from actors.agents.model.passages import MOST_CHARACTERS, MOST_PASSAGES
from actors.agents.model.proposal import (
    ProposedPlan,
    ProposedQuestion,
    accept_questions,
)
from actors.errors import ModelRejected, ModelUnavailable
from actors.messages import Analyze, Synthesize
from actors.models.breaker import CircuitOpen
from actors.models.model import InvalidAnswer, ModelTooSlow
from actors.runs.steps import dump_output, load_output
from actors.tasks.evidence import Evidence, Findings, Passage
from actors.tasks.plan import Plan
from actors.tasks.planning import MAX_QUESTIONS, QuestionDraft
from actors.usage import Usage
from actors.wiring import model_analyzer

TASK = "Compare frogs with toads, then recommend one"


def proposed(*questions: tuple[str, str]) -> dict[str, Any]:
    return {"questions": [{"question": text, "search": search} for text, search in questions]}


GOOD = proposed(("What do frogs need?", "frogs needs care"), ("What do toads need?", "toads care"))
NAMES = ("frogs", "toads", "newts", "storks", "snakes", "herons", "otters", "beavers")
EMPTY = proposed(("???", "..."), ("[1] <b>", "http://evil.example"))


async def planned(model: ScriptedModel, **more: Any) -> Plan:
    made = await model_analyzer(model, **more).handle(Analyze("t/s1", TASK), Slot())
    assert isinstance(made, Plan)
    return made


async def test_a_plan_is_made_of_the_task_and_the_models_questions() -> None:
    made = await planned(ScriptedModel(plans=[GOOD]))

    own = [(q.text, q.query) for q in made.questions]
    assert own == [
        (TASK, TASK),
        ("What do frogs need?", "What do frogs need? frogs needs care"),
        ("What do toads need?", "What do toads need? toads care"),
    ]
    assert [step.step_id for step in made.steps] == ["s1", "s2", "s3", "s4", "s5", "s6"]
    assert made.steps[-2].depends_on == ("s2", "s3", "s4")
    assert (made.by_model, made.degraded, made.usage) == (True, None, ASKED)


async def test_the_two_sides_of_a_task_are_searched_as_without_a_model() -> None:
    made = await planned(ScriptedModel(plans=[GOOD]))

    assert made.questions[0].sides == plan(TASK).questions[0].sides == ("frogs", "toads")


@pytest.mark.parametrize(
    "same",
    [TASK, "compare the FROG and the toad, then recommend one.", "Recommend one: frogs or toads?"],
)
async def test_a_question_that_nearly_equals_the_task_is_dropped(same: str) -> None:
    task = "Compare frogs with toads and recommend one of both"
    model = ScriptedModel(plans=[proposed((same, "amphibians"), ("What do frogs need?", ""))])

    made = await model_analyzer(model).handle(Analyze("t/s1", task), Slot())

    assert isinstance(made, Plan)
    assert [q.text for q in made.questions] == [task, "What do frogs need?"]
    assert made.questions[0].context == "amphibians"


@pytest.mark.parametrize(
    ("other", "dropped"),
    [
        ("Which red frogs sing loudly at night?", True),
        ("Which red frogs sing at dawn?", False),
        ("Which red frogs sing at night near water loudly?", False),
    ],
)
def test_questions_are_one_from_a_share_of_their_terms_on(other: str, dropped: bool) -> None:
    task = QuestionDraft("Which red frogs sing at night?")

    accepted = accept_questions(ProposedPlan.model_validate(proposed((other, ""))), task)

    assert (len(accepted.questions) == 1) is dropped
    assert accepted.places == ((0,) if dropped else (1,))


async def test_a_task_of_many_words_is_searched_beside_the_models_questions() -> None:
    task = "Frogs sing at night. " * 900 + "Why?"
    model = ScriptedModel(plans=[GOOD])

    made = await model_analyzer(model).handle(Analyze("t/s1", task), Slot())

    assert isinstance(made, Plan)
    assert len(made.questions) == 3
    assert made.questions[0].text.startswith("Frogs sing at night.")
    assert made.questions[0].query.startswith("Frogs sing at night.")


@pytest.mark.parametrize(
    "wrong", ["no json", {"questions": []}, EMPTY, proposed(("x" * 201, "x")), {"steps": []}]
)
async def test_an_unusable_answer_is_asked_for_again_with_what_was_wrong(wrong: Any) -> None:
    model = ScriptedModel(plans=[wrong, GOOD])

    made = await planned(model)

    assert len(made.questions) == 3
    assert made.degraded is None
    assert made.usage == ASKED + ASKED
    assert "could not be used" in model.prompts[1].user
    assert TASK in model.prompts[1].user


async def test_after_two_unusable_answers_the_task_is_planned_without_the_model() -> None:
    made = await planned(ScriptedModel(plans=["no json", EMPTY]))

    assert made.questions == plan(TASK).questions
    assert made.degraded is not None
    assert made.degraded.code == "invalid_plan"
    assert made.usage == ASKED + ASKED


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelRejected("no key")])
async def test_a_model_that_cannot_be_asked_is_the_answer(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await planned(ScriptedModel(plans=["no json", error]))

    assert caught.value is error
    assert caught.value.usage == ASKED  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelRejected("no key")])
async def test_with_a_fallback_the_task_is_planned_without_it_at_once(error: Any) -> None:
    model = ScriptedModel(plans=[error, GOOD])

    made = await planned(model, fallback_to_extractive=True)

    assert made.questions == plan(TASK).questions
    assert made.degraded is not None
    assert made.degraded.code == error.code
    assert len(model.prompts) == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (ModelUnavailable("away"), 2),
        (ModelRejected("no key"), 1),
        (ModelTooSlow("slow"), 1),
        (CircuitOpen("open", 30.0), 1),
        (InvalidAnswer("no JSON", "no", ASKED), 2),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_the_last_resort_comes_after_the_attempts_that_are_worth_it(
    error: Any, tries: int
) -> None:
    model = ScriptedModel(plans=[error, error])
    analyzer = model_analyzer(model, fallback_to_extractive=True)
    asked, made = 0, None
    while made is None:
        asked += 1
        request = Analyze("t/s1", TASK, last_attempt=asked == 2)
        with suppress(ModelUnavailable):
            made = await analyzer.handle(request, Slot())

    assert len(model.prompts) == tries
    assert isinstance(made, Plan) and made.questions == plan(TASK).questions


async def test_a_model_that_asks_for_a_long_wait_is_not_waited_for() -> None:
    busy = ModelUnavailable("busy")
    busy.retry_after_s = 60.0
    analyzer = model_analyzer(ScriptedModel(plans=[busy]), fallback_to_extractive=True)

    made = await analyzer.handle(Analyze("t/s1", TASK, last_attempt=False), Slot())

    assert isinstance(made, Plan) and made.degraded is not None


async def test_a_slow_model_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    class Slow(ScriptedModel):
        async def structured(self, prompt: Any, shape: Any) -> Any:
            await trio.sleep(61)
            return await super().structured(prompt, shape)

    began = trio.current_time()
    late = await planned(Slow(plans=[GOOD]), fallback_to_extractive=True, max_s=60)
    took = trio.current_time() - began
    alone = await planned(Slow(plans=[GOOD]), max_s=60)

    assert took == pytest.approx(60)
    assert late.questions == plan(TASK).questions
    assert late.degraded is not None
    assert late.degraded.message == "scripted:1 made no plan within 60 s."
    assert alone.by_model


def test_what_the_model_writes_is_cleaned() -> None:
    shape = ProposedPlan.model_validate(
        proposed(
            ("1. **What** is a [frog](http://evil.example)?\x1b", "frog \x00biology"),
            ("what is a FROG", "other words"),
            ("Q2: How do `toads` live, and\nwhere?", ""),
            ("   ", "nothing"),
            ("Newts", "x" * 90 + " newts"),
        )
    )

    accepted = accept_questions(shape, QuestionDraft(TASK))

    assert [draft.text for draft in accepted.questions] == [
        TASK,
        "What is a frog?",
        "How do 'toads' live, and where?",
        "Newts",
    ]
    assert accepted.places == (1, 1, 2, None, 3)
    assert accepted.questions[1].query == "What is a frog? frog biology"
    assert accepted.questions[1].context == "other words"
    assert accepted.questions[3].query.endswith(" newts")


def test_an_answer_that_ignores_the_shape_is_bounded() -> None:
    long, search = "long " * 900, "word " * 900
    many = [
        ProposedQuestion.model_construct(question=f"frog {n} {long}", search=search)
        for n in range(100)
    ]

    proposal = ProposedPlan.model_construct(questions=many)
    drafts = accept_questions(proposal, QuestionDraft(TASK)).questions

    assert len(drafts) <= MAX_QUESTIONS
    assert all(len(draft.text) <= 200 for draft in drafts)
    assert all(len(draft.query) <= 301 for draft in drafts)


async def test_past_the_most_questions_a_call_goes_with_the_task() -> None:
    eight = proposed(*((f"What do {name} eat?", "") for name in NAMES))

    accepted = accept_questions(ProposedPlan.model_validate(eight), QuestionDraft(TASK))

    assert len(accepted.questions) == MAX_QUESTIONS
    assert accepted.places == (1, 2, 3, 4, 5, 6, 7, 0)


async def synthesized(request: Synthesize) -> Findings:
    findings = await model_analyzer(ScriptedModel()).handle(request, Slot())
    assert isinstance(findings, Findings)
    return findings


async def test_findings_are_those_without_a_model_and_have_passages_to_write_from() -> None:
    made = plan("What do frogs eat? What do toads eat? What is quantum chromodynamics?")
    frogs = tuple(Passage("f", "Frogs", "", n, f"Frogs eat flies of kind {n}.") for n in (1, 2, 3))
    toads = tuple(Passage("t", "Toads", "", n, f"Toads eat worms of kind {n}.") for n in (1, 2))
    found = (frogs, toads, (Passage("x", "Tables", "", 1, "Tables have four legs."),))
    evidence = tuple(Evidence(q, p) for q, p in zip(made.questions, found, strict=True))
    request = Synthesize("t/s5", "x", made, evidence)

    findings = await synthesized(request)

    extractive = await synthesize(request)
    assert (findings.sections, findings.sources) == (extractive.sections, extractive.sources)
    assert extractive.passages == ()
    assert set(findings.passages) == {*frogs, *toads, *found[2]}
    assert load_output("synthesis", dump_output("synthesis", findings)) == findings


async def test_passages_that_answer_nothing_word_for_word_are_passages_to_write_from() -> None:
    made = plan("How large may a file get?")
    passages = tuple(Passage("f", "Limits", "", n, f"At most {n} terabytes.") for n in range(1, 40))
    request = Synthesize("t/s3", "x", made, (Evidence(made.questions[0], passages, units=9_999),))

    findings = await synthesized(request)

    (section,) = findings.sections
    assert not section.findings
    assert findings.passages == passages[:MOST_PASSAGES]


async def test_the_passages_are_bounded() -> None:
    made = plan("What do frogs eat?")
    text = "Frogs eat flies, and frogs eat worms. " * 60
    passages = tuple(Passage("f", "Frogs", "", n, f"{n} {text}") for n in range(1, 60))
    request = Synthesize("t/s5", "x", made, (Evidence(made.questions[0], passages),))

    findings = await synthesized(request)

    assert 5 < len(findings.passages) <= MOST_PASSAGES
    assert sum(len(p.text) for p in findings.passages) <= MOST_CHARACTERS


async def test_nothing_found_gives_no_passages() -> None:
    made = plan("What do frogs eat?")
    request = Synthesize("t/s5", "x", made, (Evidence(made.questions[0]),))

    assert (await synthesized(request)).passages == ()


def test_outputs_of_before_stay_readable() -> None:
    old = json.loads(dump_output("analysis", plan(TASK)))
    for added in ("degraded", "usage", "by_model"):
        del old[added]

    assert load_output("analysis", json.dumps(old).encode()) == plan(TASK)
    assert load_output("writing", b'{"sources": []}').usage == Usage()


async def test_cancelling_leaves_nothing_open(autojump_clock: trio.testing.MockClock) -> None:
    class Hangs(ScriptedModel):
        async def structured(self, prompt: Any, shape: Any) -> Any:
            await trio.sleep_forever()

    with trio.move_on_after(5) as scope:
        await planned(Hangs(), fallback_to_extractive=True)

    assert scope.cancelled_caught
