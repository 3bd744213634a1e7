"""Who is charged for a death of the process: the table, and crash loops on a simulated machine."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any, ClassVar

import pytest
import trio
from pydantic import BaseModel
from scripted import Cast, ScriptedAnalyzer, plan_for

from actors import About
from actors.runs.charges import (
    NO_CHARGES,
    Charges,
    RunningStep,
    after_end,
    charged,
    dump_charges,
    load_charges,
    running_steps,
)
from actors.settings import Settings
from actors.system import System
from actors.tasks.events import decode
from actors.tasks.life import Step, Task
from actors.tasks.plan import Plan
from actors.testing import Machine, run_virtual

# --- the table -----------------------------------------------------------------------------------

KINDS = ("suspect with effects", "suspect", "with effects", "built-in")


def test_at_most_one_step_is_charged_and_it_is_the_only_one_of_its_kind() -> None:
    for counts in product(range(3), repeat=4):
        running = [
            RunningStep("task", f"{kind} {n}", "effects" in kind, "suspect" in kind)
            for kind, count in zip(KINDS, counts, strict=True)
            for n in range(count)
        ]
        suspects_with_effects, suspects, with_effects, _ = counts
        expected = None
        if suspects_with_effects + suspects == 1:
            expected = "suspect 0" if suspects else "suspect with effects 0"
        elif with_effects == 1:
            expected = "with effects 0"
        found = charged(running)
        assert (found.step_id if found else None) == expected, counts


def task_with(**steps: str) -> Task:
    states: Any = {
        key: Step(key, "retrieval", "a", "", status=status, attempts=3, tries=3)  # type: ignore[arg-type]
        for key, status in steps.items()
    }
    return Task("t", "frogs", "", "", status="executing", run=2, steps=states)


TASK = task_with(s1="completed", s2="running", s3="running", s4="retrying", s5="pending")


@pytest.mark.parametrize("suspect", [True, False])
@pytest.mark.parametrize("charged_step", [None, "s2"])
@pytest.mark.parametrize("last_end", ["crash", "shutdown", "storage"])
def test_a_running_step_keeps_its_attempt_unless_it_is_charged(
    last_end: Any, charged_step: str | None, suspect: bool
) -> None:
    before = Charges({"s2": 1, "s4": 1}, {"s2": 2, "s4": 2} if suspect else {})
    after = after_end(before, TASK, last_end, charged_step)
    is_charged = last_end == "crash" and charged_step == "s2"
    assert after.uncharged == {"s2": 1 if is_charged else 2, "s3": 1, "s4": 1}
    expected = {"s4": 2} if suspect else {}
    if last_end == "crash":
        expected |= {"s2": 3, "s3": 3}
    elif suspect:
        expected |= {"s2": 3}
    assert after.suspects == expected


def test_only_steps_that_ran_are_looked_at_and_only_in_the_attempt_after_a_death() -> None:
    charges = Charges({}, {"s2": 2, "s3": 1})
    found = running_steps(TASK, charges, {"s3"})
    assert found == [RunningStep("t", "s2", False, True), RunningStep("t", "s3", True, False)]
    assert running_steps(replace(TASK, status="failed"), charges, ()) == []


def test_charges_are_read_as_they_were_stored_and_for_their_run_alone() -> None:
    charges = Charges({"s2": 1}, {"s3": 4})
    assert load_charges(dump_charges(2, charges), 2) == charges
    assert load_charges(dump_charges(2, charges), 3) == NO_CHARGES
    assert load_charges(None, 1) == NO_CHARGES
    assert load_charges(b'[2,{"s2":1}]', 2) == Charges({"s2": 1})  # As earlier releases wrote it.


# --- a plugin that takes the process down --------------------------------------------------------


class Ask(BaseModel):
    question: str


class Killer:
    """Kills the process that asks it, like a `kill -9`."""

    name, does, asks = "killer", "Kills its process.", Ask
    retries_s = (0.0,)
    machine: ClassVar[Machine]
    calls: ClassVar[list[str]] = []

    async def handle(self, request: Ask, about: About) -> str:
        self.calls.append(about.key)
        self.machine.kill()
        await trio.sleep_forever()
        raise AssertionError


class CallingAnalyzer(ScriptedAnalyzer):
    """Plans a call of the killer in place of the last retrieval, for tasks that name it."""

    def plan(self, text: str) -> Plan:
        return plan_for(text, plugin="killer" if "killer" in text else "")


def machine_with_killer(cast: Cast, **more: Any) -> Machine:
    agents = cast.factories() | {"analyzer": lambda: CallingAnalyzer(cast.plans, cast.weighs)}
    Killer.machine = Machine(
        settings=Settings(data_dir=None, agents=("test_charges:Killer",)), agents=agents, **more
    )
    Killer.calls.clear()
    return Killer.machine


async def events_of(system: System, task_id: str) -> list[Any]:
    follower = await system.follow(task_id, follow=False)
    return [decode(line) for line in b"".join([p.lines async for p in follower]).splitlines()]


@pytest.mark.parametrize("beside", [0, 3])
def test_a_crash_loop_ends_after_the_attempts_of_its_cause(beside: int) -> None:
    async def story() -> None:
        machine = machine_with_killer(Cast(retrieves=[0.5] * 60))
        ids: list[str] = []
        for _ in range(9):
            async with machine.boot() as system:
                if not ids:
                    texts = ["frogs"] * beside + ["a killer"] + ["toads"] * beside
                    ids += [(await system.create(text)).task_id for text in texts]
                for task_id in ids:
                    await system.start(task_id)
                await trio.sleep(60)
                logs = {task_id: await events_of(system, task_id) for task_id in ids}
            if machine.last_end == "shutdown":
                break
        assert Killer.calls == [f"{ids[beside]}/s3"] * 2
        assert {log[-1].event_type for log in logs.values()} == {"task_completed"}
        (gave_up,) = (
            event.data
            for log in logs.values()
            for event in log
            if event.event_type == "step_completed" and event.data["degraded"]
        )
        assert gave_up["step_id"] == "s3" and gave_up["error"]["code"] == "interrupted"

    run_virtual(story, seed=beside)


@pytest.mark.parametrize("step", ["plans", "retrieves", "weighs", "writes"])
def test_a_built_in_step_that_kills_at_once_ends_after_its_attempts(step: str) -> None:
    async def story() -> None:
        cast = Cast(questions=1)
        script = getattr(cast, step)
        deaths = 0

        def next_act(key: str) -> Any:
            nonlocal deaths
            if key.startswith(ids[0]):
                deaths += 1
                machine.kill()
                return 9e9
            return 0.1

        script.next_act = next_act
        machine = Machine(agents=cast.factories())
        ids: list[str] = []
        for _ in range(20):
            async with machine.boot() as system:
                if not ids:
                    ids += [(await system.create("frogs")).task_id for _ in range(4)]
                for task_id in ids:
                    await system.start(task_id)
                await trio.sleep(60)
                logs = [await events_of(system, task_id) for task_id in ids]
            if machine.last_end == "shutdown":
                break
        assert deaths <= 7
        errors = [log[-1].data.get("error") for log in logs]
        assert errors[1:] == [None] * 3
        if step != "retrieves":
            assert errors[0]["code"] == "interrupted"

    run_virtual(story, seed=1)


@pytest.mark.parametrize("seed", range(2))
def test_kills_from_outside_interrupt_at_most_one_task_in_five(seed: int) -> None:
    kills, rng = 10, Random(seed)

    async def story() -> None:
        cast = Cast(pause_s=0.02)
        for script in (cast.plans, cast.retrieves, cast.weighs, cast.writes):
            script.next_act = lambda key: rng.uniform(0.0, 0.4)  # type: ignore[method-assign]
        machine = Machine(agents=cast.factories())
        ids: list[str] = []
        for _ in range(kills):
            async with machine.boot() as system:
                new = [await system.create("frogs") for _ in range(rng.randrange(3, 13))]
                for task in new:
                    await system.start(task.task_id)
                    ids.append(task.task_id)
                await trio.sleep(rng.uniform(0.0, 0.25))
                machine.kill()
                await trio.sleep_forever()
        async with machine.boot() as system:
            logs = []
            for task_id in ids:
                async for _ in system.execute(task_id):
                    pass
                logs.append(await events_of(system, task_id))
        codes = [(log[-1].data.get("error") or {}).get("code") for log in logs]
        assert set(codes) <= {None, "interrupted"}
        assert codes.count("interrupted") <= kills // 5
        degraded = [
            event
            for log in logs
            for event in log
            if event.event_type == "step_completed" and event.data["degraded"]
        ]
        assert codes.count("interrupted") + len(degraded) <= kills // 5

    run_virtual(story, seed=seed)
