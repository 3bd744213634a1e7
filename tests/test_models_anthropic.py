"""The parts of the client that only Anthropic's API has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from model_server import ModelServer, Says, scripted_models
from pydantic import BaseModel, Field

from actors.errors import ModelRejected
from actors.models.model import Model, Prompt
from actors.models.provider import Endpoint
from actors.models.remote import RemoteModel

PROMPT = Prompt("You answer.", "What is a mailbox?", max_tokens=50, goes_on_from="A mailbox \n")
KEY = "sk-ant-123"

pytestmark = pytest.mark.filterwarnings("ignore:The model '.*' is deprecated:DeprecationWarning")


class Point(BaseModel):
    x: int = Field(ge=0)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


@pytest.fixture
async def named(server: ModelServer) -> AsyncIterator[Callable[[str], Model]]:
    from actors.models.anthropic_client import AnthropicProvider, open_anthropic

    async with open_anthropic(server.url, KEY) as client:

        def model_named(name: str) -> Model:
            endpoint = Endpoint(f"anthropic:{name}", server.url)
            return RemoteModel(AnthropicProvider(client, name, endpoint), idle_s=5)

        yield model_named


async def told(model: Model) -> str:
    async with model.stream(PROMPT) as stream:
        return "".join([piece async for piece in stream])


async def test_the_request_is_as_the_documentation_says(
    server: ModelServer, named: Callable[[str], Model]
) -> None:
    server.will(Says("It is a queue."))

    await told(named("claude-opus-5"))

    (asked,) = server.requests
    assert asked.path == "/v1/messages"
    assert KEY in str(asked.headers)
    assert asked.body == {
        "model": "claude-opus-5",
        "system": "You answer.",
        "messages": [{"role": "user", "content": "What is a mailbox?"}],
        "max_tokens": 50,
        "stream": True,
    }


@pytest.mark.parametrize(
    ("name", "takes_it"),
    [
        ("claude-3-5-haiku-20241022", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1", True),
        ("claude-haiku-4-5", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-sonnet-4-6", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-5-5", False),
        ("m", False),
    ],
)
async def test_a_model_that_takes_a_prefill_continues_it(
    server: ModelServer, named: Callable[[str], Model], name: str, takes_it: bool
) -> None:
    server.will(Says("is a queue."))
    model = named(name)

    await told(model)

    last = server.requests[0].body["messages"][-1]
    assert model.can_continue == takes_it
    assert (last == {"role": "assistant", "content": "A mailbox"}) == takes_it


async def test_a_type_is_requested_as_structured_output(
    server: ModelServer, named: Callable[[str], Model]
) -> None:
    server.will(Says('{"x": 3}'))

    await named("claude-haiku-4-5").structured(PROMPT, Point)

    wanted = server.requests[0].body["output_config"]["format"]
    assert wanted["type"] == "json_schema"
    assert wanted["schema"]["required"] == ["x"]
    assert server.requests[0].body["messages"][-1]["role"] == "user"


async def test_reasoning_is_not_text(server: ModelServer, named: Callable[[str], Model]) -> None:
    thought = b'data: {"type": "content_block_delta", "delta": {"type": "thinking_delta"}}\n\n'
    server.will(Says(thought, "A queue."))

    assert await told(named("m")) == "A queue."


async def test_a_refusal_is_rejected(server: ModelServer, named: Callable[[str], Model]) -> None:
    server.will(Says("I", finish="refusal"))

    with pytest.raises(ModelRejected, match="declined"):
        await told(named("m"))
