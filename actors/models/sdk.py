"""What the clients for OpenAI's and Anthropic's APIs share. One generator makes both SDKs.

The stream of an answer is read here and not by the SDKs: their streams leave async generators
unfinished at the end of an answer, or at garbage, and Trio warns about each.

Rule: an SDK never waits, retries or buffers without bound; timeouts are the caller's. This module
imports neither SDK: a provider passes its own in.
"""

from __future__ import annotations

import json
from typing import Any, Self

import httpx2
import trio

from actors.clock import Now
from actors.errors import ActorError
from actors.http_client import BoundedBody, is_loopback
from actors.models.provider import Endpoint

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Of one answer on the wire: a token takes some hundreds of bytes."""
MAX_LINE_BYTES = 2 * 1024 * 1024
"""A line is read as a whole, and a server may put a whole answer into one."""

_NO_KEY = "none"
"""The SDKs always send a key; a server that needs none gets this."""
_MAX_IDLE_CONNECTIONS = 32
_BAD_REQUEST = (400, 422)
_DATA = b"data:"
_DONE = b"[DONE]"
"""The end of a chat completion. A stream of Anthropic's messages has no such mark."""
_CLOSING_S = 1.0
"""Time for the end of the response after `[DONE]`; some servers never send it."""

TRANSPORT_ERRORS = (
    httpx2.HTTPError,
    httpx2.StreamError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""What an SDK raises besides its own errors: HTTP errors, and errors from parsing garbage."""


class AnswerTooLarge(ValueError):
    """More bytes than any answer needs."""


def client_options(sdk: Any, url: str, key: str, *, keep_alive: bool = True) -> dict[str, Any]:
    """Arguments for an SDK's client at `url`. No key follows a redirect."""
    local = is_loopback(url)
    http_client = sdk.DefaultAsyncHttpxClient(
        event_hooks={"response": [_bound]},
        headers={"Accept-Encoding": "identity"},
        follow_redirects=False,
        limits=httpx2.Limits(max_keepalive_connections=_MAX_IDLE_CONNECTIONS if keep_alive else 0),
        timeout=None,
        trust_env=not local,
        verify=not (local and url.startswith("http:")),  # Loading certificates takes 100 ms.
    )
    return {
        "api_key": key or _NO_KEY,
        "base_url": url,
        "max_retries": 0,
        "timeout": None,
        "http_client": http_client,
    }


async def _bound(response: httpx2.Response) -> None:
    response.stream = BoundedBody(response, MAX_ANSWER_BYTES, AnswerTooLarge())


class SdkProvider:
    """The part of a `Provider` that is the same for both SDKs."""

    def __init__(
        self,
        sdk: Any,
        sdk_error: type[Exception],
        model: str,
        endpoint: Endpoint,
        *,
        can_continue: bool,
        now: Now,
    ) -> None:
        self.endpoint = endpoint
        self.can_continue = can_continue
        self.faults: tuple[type[Exception], ...] = (sdk_error, *TRANSPORT_ERRORS)
        self._sdk = sdk
        self._model = model
        self._now = now

    def failure(self, error: Exception) -> ActorError:
        """The error for an exception of the SDK or of the HTTP client below it."""
        if isinstance(error, self._sdk.APIStatusError):
            headers = error.response.headers
            return self.endpoint.refusal(error.status_code, headers, error.body, self._now)
        if isinstance(error, (self._sdk.APIConnectionError, httpx2.HTTPError, OSError)):
            return self.endpoint.disconnected(str(error.__cause__ or error))
        if isinstance(error, AnswerTooLarge):
            return self.endpoint.broken("sent far more bytes than an answer needs.")
        return self.endpoint.broken("sent an answer that cannot be read.")

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server refused the parameters of the request (400 or 422)."""
        return getattr(error, "status_code", None) in _BAD_REQUEST


class ServerSentEvents:
    """The JSON objects of an answer, one after each `data:`. Raises `ValueError` for garbage.

    The response is read to its end, so that the connection can be used again.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self._chunks = response.aiter_bytes()
        self._unread = bytearray()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            # Yield between lines that came at once. A cancellation is delivered in the read below.
            await trio.lowlevel.cancel_shielded_checkpoint()
            line = await self._line()
            if not line.startswith(_DATA):
                continue  # A comment, an event name, or the empty line between two events.
            data = line.removeprefix(_DATA).strip()
            if data != _DONE:
                return json.loads(data)
            with trio.move_on_after(_CLOSING_S):
                async for _ in self._chunks:
                    pass

    async def _line(self) -> bytes:
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > MAX_LINE_BYTES:
                self._unread.clear()  # A reader that goes on must reach the end of the response.
                raise AnswerTooLarge
            self._unread += await anext(self._chunks)
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line
