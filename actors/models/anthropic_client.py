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
import httpx2
from anthropic.types import MessageParam
from pydantic import BaseModel

from actors.clock import Now, wall_clock
from actors.errors import ActorError
from actors.models.faults import Endpoint
from actors.models.http import FAULTS, NO_KEY, AnswerTooBig, http_options
from actors.models.model import Prompt
from actors.models.provider import Chunks, Piece, count
from actors.models.server_sent_events import ServerSentEvents

ANTHROPIC_URL = "https://api.anthropic.com"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
_TAKES_PREFILL = re.compile(r"claude-(3|(opus|sonnet|haiku)-4-([015]\b|20\d{6}))")
_READ = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@asynccontextmanager
async def open_anthropic(url: str, key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """A client for the server at `url`; its connections end with the block."""
    async with anthropic.AsyncAnthropic(
        api_key=key or NO_KEY,
        base_url=url,
        max_retries=0,
        timeout=None,
        http_client=anthropic.DefaultAsyncHttpxClient(**http_options(url)),
    ) as client:
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
                raise self.endpoint.reported(chunk)
            case "message_start":
                counted = chunk["message"]["usage"]
                return Piece(input_tokens=sum(count(counted.get(name)) or 0 for name in _READ))
            case "content_block_delta" if chunk["delta"]["type"] == "text_delta":
                return Piece("" + chunk["delta"]["text"])
            case "message_delta":
                stopped = chunk["delta"].get("stop_reason")
                return Piece(
                    output_tokens=count((chunk.get("usage") or {}).get("output_tokens")),
                    finished=stopped is not None,
                    refused=stopped == "refusal",
                )
            case _:
                return Piece()

    def failure(self, error: Exception) -> ActorError:
        """What an exception of the SDK means."""
        match error:
            case anthropic.APIStatusError():
                return self.endpoint.refusal(
                    error.status_code, error.response.headers, error.body, self._now
                )
            case anthropic.APIConnectionError() | httpx2.HTTPError() | OSError():
                return self.endpoint.disconnected(str(error.__cause__ or error))
            case anthropic.APIError():
                return self.endpoint.reported(error.body)
            case AnswerTooBig():
                return self.endpoint.broken("sent far more than an answer can be.")
            case _:
                return self.endpoint.broken("sent an answer that cannot be read.")

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server understood the request and refused what it asks for."""
        return isinstance(error, anthropic.BadRequestError)

    def _messages(self, prompt: Prompt) -> list[MessageParam]:
        messages: list[MessageParam] = [{"role": "user", "content": prompt.user}]
        if self.can_continue and prompt.goes_on_from:
            # The API refuses one that ends in white space.
            messages.append({"role": "assistant", "content": prompt.goes_on_from.rstrip()})
        return messages
