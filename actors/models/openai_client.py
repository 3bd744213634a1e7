"""Models behind OpenAI's chat completions, at OpenAI or at any server that speaks the same:
vLLM, llama.cpp, Ollama, LM Studio, and providers with a base URL of their own.

An answer is continued from given text only where that is known to work: at the local model, which
is a llama.cpp of ours and takes an assistant message at the end for the beginning of its answer.
OpenAI begins a new answer after it, vLLM wants a parameter that others refuse, and from outside
one server cannot be told from another before it has answered.

Rule: the parameters sent are those that nearly all of them take. A server that refuses one names
it, and is asked again, from then on in its own dialect.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from actors.clock import Now, wall_clock
from actors.errors import ActorError
from actors.models.http import FAULTS
from actors.models.model import Prompt
from actors.models.provider import Chunks, Piece, count
from actors.models.provider_errors import Endpoint
from actors.models.sdk import client_options, failure_of, is_bad_request
from actors.models.sse import ServerSentEvents
from actors.models.structured import closed

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
_LIMIT, _NEWER_LIMIT, _COUNTING = "max_tokens", "max_completion_tokens", "stream_options"


@asynccontextmanager
async def open_openai(
    url: str, key: str, *, keep_alive: bool = True
) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for the server at `url`; its connections end with the block."""
    options = client_options(openai, url, key, keep_alive=keep_alive)
    async with openai.AsyncOpenAI(**options) as client:
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
        self._limit = _NEWER_LIMIT if self._is_openai else _LIMIT
        self._counts = True
        self._now = now

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the server is told to keep to its schema."""
        while True:
            options = self._options(prompt, shape)
            try:
                response = await self._client.chat.completions.with_raw_response.create(
                    model=self._model, messages=self._messages(prompt), stream=True, **options
                )
            except openai.APIStatusError as error:
                if not is_bad_request(error) or not self._learns(str(error.body), options):
                    raise
            else:
                return ServerSentEvents(response.http_response)

    def read(self, chunk: Any) -> Piece:
        """What a chunk tells. The last one has no choices, only the count of tokens."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise self.endpoint.reported(chunk, self._now)
        counted = chunk.get("usage") or {}
        choices = chunk.get("choices") if counted else chunk["choices"]
        choice: dict[str, Any] = next(iter(choices or ()), {})
        delta = choice.get("delta") or {}
        finish = choice.get("finish_reason")
        return Piece(
            text=_text(delta.get("content")),
            thought=_text(delta.get("reasoning_content") or delta.get("reasoning")),
            input_tokens=count(counted.get("prompt_tokens")),
            output_tokens=count(counted.get("completion_tokens")),
            finished=bool(finish),
            cut_off=finish == "length",
            refused=finish == "content_filter" or bool(delta.get("refusal")),
        )

    def failure(self, error: Exception) -> ActorError:
        """What an exception of the SDK means."""
        return failure_of(error, openai, self.endpoint, self._now)

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server understood the request and refused what it asks for."""
        return is_bad_request(error)

    def _options(self, prompt: Prompt, shape: type[BaseModel] | None) -> dict[str, Any]:
        options: dict[str, Any] = {self._limit: prompt.max_tokens}
        if self._counts:
            options[_COUNTING] = {"include_usage": True}
        if shape is not None:
            schema = closed(shape, lengths=not self._is_openai)
            wanted = {"name": shape.__name__, "schema": schema, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return options

    def _learns(self, said: str, sent: dict[str, Any]) -> bool:
        """Whether a refusal says how to ask instead; then that is remembered."""
        if _NEWER_LIMIT in said and _LIMIT in sent:
            self._limit = _NEWER_LIMIT
            return True
        if _COUNTING in said and _COUNTING in sent:
            self._counts = False
            return True
        return False

    def _messages(self, prompt: Prompt) -> list[ChatCompletionMessageParam]:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]
        if self.can_continue and prompt.goes_on_from:
            messages.append({"role": "assistant", "content": prompt.goes_on_from})
        return messages


def _text(content: Any) -> str:
    """A text, or the texts of a list of parts, some of which are thoughts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return "" + (content or "")
