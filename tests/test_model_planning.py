"""An analyzer with a language model: the model proposes questions, and the same code makes the plan."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import trio
from scripted_model import ASKED, ScriptedModel, Slot

from actors.agents.extractive.intents import INTENTS
from actors.agents.extractive.planning import plan
from actors.agents.extractive.weighing import weigh
from actors.agents.model.passages import MOST_CHARACTERS, MOST_PASSAGES
from actors.agents.model.proposal import (
    Intent,
    ProposedPlan,
    ProposedQuestion,
    accept_questions,
)
from actors.errors import ModelRejected, ModelUnavailable
from actors.messages import Analyze, Synthesize
from actors.runs.steps import dump_output, load_output
from actors.tasks.evidence import Evidence, Findings, Passage
from actors.tasks.plan import Plan
from actors.tasks.planning import MAX_QUESTIONS
from actors.usage import Usage
from actors.wiring import model_analyzer

TASK = "Compare frogs and toads, then recommend one"


def proposed(*questions: tuple[str, str], intents: tuple[str, ...] = ()) -> dict[str, Any]:
    asked = [{"question": text, "search": search} for text, search in questions]
    return {"questions": asked, "intents": list(intents)}


GOOD = proposed(
    ("What do frogs need?", "frogs needs care"),
    ("What do toads need?", "toads care"),
    intents=("recommend", "compare"),
)
EMPTY = proposed(("???", "..."), ("[1] <b>", "http://evil.example"))


async def planned(model: ScriptedModel, **more: Any) -> Plan:
    made = await model_analyzer(model, **more).handle(Analyze("t/s1", TASK), Slot())
    assert isinstance(made, Plan)
    return made


async def test_a_plan_is_made_of_the_models_questions() -> None:
    made = await planned(ScriptedModel(plans=[GOOD]))

    assert [q.text for q in made.questions] == ["What do frogs need?", "What do toads need?"]
    assert [q.query for q in made.questions] == ["frogs care", "toads care"]
    assert [step.step_id for step in made.steps] == ["s1", "s2", "s3", "s4", "s5"]
    assert made.steps[-2].depends_on == ("s2", "s3")
    assert made.intents == ("compare", "recommend")
    assert (made.degraded, made.usage) == (None, ASKED)


async def test_without_intents_those_of_the_task_are_taken() -> None:
    made = await planned(ScriptedModel(plans=[proposed(("What do frogs need?", "frogs"))]))

    assert made.intents == plan(TASK).intents


@pytest.mark.parametrize(
    "wrong", ["no json", {"questions": []}, EMPTY, proposed(("x" * 201, "x")), {"steps": []}]
)
async def test_an_unusable_answer_is_asked_for_again_with_what_was_wrong(wrong: Any) -> None:
    model = ScriptedModel(plans=[wrong, GOOD])

    made = await planned(model)

    assert len(made.questions) == 2
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

    drafts = accept_questions(shape).questions

    assert [draft.text for draft in drafts] == [
        "What is a frog?",
        "How do 'toads' live, and where?",
        "Newts",
    ]
    assert drafts[0].query_terms == ("frog", "biology")
    assert drafts[2].query_terms == ("newts",)


def test_an_answer_that_ignores_the_shape_is_bounded() -> None:
    long, search = "long " * 900, "word " * 900
    many = [
        ProposedQuestion.model_construct(question=f"frog {n} {long}", search=search)
        for n in range(100)
    ]

    steal: Any = ["steal"]
    drafts = accept_questions(ProposedPlan.model_construct(questions=many, intents=steal)).questions

    assert len(drafts) <= MAX_QUESTIONS
    assert all(len(draft.text) <= 200 for draft in drafts)
    assert all(len(" ".join(draft.query_terms)) <= 100 for draft in drafts)


async def test_evidence_is_weighed_as_without_a_model_and_gives_passages_to_write_from() -> None:
    made = plan("What do frogs eat? What do toads eat? What is quantum chromodynamics?")
    frogs = tuple(Passage("f", "Frogs", "", n, f"Frogs eat flies of kind {n}.") for n in (1, 2, 3))
    toads = tuple(Passage("t", "Toads", "", n, f"Toads eat worms of kind {n}.") for n in (1, 2))
    found = (frogs, toads, (Passage("x", "Tables", "", 1, "Tables have four legs."),))
    evidence = tuple(Evidence(q, p) for q, p in zip(made.questions, found, strict=True))
    analyzer = model_analyzer(ScriptedModel())

    findings = await analyzer.handle(Synthesize("t/s5", "x", made, evidence), Slot())

    assert isinstance(findings, Findings)
    extractive = weigh(made, evidence)
    assert (findings.answer, findings.sections) == (extractive.answer, extractive.sections)
    assert set(findings.passages) == {*frogs, *toads}
    assert load_output("synthesis", dump_output("synthesis", findings)) == findings


async def test_the_passages_are_bounded() -> None:
    made = plan("What do frogs eat?")
    text = "Frogs eat flies, and frogs eat worms. " * 60
    passages = tuple(Passage("f", "Frogs", "", n, f"{n} {text}") for n in range(1, 60))
    request = Synthesize("t/s5", "x", made, (Evidence(made.questions[0], passages),))

    findings = await model_analyzer(ScriptedModel()).handle(request, Slot())

    assert isinstance(findings, Findings)
    assert 5 < len(findings.passages) <= MOST_PASSAGES
    assert sum(len(p.text) for p in findings.passages) <= MOST_CHARACTERS


async def test_nothing_found_gives_no_passages() -> None:
    made = plan("What do frogs eat?")
    request = Synthesize("t/s5", "x", made, (Evidence(made.questions[0]),))

    findings = await model_analyzer(ScriptedModel()).handle(request, Slot())

    assert isinstance(findings, Findings)
    assert findings.passages == ()


def test_the_shape_names_the_intents_of_our_table() -> None:
    assert get_args(Intent) == tuple(intent.name for intent in INTENTS)


def test_outputs_of_before_stay_readable() -> None:
    old = json.loads(dump_output("analysis", plan(TASK)))
    for added in ("degraded", "usage"):
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
