"""The circuit breaker, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self, cast

import pytest
import trio
from pydantic import BaseModel
from trio.testing import MockClock

from actors.errors import ActorError, ModelRejected, ModelUnavailable
from actors.models.breaker import (
    PROBE_S,
    CircuitBreaker,
    CircuitOpen,
    GuardedModel,
    PatientModel,
)
from actors.models.model import Answer, InvalidAnswer, M, Model, Prompt
from actors.usage import Usage

PROMPT = Prompt("You answer.", "What?", max_tokens=10)


class Shape(BaseModel):
    """A type without fields."""


def down() -> ActorError:
    return ModelUnavailable("down")


class Scripted:
    """A model with scripted failures: at once, or after some text."""

    name = "scripted"
    can_continue = True
    usage = Usage()
    answered_by = "scripted"

    def __init__(self) -> None:
        self.calls = 0
        self.pieces = 2
        self.piece_s = 0.0
        self.error: Callable[[], ActorError] | None = None

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[Self]:
        self.calls += 1
        self._left = self.pieces
        yield self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        await trio.sleep(self.piece_s)
        if self._left:
            self._left -= 1
            return "text"
        if self.error:
            raise self.error()
        raise StopAsyncIteration

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        self.calls += 1
        await trio.sleep(self.piece_s)
        if self.error:
            raise self.error()
        return Answer(shape(), Usage())


@pytest.fixture
def model() -> Scripted:
    return Scripted()


@pytest.fixture
def circuit() -> CircuitBreaker:
    return CircuitBreaker(failures=3, open_s=30)


@pytest.fixture
def breaker(model: Scripted, circuit: CircuitBreaker) -> GuardedModel:
    return GuardedModel(cast(Model, model), circuit)


async def told(breaker: Model) -> str:
    async with breaker.stream(PROMPT) as stream:
        return "".join([piece async for piece in stream])


async def fail(breaker: GuardedModel, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ModelUnavailable):
            await told(breaker)


async def opened(breaker: GuardedModel, model: Scripted) -> None:
    """Fail until the circuit opens, then let the model work again."""
    model.error = down
    await fail(breaker, 3)
    model.error = None
    model.calls = 0


async def test_a_closed_circuit_passes_everything_through(breaker: GuardedModel) -> None:
    assert await told(breaker) == "texttext"
    assert (breaker.name, breaker.can_continue) == ("scripted", True)


async def test_after_some_failures_in_a_row_calls_fail_at_once(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    await trio.sleep(10)

    with pytest.raises(
        ModelUnavailable, match="3 times in a row and is not called again for 20 s"
    ) as no:
        await told(breaker)

    assert no.value.retry_after_s == pytest.approx(20)
    assert model.calls == 0


async def test_failures_that_are_not_in_a_row_do_not_count(
    breaker: GuardedModel, model: Scripted
) -> None:
    for _ in range(5):
        model.error = down
        await fail(breaker, 2)
        model.error = None
        await told(breaker)


@pytest.mark.parametrize(
    "error", [lambda: ModelRejected("no"), lambda: InvalidAnswer("no", "", Usage())]
)
async def test_a_refusal_is_an_answer(
    breaker: GuardedModel, model: Scripted, error: Callable[[], ActorError]
) -> None:
    model.error = down
    await fail(breaker, 2)
    model.error = error
    for _ in range(5):
        with pytest.raises(type(error())):
            await told(breaker)
    model.error = down
    await fail(breaker, 2)

    assert model.calls == 9


async def test_after_the_open_time_one_probe_closes_the_circuit(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    await trio.sleep(30)

    assert [await told(breaker), await told(breaker)] == ["texttext"] * 2


async def test_the_first_text_of_the_probe_closes_the_circuit(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    await trio.sleep(30)

    async with breaker.stream(PROMPT) as stream:
        with pytest.raises(ModelUnavailable) as no:
            await told(breaker)
        assert no.value.retry_after_s == PROBE_S
        await anext(stream)
        await breaker.structured(PROMPT, Shape)


async def test_a_probe_that_breaks_off_opens_the_circuit_again(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    await trio.sleep(30)
    model.error = down

    await fail(breaker, 2)

    assert model.calls == 1


async def test_a_cancelled_probe_allows_another_probe(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    await trio.sleep(30)
    model.piece_s = 5

    for _ in range(3):
        with trio.move_on_after(1):
            await told(breaker)
        async with breaker.stream(PROMPT):
            pass
        with suppress(KeyError):
            async with breaker.stream(PROMPT):
                raise KeyError

    assert model.calls == 9
    assert await told(breaker) == "texttext"


async def test_a_cancelled_call_counts_neither_way(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    model.error, model.piece_s = down, 1
    await fail(breaker, 2)
    for _ in range(5):
        with trio.move_on_after(0.5):
            await told(breaker)
    await fail(breaker, 1)

    with pytest.raises(ModelUnavailable, match="not called again"):
        await told(breaker)


async def test_a_call_from_an_earlier_state_changes_nothing(
    breaker: GuardedModel, circuit: CircuitBreaker, model: Scripted, autojump_clock: MockClock
) -> None:
    other = Scripted()
    same_circuit = GuardedModel(cast(Model, other), circuit)
    async with same_circuit.stream(PROMPT) as stream:
        await opened(breaker, model)
        assert [piece async for piece in stream] == ["text", "text"]

    with pytest.raises(ModelUnavailable, match="not called again"):
        await told(breaker)


async def test_an_endpoint_is_not_called_for_as_long_as_it_asks(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    def busy() -> ActorError:
        error = ModelUnavailable("busy")
        error.retry_after_s = 100
        return error

    model.error = busy
    await fail(breaker, 3)

    with pytest.raises(ModelUnavailable) as no:
        await told(breaker)
    assert no.value.retry_after_s == 100


async def test_a_patient_model_waits_while_its_circuit_is_open(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    with pytest.raises(CircuitOpen):
        await told(breaker)
    patient, began = PatientModel(breaker), trio.current_time()

    assert await told(patient) == "texttext"
    assert trio.current_time() - began == pytest.approx(30)
    assert model.calls == 1
    assert (patient.name, patient.can_continue) == ("scripted", True)


async def test_a_patient_model_waits_for_a_structured_answer_too(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)

    assert (await PatientModel(breaker).structured(PROMPT, Shape)).value == Shape()
    assert model.calls == 1


async def test_a_patient_model_passes_on_the_failure_of_a_call(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)
    model.error = down

    with pytest.raises(ModelUnavailable, match="down"):
        await told(PatientModel(breaker))
    assert model.calls == 1


async def test_waiting_for_a_circuit_ends_with_the_callers_deadline(
    breaker: GuardedModel, model: Scripted, autojump_clock: MockClock
) -> None:
    await opened(breaker, model)

    with trio.move_on_after(5) as scope:
        await told(PatientModel(breaker))
    assert scope.cancelled_caught and not model.calls
