"""Both clients of remote models: every fault of a server, and every way to end an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from model_server import (
    CUT,
    STALL,
    HangsUp,
    ModelServer,
    Refuses,
    Reply,
    Says,
    Silent,
    scripted_models,
)
from pydantic import BaseModel, Field

from actors.clock import wall_clock
from actors.errors import ActorError, ModelRejected, ModelUnavailable
from actors.models.factory import open_models
from actors.models.model import InvalidAnswer, Model, Prompt
from actors.models.provider import retry_after_s
from actors.settings import Settings
from actors.usage import Usage

KEY = "sk-secret-0123456789"
PROMPT = Prompt("You answer.", "What is a mailbox?", max_tokens=50)
ENVIRONMENT = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}


class Point(BaseModel):
    x: int = Field(ge=0)
    label: str = Field(max_length=20)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


@pytest.fixture(params=["openai:m", "anthropic:m"])
def named(request: Any) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def model(named: str, server: ModelServer) -> AsyncIterator[Model]:
    async with opened(settings_for(server, named)) as model:
        yield model


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Model]:
    async with open_models(settings, ENVIRONMENT) as models:
        assert models.writer is not None
        yield models.writer


def settings_for(server: ModelServer, name: str, **more: Any) -> Settings:
    return Settings(
        model=name, openai_base_url=f"{server.url}/v1", anthropic_base_url=server.url, **more
    )


async def told(model: Model, prompt: Prompt = PROMPT) -> str:
    async with model.stream(prompt) as stream:
        return "".join([piece async for piece in stream])


async def failure(model: Model) -> ActorError:
    with pytest.raises(ActorError) as caught:
        await told(model)
    return caught.value


async def test_text_comes_as_it_is_written(server: ModelServer, model: Model) -> None:
    server.will(Says("A", " mailbox", " is", " a queue."))

    async with model.stream(PROMPT) as stream:
        pieces = [piece async for piece in stream]

    assert pieces == ["A", " mailbox", " is", " a queue."]
    assert stream.usage == Usage(7, 3)
    assert stream.answered_by == model.name
    assert server.requests[0].body["stream"] is True


async def test_text_may_have_any_character(server: ModelServer, model: Model) -> None:
    text = "line\u2028separator \x85 \x0b \n\n data: ✂ 🎼"
    server.will(Says(text))

    assert await told(model) == text


async def test_connections_are_used_again(server: ModelServer, model: Model) -> None:
    server.will(Says("Hello"))

    for _ in range(3):
        await told(model)
        assert server.connections == 1


async def test_a_structured_answer(server: ModelServer, model: Model) -> None:
    server.will(Says('{"x": 3, "lab', 'el": "here"}'))

    answer = await model.structured(PROMPT, Point)

    assert answer.value == Point(x=3, label="here")
    assert (answer.usage, answer.answered_by) == (Usage(7, 3), model.name)


async def test_an_answer_in_a_code_fence_is_parsed(server: ModelServer, model: Model) -> None:
    server.will(Says('Here it is:\n```json\n{"x": 3, "label": "here"}\n```'))

    assert (await model.structured(PROMPT, Point)).value.x == 3


@pytest.mark.parametrize("said", ["I cannot.", '{"x": -1, "label": "here"}', '{"x": 3, "lab', "[]"])
async def test_the_error_for_an_invalid_answer_has_its_text(
    server: ModelServer, model: Model, said: str
) -> None:
    server.will(Says(said))

    with pytest.raises(InvalidAnswer, match="does not match the schema") as caught:
        await model.structured(PROMPT, Point)

    assert caught.value.text == said
    assert caught.value.usage == Usage(7, 3)


async def test_a_server_that_refuses_a_schema_gets_it_in_the_prompt(
    server: ModelServer, model: Model
) -> None:
    well = Says('{"x": 3, "label": "here"}')
    server.will(Refuses(400, {"error": {"message": "no such parameter"}}), well)

    first = await model.structured(PROMPT, Point)
    second = await model.structured(PROMPT, Point)

    assert first.value == second.value
    enforced = [
        bool({"response_format", "output_config"} & one.body.keys()) for one in server.requests
    ]
    assert enforced == [True, False, False]
    assert '"maxLength": 20' in str(server.requests[1].body)


async def test_a_bad_request_for_another_reason_keeps_the_schema(
    server: ModelServer, model: Model
) -> None:
    server.will(Refuses(400, {"error": {"message": "too long"}}))
    with pytest.raises(ModelRejected, match="too long"):
        await model.structured(PROMPT, Point)

    server.will(Says('{"x": 3, "label": "here"}'))
    await model.structured(PROMPT, Point)

    assert {"response_format", "output_config"} & server.requests[-1].body.keys()


def said(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "some_error"}}


UNAVAILABLE: list[tuple[Reply, str]] = [
    (Refuses(429, said("slow down")), "has reached its rate limit"),
    (Refuses(503, "<html>no</html>"), r"is overloaded \(HTTP 503\)\."),
    (Refuses(529, said("Overloaded")), r"is overloaded \(HTTP 529\): Overloaded\."),
    (Refuses(500, said("oops")), r"failed \(HTTP 500\): oops"),
    (Refuses(408), "HTTP 408"),
    (Refuses(200, "garbage"), "broke off"),
    (HangsUp(), "The connection to .* at http://127.0.0.1:.* failed: "),
    (Says("Some text", CUT), "failed: "),
    (Says("Some text", finish=None), "broke off in the middle"),
    (Says("Some text", b"data: {not json}\n\n"), "cannot be read"),
    (Says("Some text", b"data: 7\n\n"), "cannot be read"),
    (Says("Some text", b"data: \xff\xfe\n\n"), "cannot be read"),
    (Says("Some text", b"data: " + b"[" * 100_000 + b"\n\n"), "cannot be"),
    (Says("Some text", b'data: {"type": "error", "error": {"message": "hot"}}\n\n'), "answer: hot"),
    (Says(finish="length"), "without a word, within 50 tokens"),
]


@pytest.mark.parametrize(("reply", "words"), UNAVAILABLE)
async def test_a_transient_error_is_retryable(
    server: ModelServer, model: Model, reply: Reply, words: str
) -> None:
    server.will(reply)

    with pytest.raises(ModelUnavailable, match=words) as caught:
        await told(model)

    assert caught.value.retryable
    server.will(Says("Fine."))
    assert await told(model) == "Fine."


REJECTED: list[tuple[Reply, str]] = [
    (Refuses(400, said("no such parameter")), r"refused the request \(HTTP 400\): no such para"),
    (Refuses(401, said(f"bad key {KEY}")), "refused the API key .* Check [A-Z]+_API_KEY"),
    (Refuses(402), "no credit left"),
    (Refuses(403, said(f"bad key {KEY}")), "refused the API key .* Check [A-Z]+_API_KEY"),
    (Refuses(404, said("The model does not exist")), "There is no model .* Check the model's name"),
    (Refuses(413, "too\nlarge"), r"\(HTTP 413\): too large\."),
    (Refuses(422, {"detail": "not so"}), r"\(HTTP 422\): not so\."),
    (Refuses(307, headers={"Location": "http://127.0.0.1:1/"}), "refused the request"),
    (Refuses(400, said(f"you said {KEY}")), r"you said \*\*\*"),
    (Refuses(429, {"error": {"code": "insufficient_quota"}}), "no credit left"),
]


@pytest.mark.parametrize(("reply", "words"), REJECTED)
async def test_a_permanent_error_says_what_to_do_and_hides_the_key(
    server: ModelServer, model: Model, reply: Reply, words: str
) -> None:
    server.will(reply)

    with pytest.raises(ModelRejected, match=words) as caught:
        await told(model)

    assert not caught.value.retryable
    assert KEY not in str(caught.value)
    assert KEY in str(server.requests[0].headers)


async def test_no_server_at_the_url(server: ModelServer) -> None:
    settings = Settings(model="openai:m", openai_base_url="http://127.0.0.1:1/v1")

    async with opened(settings) as model:
        assert "at http://127.0.0.1:1/v1 failed" in str(await failure(model))


async def test_the_error_has_the_time_to_wait(server: ModelServer, model: Model) -> None:
    server.will(Refuses(429, headers={"Retry-After": "7"}))

    assert (await failure(model)).retry_after_s == 7


def test_milliseconds_are_read_before_seconds() -> None:
    def seconds(**headers: str) -> float | None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return retry_after_s(given, wall_clock)

    assert seconds(retry_after_ms="20", retry_after="7") == 0.02
    assert seconds(retry_after_ms="soon", retry_after="7") == 7
    assert seconds() is None


async def test_usage_is_estimated_if_the_server_does_not_count(
    server: ModelServer, model: Model
) -> None:
    server.will(Says("x" * 40, CUT))

    spent = (await failure(model)).usage

    assert spent.output_tokens == 10
    assert spent.input_tokens > 0


@pytest.mark.parametrize("priced", ["{}", "m"])
async def test_usage_has_a_cost_if_the_model_has_a_price(
    server: ModelServer, named: str, priced: str
) -> None:
    settings = settings_for(server, named, prices={priced.format(named): (2.0, 10.0)})
    server.will(Says("Hello", usage=(1_000, 100)))

    async with opened(settings) as model, model.stream(PROMPT) as stream:
        _ = [piece async for piece in stream]

    assert stream.usage.cost == pytest.approx(0.003)


async def test_leaving_early_stops_the_server(server: ModelServer, model: Model) -> None:
    server.will(Says("A", " mailbox", STALL))

    async with model.stream(PROMPT) as stream:
        assert await anext(stream) == "A"

    await server.wait_until(lambda s: s.hang_ups == 1 and s.connections == 0)


@pytest.mark.parametrize("reply", [Silent(), Says(STALL), Says("A", STALL)])
async def test_a_cancelled_call_stops_the_server(
    server: ModelServer, model: Model, reply: Reply
) -> None:
    server.will(reply)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(told, model)
        await server.wait_until(lambda s: len(s.requests) == 1)
        nursery.cancel_scope.cancel()

    await server.wait_until(lambda s: s.hang_ups == 1 and s.connections == 0)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Silent(), "did not answer within 1 s"),
        (Says(STALL), "sent nothing for 1 s"),
        (Says("A", STALL), "sent nothing for 1 s"),
        (Says("A", *[b": only a comment\n\n"] * 200), "sent nothing for 1 s"),
    ],
)
async def test_a_silent_server_is_disconnected(
    server: ModelServer, named: str, reply: Reply, words: str
) -> None:
    server.will(reply)

    async with opened(settings_for(server, named, model_idle_timeout_s=1)) as model:
        assert words in str(await failure(model))

        await server.wait_until(lambda s: s.hang_ups == 1 and s.connections == 0)


async def test_a_cancel_at_any_moment_leaves_no_connection(
    server: ModelServer, model: Model
) -> None:
    server.will(Says("A", " mailbox", " is", " a queue."))

    for milliseconds in range(0, 90, 4):
        with trio.move_on_after(milliseconds / 1_000):
            await told(model)
        await server.wait_until(lambda s: s.connections == 0 or s.answers > 0)
        server.answers = 0
    assert await told(model) == "A mailbox is a queue."

    assert server.connections == 1


async def test_an_answer_has_a_limit_in_characters(server: ModelServer, model: Model) -> None:
    server.will(Says(*["x" * 66_000] * 4))

    assert "wrote more than 262,144 characters" in str(await failure(model))
    await server.wait_until(lambda s: s.hang_ups == 1)


@pytest.mark.parametrize(
    "steps",
    [[(b": " + b"x" * 65_533 + b"\n") * 16] * 17, [b"x" * 1_048_576] * 3],
    ids=["17 MiB", "a line of 3 MiB"],
)
async def test_an_answer_and_its_lines_have_a_limit_in_bytes(
    server: ModelServer, model: Model, steps: list[bytes]
) -> None:
    server.will(Says(*steps))

    assert "far more bytes than an answer" in str(await failure(model))
    await server.wait_until(lambda s: s.connections == 0)


async def test_a_missing_count_and_a_long_error_do_no_harm(
    server: ModelServer, model: Model
) -> None:
    server.will(Says("Whole.", usage=None))
    assert await told(model) == "Whole."

    server.will(Refuses(500, "x" * 100_000))
    assert len(str(await failure(model))) < 500


async def test_many_answers_at_once(server: ModelServer, model: Model) -> None:
    server.will(Says("A", " mailbox"))
    answers: list[str] = []

    async def one() -> None:
        answers.append(await told(model))

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(one)

    assert answers == ["A mailbox"] * 30
