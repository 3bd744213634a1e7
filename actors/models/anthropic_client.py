"""Models behind Anthropic's Messages API.

An answer continues a given text by a prefill, a message of the assistant that the model completes.
Models up to Claude 4.5 take one, later ones refuse it. A structured answer is requested as
structured output; models without that get the schema in the prompt.

Rule: only documented parts of the API are used; nothing is found out by trial.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
from anthropic.types import MessageParam
from pydantic import BaseModel

from actors.clock import Now, wall_clock
from actors.models.model import Prompt
from actors.models.provider import Chunks, Delta, Endpoint, count
from actors.models.sdk import SdkProvider, ServerSentEvents, client_options

ANTHROPIC_URL = "https://api.anthropic.com"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
_TAKES_PREFILL = re.compile(r"claude-(3|(opus|sonnet|haiku)-4-([015]\b|20\d{6}))")
_CUT_OFF = ("max_tokens", "model_context_window_exceeded")
_INPUT_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@asynccontextmanager
async def open_anthropic(url: str, key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """A client for the server at `url`; its connections end with the block."""
    async with anthropic.AsyncAnthropic(**client_options(anthropic, url, key)) as client:
        yield client


class AnthropicProvider(SdkProvider):
    """One model at Anthropic, or at a server with the same API."""

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        model: str,
        endpoint: Endpoint,
        *,
        now: Now = wall_clock,
    ) -> None:
        takes_prefill = _TAKES_PREFILL.match(model) is not None
        super().__init__(
            anthropic,
            anthropic.AnthropicError,
            model,
            endpoint,
            can_continue=takes_prefill,
            now=now,
        )
        self._client = client

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the request contains its schema."""
        options: dict[str, Any] = {"system": prompt.system} if prompt.system else {}
        if shape is not None:
            schema = anthropic.transform_schema(shape)
            options["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        response = await self._client.messages.with_raw_response.create(
            model=self._model,
            max_tokens=prompt.max_tokens,
            messages=self._messages(prompt),
            stream=True,
            **options,
        )
        return ServerSentEvents(response.http_response)

    def read(self, chunk: Any) -> Delta:
        """The content of an event."""
        match chunk["type"]:
            case "error":
                raise self.endpoint.reported(chunk, self._now)
            case "message_start":
                return Delta(input_tokens=_input_tokens(chunk["message"]))
            case "content_block_delta" if chunk["delta"]["type"] == "text_delta":
                return Delta("" + chunk["delta"]["text"])
            case "content_block_delta" if chunk["delta"]["type"] == "thinking_delta":
                return Delta(reasoning="" + chunk["delta"].get("thinking", ""))
            case "message_delta":
                stop_reason = chunk["delta"].get("stop_reason")
                return Delta(
                    input_tokens=_input_tokens(chunk),
                    output_tokens=count((chunk.get("usage") or {}).get("output_tokens")),
                    finished=stop_reason is not None,
                    cut_off=stop_reason in _CUT_OFF,
                    refused=stop_reason == "refusal",
                )
            case _:
                return Delta()

    def _messages(self, prompt: Prompt) -> list[MessageParam]:
        messages: list[MessageParam] = [{"role": "user", "content": prompt.user}]
        if self.can_continue and prompt.goes_on_from:
            # The API refuses a prefill that ends in white space.
            messages.append({"role": "assistant", "content": prompt.goes_on_from.rstrip()})
        return messages


def _input_tokens(counted: dict[str, Any]) -> int | None:
    """Tokens of the prompt, cached or not; None if the server sent no count or zero."""
    usage = counted.get("usage") or {}
    return sum(count(usage.get(name)) or 0 for name in _INPUT_COUNTS) or None
