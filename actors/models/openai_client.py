"""Models behind OpenAI's chat completions, at OpenAI or at any server that speaks the same:
vLLM, llama.cpp, Ollama, LM Studio, and providers with a base URL of their own.

An answer is continued from given text only where that is known to work: at the local model, which
is a llama.cpp of ours and takes an assistant message at the end for the beginning of its answer.
OpenAI begins a new answer after it, vLLM wants a parameter that others refuse, and from outside
one server cannot be told from another before it has answered.

Rule: the parameters sent are those that all of them take. What only OpenAI's own servers want, or
refuse, depends on the base URL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from actors.clock import Now, wall_clock
from actors.errors import ActorError
from actors.models.faults import Endpoint
from actors.models.http import FAULTS, NO_KEY, AnswerTooBig, http_options
from actors.models.model import Prompt
from actors.models.provider import Chunks, Piece, count
from actors.models.server_sent_events import ServerSentEvents
from actors.models.shapes import closed

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"


@asynccontextmanager
async def open_openai(
    url: str, key: str, *, keep_alive: bool = True
) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for the server at `url`; its connections end with the block."""
    async with openai.AsyncOpenAI(
        api_key=key or NO_KEY,
        base_url=url,
        max_retries=0,
        timeout=None,
        http_client=openai.DefaultAsyncHttpxClient(**http_options(url, keep_alive=keep_alive)),
    ) as client:
        yield client


class OpenAIProvider:
    """One model at one server."""

    faults: tuple[type[Exception], ...] = (openai.OpenAIError, *FAULTS)

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        endpoint: Endpoint,
        *,
        can_continue: bool = False,
        now: Now = wall_clock,
    ) -> None:
        self.endpoint = endpoint
        self.can_continue = can_continue
        self._client = client
        self._model = model
        self._is_openai = endpoint.url == OPENAI_URL
        self._now = now

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the server is told to keep to its schema."""
        limit = "max_completion_tokens" if self._is_openai else "max_tokens"
        options: dict[str, Any] = {limit: prompt.max_tokens}
        if shape is not None:
            schema = closed(shape, lengths=not self._is_openai)
            wanted = {"name": shape.__name__, "schema": schema, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": wanted}
        response = await self._client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=self._messages(prompt),
            stream=True,
            stream_options={"include_usage": True},
            **options,
        )
        return ServerSentEvents(response.http_response)

    def read(self, chunk: Any) -> Piece:
        """What a chunk tells. The last one has no choices, only the count of tokens."""
        if chunk.get("error"):
            raise self.endpoint.reported(chunk)
        counted = chunk.get("usage") or {}
        choice: dict[str, Any] = next(iter(chunk["choices"]), {})
        delta = choice.get("delta") or {}
        finish = choice.get("finish_reason")
        return Piece(
            text="" + (delta.get("content") or ""),
            input_tokens=count(counted.get("prompt_tokens")),
            output_tokens=count(counted.get("completion_tokens")),
            finished=bool(finish),
            refused=finish == "content_filter" or bool(delta.get("refusal")),
        )

    def failure(self, error: Exception) -> ActorError:
        """What an exception of the SDK means."""
        match error:
            case openai.APIStatusError():
                return self.endpoint.refusal(
                    error.status_code, error.response.headers, error.body, self._now
                )
            case openai.APIConnectionError() | httpx2.HTTPError() | OSError():
                return self.endpoint.disconnected(str(error.__cause__ or error))
            case openai.APIError():
                return self.endpoint.reported(error.body)
            case AnswerTooBig():
                return self.endpoint.broken("sent far more than an answer can be.")
            case _:
                return self.endpoint.broken("sent an answer that cannot be read.")

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server understood the request and refused what it asks for."""
        return isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)

    def _messages(self, prompt: Prompt) -> list[ChatCompletionMessageParam]:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]
        if self.can_continue and prompt.goes_on_from:
            messages.append({"role": "assistant", "content": prompt.goes_on_from})
        return messages
