"""Models behind OpenAI's Chat Completions API, at OpenAI or at any server with the same API: vLLM,
llama.cpp, Ollama, LM Studio, and providers with a base URL of their own.

An answer continues a given text only at the local model, where that is known to work: its llama.cpp
completes an assistant message at the end. OpenAI begins a new answer after such a message, vLLM
needs a parameter that others refuse, and a client cannot tell the servers apart before the first
answer.

Rule: only parameters that nearly all servers take are sent. If a server refuses one and its error
names it, the request is repeated without it or with its newer name, and so are later requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from actors.clock import Now, wall_clock
from actors.models.model import Prompt
from actors.models.provider import Chunks, Delta, Endpoint, count
from actors.models.sdk import SdkProvider, ServerSentEvents, client_options
from actors.models.structured import closed

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
_LIMIT, _NEWER_LIMIT, _USAGE_OPTION = "max_tokens", "max_completion_tokens", "stream_options"


@asynccontextmanager
async def open_openai(
    url: str, key: str, *, keep_alive: bool = True
) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for the server at `url`; its connections end with the block."""
    options = client_options(openai, url, key, keep_alive=keep_alive)
    async with openai.AsyncOpenAI(**options) as client:
        yield client


class OpenAIProvider(SdkProvider):
    """One model at one server."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        endpoint: Endpoint,
        *,
        can_continue: bool = False,
        now: Now = wall_clock,
    ) -> None:
        super().__init__(
            openai, openai.OpenAIError, model, endpoint, can_continue=can_continue, now=now
        )
        self._client = client
        self._is_openai = endpoint.url == OPENAI_URL
        self._limit = _NEWER_LIMIT if self._is_openai else _LIMIT
        self._sends_usage_option = True

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the request contains its schema."""
        while True:
            options = self._options(prompt, shape)
            try:
                response = await self._client.chat.completions.with_raw_response.create(
                    model=self._model, messages=self._messages(prompt), stream=True, **options
                )
            except openai.APIStatusError as error:
                if not self.is_bad_request(error) or not self._adapt(str(error.body), options):
                    raise
            else:
                return ServerSentEvents(response.http_response)

    def read(self, chunk: Any) -> Delta:
        """The content of a chunk. The last one has no choices, only the token counts."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise self.endpoint.reported(chunk, self._now)
        counted = chunk.get("usage") or {}
        choices = chunk.get("choices") if counted else chunk["choices"]
        choice: dict[str, Any] = next(iter(choices or ()), {})
        delta = choice.get("delta") or {}
        finish = choice.get("finish_reason")
        return Delta(
            text=_text(delta.get("content")),
            reasoning=_text(delta.get("reasoning_content") or delta.get("reasoning")),
            input_tokens=count(counted.get("prompt_tokens")),
            output_tokens=count(counted.get("completion_tokens")),
            finished=bool(finish),
            cut_off=finish == "length",
            refused=finish == "content_filter" or bool(delta.get("refusal")),
        )

    def _options(self, prompt: Prompt, shape: type[BaseModel] | None) -> dict[str, Any]:
        options: dict[str, Any] = {self._limit: prompt.max_tokens}
        if self._sends_usage_option:
            options[_USAGE_OPTION] = {"include_usage": True}
        if shape is not None:
            schema = closed(shape, lengths=not self._is_openai)
            named = {"name": shape.__name__, "schema": schema, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": named}
        return options

    def _adapt(self, message: str, sent: dict[str, Any]) -> bool:
        """Change the parameters of later requests as a refusal asks; whether it did."""
        if _NEWER_LIMIT in message and _LIMIT in sent:
            self._limit = _NEWER_LIMIT
            return True
        if _USAGE_OPTION in message and _USAGE_OPTION in sent:
            self._sends_usage_option = False
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
    """A text, or the texts of a list of parts, of which some are reasoning."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return "" + (content or "")
