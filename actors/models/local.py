"""The local model: a small model from a package index, in a child process.

The child runs llama.cpp's server, which has OpenAI's Chat Completions API, on a free port of
127.0.0.1 and with a random key. It answers two requests at a time and enforces schemas.

Rule: if the child dies, the model is unavailable, and the next call starts another child.
"""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio
from openai import APIConnectionError, AsyncOpenAI
from pydantic import BaseModel

from actors.errors import ModelUnavailable, PromptTooLong
from actors.models.model import LOCAL, Prompt, estimated_tokens
from actors.models.openai_client import OpenAIProvider, open_openai
from actors.models.provider import Chunks, Endpoint

log = logging.getLogger(__name__)

START_S = 60.0
CHILD = (sys.executable, "-P", "-m", "actors.models.local_child")
MAX_INPUT_TOKENS = 1_200
"""Of a prompt for a text: on one busy core it reads some tens of tokens a second."""

MAX_OUTPUT_TOKENS = 400
"""Of a text: it writes about ten tokens a second there, and a longer text does not get better."""

IDLE_S = 120.0
"""How long it may send nothing while it reads. A dead child is noticed without this wait."""

_MODEL = "smollm2-135m-instruct"
_LOOPBACK = "http://127.0.0.1"
_MAX_ADDRESS = 200
_END_S = 1.0


@asynccontextmanager
async def open_local(model: Path, command: Sequence[str] = CHILD) -> AsyncIterator[LocalProvider]:
    """The local model; its child starts with the block and ends with it."""
    key = secrets.token_urlsafe()
    server = LocalServer(model, key, command)
    try:
        # The child closes idle connections at any time, and a new one is cheap.
        async with open_openai(_LOOPBACK, key, keep_alive=False) as client:
            try:
                await server.address()
            except ModelUnavailable as error:
                log.warning("%s", error.message)  # The first call starts another child.
            yield LocalProvider(client, server)
    finally:
        await server.kill()


class LocalServer:
    """The child process; if it has died, the next call of `address` starts another one."""

    def __init__(self, model: Path, key: str, command: Sequence[str]) -> None:
        self._config = json.dumps({"model": str(model), "key": key}) + "\n"
        self._command = command
        self._process: trio.Process | None = None
        self._address = ""
        self._starting = trio.Lock()

    @property
    def process(self) -> trio.Process | None:
        """The child that was started last."""
        return self._process

    async def address(self) -> str:
        """The URL of the child, which is started if none lives. Raises `ModelUnavailable`."""
        async with self._starting:
            if self._process is None or self._process.poll() is not None:
                await self.kill()
                self._address = ""
                self._process = await self._start()
                try:
                    with trio.move_on_after(START_S):
                        self._address = await self._receive_address(self._process)
                finally:
                    if not self._address:
                        await self.kill()
        if not self._address:
            raise ModelUnavailable(f"The local model was not ready within {START_S:g} s.")
        return self._address

    async def has_ended(self) -> bool:
        """Whether the child is dead. Its sockets close a moment before its exit is known."""
        if self._process is not None:
            with trio.move_on_after(_END_S):
                await self._process.wait()
                return True
        return self._process is None

    async def kill(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()

    async def _start(self) -> trio.Process:
        try:
            with trio.CancelScope(shield=True):  # Cancelled here, it would run on unowned.
                process = await trio.lowlevel.open_process(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        except OSError as error:
            raise ModelUnavailable(f"The local model could not be started: {error}.") from error
        return process

    async def _receive_address(self, process: trio.Process) -> str:
        assert process.stdin is not None and process.stdout is not None
        line = b""
        try:
            await process.stdin.send_all(self._config.encode())
            while not line.endswith(b"\n"):
                part = await process.stdout.receive_some(_MAX_ADDRESS)
                if not part or len(line) > _MAX_ADDRESS:
                    raise trio.BrokenResourceError
                line += part
        except trio.BrokenResourceError:
            raise ModelUnavailable("The local model ended during its start.") from None
        return line.decode().strip()


class LocalProvider(OpenAIProvider):
    """The model in the child process that lives now."""

    def __init__(self, client: AsyncOpenAI, server: LocalServer) -> None:
        super().__init__(client, _MODEL, Endpoint(LOCAL, _LOOPBACK), can_continue=True)
        self.server = server

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the request contains its schema.

        Raises `PromptTooLong` for a text that it would read for a minute before it begins.
        """
        if shape is None:
            if estimated_tokens(replace(prompt, goes_on_from="")) > MAX_INPUT_TOKENS:
                raise PromptTooLong(
                    f"The {LOCAL} model reads about {MAX_INPUT_TOKENS:,} tokens at most."
                )
            prompt = replace(prompt, max_tokens=min(prompt.max_tokens, MAX_OUTPUT_TOKENS))
        try:
            return await self._ask_child(prompt, shape)
        except APIConnectionError:
            if not await self.server.has_ended():
                raise
        return await self._ask_child(prompt, shape)

    async def _ask_child(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        self._client.base_url = f"{await self.server.address()}/v1"
        return await super().ask(prompt, shape)
