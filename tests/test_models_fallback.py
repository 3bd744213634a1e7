"""Fallback: several models in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from model_server import ModelServer, Refuses, Says, scripted_models
from pydantic import BaseModel

from actors.errors import ActorError, ModelRejected, ModelUnavailable
from actors.models.breaker import CircuitOpen
from actors.models.fallback import Fallback
from actors.models.model import InvalidAnswer, Model, ModelTooSlow, Prompt
from actors.models.provider import Endpoint
from actors.models.remote import RemoteModel
from actors.usage import Usage

PROMPT = Prompt("You answer.", "What?", max_tokens=10)
BUSY = Refuses(429, headers={"Retry-After": "7"})


class Point(BaseModel):
    x: int


@pytest.fixture
async def servers() -> AsyncIterator[tuple[ModelServer, ModelServer]]:
    async with scripted_models() as first, scripted_models() as second:
        yield first, second


@pytest.fixture
async def model(servers: tuple[ModelServer, ModelServer]) -> AsyncIterator[Model]:
    from actors.models.openai_client import OpenAIProvider, open_openai

    first, second = servers
    async with open_openai(first.url, "") as one, open_openai(second.url, "") as two:
        clients = {"first": (one, first.url), "second": (two, second.url)}
        yield Fallback(
            [
                RemoteModel(OpenAIProvider(client, "m", Endpoint(name, url)), idle_s=5)
                for name, (client, url) in clients.items()
            ]
        )


async def test_the_first_model_answers(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    servers[0].will(Says("One"))

    async with model.stream(PROMPT) as stream:
        assert [piece async for piece in stream] == ["One"]

    assert stream.answered_by == model.name == "first"
    assert not servers[1].requests


@pytest.mark.parametrize("reply", [BUSY, Refuses(401), Says(finish="length"), Says(finish=None)])
async def test_the_next_model_is_asked_if_no_text_comes(
    servers: tuple[ModelServer, ModelServer], model: Model, reply: Says | Refuses
) -> None:
    servers[0].will(reply)
    servers[1].will(Says("Two", " words"))

    async with model.stream(PROMPT) as stream:
        assert [piece async for piece in stream] == ["Two", " words"]

    assert stream.answered_by == "second" != model.name
    assert stream.usage.output_tokens >= 3


async def test_no_other_model_is_asked_once_text_has_come(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    servers[0].will(Says("One", finish=None))

    pieces = []
    with pytest.raises(ModelUnavailable, match="broke off"):
        async with model.stream(PROMPT) as stream:
            async for piece in stream:
                pieces.append(piece)

    assert pieces == ["One"]
    assert not servers[1].requests


async def test_after_an_invalid_answer_the_next_model_is_asked_and_both_are_counted(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    servers[0].will(Says("I cannot."))
    servers[1].will(Says('{"x": 1}'))

    answer = await model.structured(PROMPT, Point)

    assert (answer.value.x, answer.answered_by) == (1, "second")
    assert answer.usage == Usage(14, 6)


async def test_if_no_answer_is_valid_the_error_has_the_first_one(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    servers[0].will(Says("I cannot."))
    servers[1].will(Refuses(401))

    with pytest.raises(InvalidAnswer, match="No model answers") as caught:
        await model.structured(PROMPT, Point)

    assert caught.value.text == "I cannot."
    assert caught.value.usage == Usage(7, 3)


async def test_if_no_model_answers_the_error_has_all_reasons(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    async def failure() -> ActorError:
        with pytest.raises(ActorError) as caught:
            async with model.stream(PROMPT):
                pass
        return caught.value

    for server in servers:
        server.will(BUSY)
    busy = await failure()
    assert isinstance(busy, ModelUnavailable)
    assert busy.retry_after_s == 7
    assert "first has reached its rate" in busy.message
    assert "second has reached its rate" in busy.message

    servers[1].will(Refuses(401))
    assert (await failure()).retryable

    servers[0].will(Refuses(401))
    assert isinstance(await failure(), ModelRejected)


async def test_leaving_stops_the_model_that_answers(
    servers: tuple[ModelServer, ModelServer], model: Model
) -> None:
    servers[0].will(BUSY)
    servers[1].will(Says("Two", "stall"))

    async with model.stream(PROMPT) as stream:
        await anext(stream)

    await servers[1].wait_until(lambda s: s.hang_ups == 1)


class Fails:
    """A model that fails in one way."""

    name = "fails"
    can_continue = False

    def __init__(self, error: ActorError) -> None:
        self.error = error

    async def structured(self, prompt: Prompt, shape: Any) -> Any:
        raise self.error

    def stream(self, prompt: Prompt) -> Any:
        raise self.error


OPEN, LATER = CircuitOpen("open", 30.0), CircuitOpen("open", 7.0)


@pytest.mark.parametrize(
    ("errors", "kind", "wait_s"),
    [
        ([OPEN, LATER], CircuitOpen, 7.0),
        ([OPEN, ModelRejected("no key")], CircuitOpen, 30.0),
        ([OPEN, ModelUnavailable("away")], ModelUnavailable, None),
        ([ModelTooSlow("slow"), ModelUnavailable("away")], ModelTooSlow, None),
        ([ModelRejected("no key"), ModelRejected("no")], ModelRejected, None),
    ],
)
async def test_the_error_of_several_says_what_is_worth_doing(
    errors: list[ActorError], kind: type[ActorError], wait_s: float | None
) -> None:
    model = Fallback([cast(Model, Fails(error)) for error in errors])

    with pytest.raises(ActorError) as raised:
        await model.structured(PROMPT, Point)

    assert type(raised.value) is kind
    assert raised.value.retry_after_s == wait_s


async def test_if_the_circuit_of_one_is_open_the_next_is_asked_at_once(
    servers: tuple[ModelServer, ModelServer],
) -> None:
    from actors.models.openai_client import OpenAIProvider, open_openai

    servers[1].will(Says("Two"))
    async with open_openai(servers[1].url, "") as client:
        other = RemoteModel(
            OpenAIProvider(client, "m", Endpoint("second", servers[1].url)), idle_s=5
        )
        async with Fallback([cast(Model, Fails(OPEN)), other]).stream(PROMPT) as stream:
            assert [piece async for piece in stream] == ["Two"]
