"""A provider: how it is asked, and what its errors mean.

A `Provider` hides an SDK. It translates a prompt to a request, and a chunk of the answer to a
`Delta`; timeouts, bounds and retries are the same for all providers and not its concern.

Rule: no error text made here contains a key, whatever the server sent. An error that may pass is
`ModelUnavailable`; one that will be the same next time is `ModelRejected`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from pydantic import BaseModel

from actors.clock import Now, parse_retry_after
from actors.errors import ActorError, ModelRejected, ModelUnavailable, PromptTooLong
from actors.models.model import Prompt

_MAX_TOKENS = 1_000_000_000
_MAX_QUOTE = 300
_KEY_PREFIX = 8
"""Characters of a key that are hidden even if the server sends only the beginning of it."""
_TRANSIENT = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may pass."""
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""HTTP statuses of the error types that servers send in the middle of an answer."""
_NO_CREDIT = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached"})

_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_SAYS_TOO_LONG = re.compile(
    r"context (?:length|size|window)|prompt is too long|(?:too many|number of) (?:input |prompt )?"
    r"tokens|input (?:is )?too long",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Delta:
    """The content of one chunk of an answer. Counts are totals so far; reasoning is not shown."""

    text: str = ""
    reasoning: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    finished: bool = False
    cut_off: bool = False
    refused: bool = False


class Chunks(Protocol):
    """The chunks of an answer, as they arrive."""

    def __aiter__(self) -> AsyncIterator[Any]: ...

    async def __anext__(self) -> Any: ...


class Provider(Protocol):
    """One model at one provider. SDK errors pass through; `failure` translates them."""

    endpoint: Endpoint
    can_continue: bool
    faults: tuple[type[Exception], ...]
    """What `ask` and the chunks of an answer may raise."""

    async def ask(self, prompt: Prompt, shape: type[BaseModel] | None) -> Chunks:
        """The answer as it comes; with a shape, the request contains its schema."""

    def read(self, chunk: Any) -> Delta:
        """The content of a chunk. A malformed chunk may raise any error."""

    def failure(self, error: Exception) -> ActorError:
        """The error for an exception of the SDK."""

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the server refused the parameters of the request (400 or 422)."""


def count(value: object) -> int | None:
    """A number of tokens, if it is one: some servers omit it or send something else."""
    return value if isinstance(value, int) and 0 <= value <= _MAX_TOKENS else None


class Endpoint:
    """Names a model, its URL and its key variable in error messages."""

    def __init__(self, name: str, url: str, key_variable: str = "", key: str = "") -> None:
        self.name = name
        self.url = url
        self._key_variable = key_variable
        self._key = key
        self._key_pattern = _pattern_of(key)

    def refusal(self, status: int, headers: Mapping[str, str], body: Any, now: Now) -> ActorError:
        """The error for a response with this status."""
        quoted = self._quoted(body)
        if status == 402 or (status < 500 and _kinds(body) & _NO_CREDIT):
            return ModelRejected(
                f"{self.name} has no credit left at its provider (HTTP {status}). "
                "Check the plan and billing of the account."
            )
        if status in _TRANSIENT or status >= 500:
            error = ModelUnavailable(f"{self.name} {_transient(status)} (HTTP {status}){quoted}")
            error.retry_after_s = retry_after_s(headers, now)
            return error
        if status in (401, 403):  # Not quoted: some servers send the key back.
            return ModelRejected(self._key_message(status))
        if status == 404:
            return ModelRejected(
                f"There is no model {self.name} at {self.url} (HTTP 404){quoted} "
                "Check the model's name and the base URL in the settings."
            )
        refused = f"{self.name} refused the request (HTTP {status}){quoted}"
        if _kinds(body) & _TOO_LONG or _SAYS_TOO_LONG.search(_message(body)):
            return PromptTooLong(f"{refused} Use a model with a larger context window.")
        return ModelRejected(f"{refused} Check that this model supports what the settings ask for.")

    def broken(self, what: str) -> ModelUnavailable:
        """The error for an answer that is missing, incomplete or unreadable."""
        return ModelUnavailable(f"{self.name} {what}")

    def disconnected(self, why: str) -> ModelUnavailable:
        """The error for a connection that could not be made or was lost."""
        because = self._clean(why).rstrip(".")
        return ModelUnavailable(f"The connection to {self.name} at {self.url} failed: {because}.")

    def reported(self, body: Any, now: Now) -> ActorError:
        """The error for a failure that the server reports in the middle of its answer."""
        status = _status(body)
        if status is not None:
            return self.refusal(status, {}, body, now)
        return ModelUnavailable(
            f"{self.name} failed in the middle of its answer{self._quoted(body)}"
        )

    def _key_message(self, status: int) -> str:
        if not self._key:
            variable = self._key_variable or "a key"
            return (
                f"{self.name} needs an API key (HTTP {status}). Set {variable} in the environment."
            )
        return (
            f"{self.name} refused the API key (HTTP {status}). "
            f"Check {self._key_variable}, and that this key may use this model."
        )

    def _quoted(self, body: Any) -> str:
        message = self._clean(_message(body)).rstrip(".")
        return f": {message}." if message else "."

    def _clean(self, text: str) -> str:
        text = " ".join(text.split())
        if self._key:
            text = self._key_pattern.sub("***", text)
        return text if len(text) <= _MAX_QUOTE else text[: _MAX_QUOTE - 1] + "…"


def _pattern_of(key: str) -> re.Pattern[str]:
    """Matches the key as a server may send it back: verbatim, URL-encoded or truncated."""
    forms = [re.escape(form) for form in {key, quote(key), quote(key, safe="")}]
    if len(key) >= 2 * _KEY_PREFIX:
        forms.append(re.escape(key[:_KEY_PREFIX]) + r"\S*")
    return re.compile("|".join(sorted(forms, key=len, reverse=True)))


def retry_after_s(headers: Mapping[str, str], now: Now) -> float | None:
    """The seconds to wait that the server asks for, from 0 to an hour; None if it asks for none."""
    milliseconds = headers.get("retry-after-ms", "")
    try:
        return parse_retry_after(str(float(milliseconds) / 1_000), now)
    except ValueError:
        return parse_retry_after(headers.get("retry-after", ""), now)


def _transient(status: int) -> str:
    if status == 429:
        return "has reached its rate limit"
    if status in (503, 529):
        return "is overloaded"
    return "failed"


def _message(body: Any) -> str:
    """The message of an error body; servers use about four formats."""
    match body:
        case {"error": inner}:
            return _message(inner)
        case {"message": str(text)} | {"detail": str(text)}:
            return text
        case str(text) if "<html" not in text.lower():
            return text
        case _:
            return ""


def _status(body: Any) -> int | None:
    """The status that an error would have had before the answer began, if the body has it."""
    kinds = sorted(_kinds(body))  # Numbers sort before names.
    given = [int(kind) for kind in kinds if re.fullmatch("[45][0-9][0-9]", kind)]
    return next(iter(given + [_STATUSES[kind] for kind in kinds if kind in _STATUSES]), None)


def _kinds(body: Any) -> set[str]:
    inner = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return set()
    return {str(inner.get("type")), str(inner.get("code"))}
