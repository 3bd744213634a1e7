"""The parts of the client that only OpenAI's API has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from model_server import ModelServer, Refuses, Says, scripted_models
from pydantic import BaseModel, Field

from actors.errors import ModelRejected, ModelUnavailable
from actors.models.model import Model, Prompt
from actors.models.provider import Endpoint
from actors.models.remote import RemoteModel
from actors.models.structured import closed
from actors.usage import Usage

PROMPT = Prompt("You answer.", "What is a mailbox?", max_tokens=50, goes_on_from="A mailbox")


class Step(BaseModel):
    title: str = Field(default="", max_length=20)
    notes: list[str] = []


class Outline(BaseModel):
    steps: list[Step] = Field(max_length=3)
    kind: str | None = None


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[Model]:
    from actors.models.openai_client import OpenAIProvider, open_openai

    url = f"{server.url}/v1"
    async with open_openai(url, "") as client:
        yield RemoteModel(OpenAIProvider(client, "m", Endpoint("openai:m", url)), idle_s=5)


async def told(model: Model) -> str:
    async with model.stream(PROMPT) as stream:
        return "".join([piece async for piece in stream])


async def test_the_request_has_only_common_parameters(server: ModelServer, model: Model) -> None:
    server.will(Says("It is a queue."))

    await told(model)

    (asked,) = server.requests
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You answer."},
            {"role": "user", "content": "What is a mailbox?"},
        ],
        "max_tokens": 50,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert not model.can_continue


async def test_a_server_that_needs_a_key_and_got_none(server: ModelServer, model: Model) -> None:
    server.will(Refuses(401))

    with pytest.raises(ModelRejected, match="needs an API key"):
        await told(model)


async def test_a_server_that_counts_no_tokens_and_never_ends_its_response(
    server: ModelServer, model: Model
) -> None:
    server.will(Says("Whole.", usage=None, ends=False))

    async with model.stream(PROMPT) as stream:
        assert [piece async for piece in stream] == ["Whole."]

    assert stream.usage == Usage(10, 2, estimated=True)


async def test_an_answer_that_is_filtered_is_rejected(server: ModelServer, model: Model) -> None:
    server.will(Says("I", finish="content_filter"))

    with pytest.raises(ModelRejected, match="declined"):
        await told(model)


@pytest.mark.parametrize(
    "line",
    [
        b"data: {}",
        b'data: {"choices": 7}',
        b'data: {"choices": [7]}',
        b'data: {"choices": [{"delta": {"content": 7}}]}',
        b'data: {"choices": [{"delta": 7}]}',
    ],
)
async def test_a_malformed_chunk_makes_the_answer_unreadable(
    server: ModelServer, model: Model, line: bytes
) -> None:
    server.will(Says(line + b"\n\n"))

    with pytest.raises(ModelUnavailable, match="cannot be read"):
        await told(model)


async def test_lines_may_end_with_crlf_and_come_in_parts(server: ModelServer, model: Model) -> None:
    chunk = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\r\n\r\n'
    server.will(Says(chunk[:30], chunk[30:-3], chunk[-3:], b": comment\r\n\r\n"))

    assert await told(model) == "Hello"


def test_a_schema_is_closed_and_has_limits() -> None:
    schema = closed(Outline, lengths=True)

    assert schema["required"] == ["steps", "kind"]
    assert schema["properties"]["steps"]["maxItems"] == 3
    assert schema["$defs"]["Step"] == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 20},
            "notes": {
                "type": "array",
                "items": {"type": "string", "maxLength": 1_000},
                "maxItems": 32,
            },
        },
        "required": ["title", "notes"],
        "additionalProperties": False,
    }


def test_a_schema_for_openai_itself_has_no_lengths() -> None:
    assert "maxLength" not in str(closed(Outline, lengths=False))
    assert "title" in closed(Outline, lengths=False)["$defs"]["Step"]["properties"]
