"""Models behind Anthropic's messages.

An answer is continued from given text by a prefill, a beginning of the assistant's turn, which
models up to Claude 4.5 take and later ones refuse. A shape is asked for as structured output;
models that are older than that are asked in words.

Rule: what this speaks of is in the documentation of the messages API; nothing is tried out on it.
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
from actors.errors import ActorError
from actors.models.http import FAULTS
from actors.models.model import Prompt
from actors.models.provider import Chunks, Piece, count
from actors.models.provider_errors import Endpoint
from actors.models.sdk import client_options, failure_of, is_bad_request
from actors.models.sse import ServerSentEvents

ANTHROPIC_URL = "https://api.anthropic.com"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
_TAKES_PREFILL = re.compile(r"claude-(3|(opus|sonnet|haiku)-4-([015]\b|20\d{6}))")
_CUT_OFF = ("max_tokens", "model_context_window_exceeded")
_READ = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@asynccontextmanager
async def open_anthropic(url: str, key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """A client for the server at `url`; its connections end with the block."""
    async with anthropic.AsyncAnthropic(**client_options(anthropic, url, key)) as client:
        yield client


class AnthropicProvider:
    """One model at Anthropic, or at a server that speaks the same."""

    faults: tuple[type[Exception], ...] = (anthropic.AnthropicError, *FAULTS)

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        model: str,
        endpoint: Endpoint,
        *,
        now: Now = wall_clock,
    ) -> None:
        self.endpoint = endpoint
        self.can_continue = _TAKES_PREFILL.match(model) is not None
        self._client = client
        self._model = model
        self._now = now

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the server is told to keep to its schema."""
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

    def read(self, chunk: Any) -> Piece:
        """What an event tells. What a model thinks before it writes is no text."""
        match chunk["type"]:
            case "error":
                raise self.endpoint.reported(chunk, self._now)
            case "message_start":
                return Piece(input_tokens=_read(chunk["message"]))
            case "content_block_delta" if chunk["delta"]["type"] == "text_delta":
                return Piece("" + chunk["delta"]["text"])
            case "content_block_delta" if chunk["delta"]["type"] == "thinking_delta":
                return Piece(thought="" + chunk["delta"].get("thinking", ""))
            case "message_delta":
                stopped = chunk["delta"].get("stop_reason")
                return Piece(
                    input_tokens=_read(chunk),
                    output_tokens=count((chunk.get("usage") or {}).get("output_tokens")),
                    finished=stopped is not None,
                    cut_off=stopped in _CUT_OFF,
                    refused=stopped == "refusal",
                )
            case _:
                return Piece()

    def failure(self, error: Exception) -> ActorError:
        """What an exception of the SDK means."""
        return failure_of(error, anthropic, self.endpoint, self._now)

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server understood the request and refused what it asks for."""
        return is_bad_request(error)

    def _messages(self, prompt: Prompt) -> list[MessageParam]:
        messages: list[MessageParam] = [{"role": "user", "content": prompt.user}]
        if self.can_continue and prompt.goes_on_from:
            # The API refuses one that ends in white space.
            messages.append({"role": "assistant", "content": prompt.goes_on_from.rstrip()})
        return messages


def _read(counted: dict[str, Any]) -> int | None:
    """Tokens of the prompt, cached or not; None if there is no count of them, or a mere zero."""
    usage = counted.get("usage") or {}
    return sum(count(usage.get(name)) or 0 for name in _READ) or None
