"""What a provider's refusals and failures mean: whose move it is, and when to try again.

Rule: no sentence made here carries a key, whatever the server has said. What may be better in a
moment is `ModelUnavailable`; what will be the same next time is `ModelRejected`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from actors.clock import Now, parse_retry_after
from actors.errors import ActorError, ModelRejected, ModelUnavailable, PromptTooLong

_LONGEST_QUOTE = 300
_TELLING = 8
"""So many characters of a key are not said by chance."""
_PASSING = frozenset({408, 409, 425, 429})
"""What is below 500 and may be better next time."""
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
"""What servers call an error where there is no status any more: in the middle of an answer."""
_NO_CREDIT = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached"})

_NO_ROOM = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_SAYS_NO_ROOM = re.compile(
    r"context (?:length|size|window)|prompt is too long|(?:too many|number of) (?:input |prompt )?"
    r"tokens|input (?:is )?too long",
    re.IGNORECASE,
)


class Endpoint:
    """How one provider's model is spoken of to a person: its name, where it is, which key it takes."""

    def __init__(self, name: str, url: str, key_variable: str = "", key: str = "") -> None:
        self.name = name
        self.url = url
        self._key_variable = key_variable
        self._key = key
        self._forms_of_key = _forms(key)

    def refusal(self, status: int, headers: Mapping[str, str], body: Any, now: Now) -> ActorError:
        """The error for an answer with this status."""
        said = self._quoted(body)
        if status == 402 or (status < 500 and _kinds(body) & _NO_CREDIT):
            return ModelRejected(
                f"{self.name} has no credit left at its provider (HTTP {status}). "
                "Look at the account's plan and billing."
            )
        if status in _PASSING or status >= 500:
            error = ModelUnavailable(f"{self.name} {_passing(status)} (HTTP {status}){said}")
            error.retry_after_s = retry_after_s(headers, now)
            return error
        if status in (401, 403):  # Not quoted: some servers say the key back.
            return ModelRejected(self._about_the_key(status))
        if status == 404:
            return ModelRejected(
                f"There is no model {self.name} at {self.url} (HTTP 404){said} "
                "Check the model's name and the base URL in the settings."
            )
        refused = f"{self.name} refused the request (HTTP {status}){said}"
        if _kinds(body) & _NO_ROOM or _SAYS_NO_ROOM.search(_message(body)):
            return PromptTooLong(f"{refused} Use a model that can read more.")
        return ModelRejected(f"{refused} Check that this model can do what the settings ask of it.")

    def broken(self, what: str) -> ModelUnavailable:
        """The error for an answer that did not come, or not whole, or not readable."""
        return ModelUnavailable(f"{self.name} {what}")

    def disconnected(self, why: str) -> ModelUnavailable:
        """The error for a connection that could not be made or was lost."""
        because = self._clean(why).rstrip(".")
        return ModelUnavailable(f"The connection to {self.name} at {self.url} failed: {because}.")

    def reported(self, body: Any, now: Now) -> ActorError:
        """The error for a failure that the server tells in the middle of its answer."""
        status = _status(body)
        if status is not None:
            return self.refusal(status, {}, body, now)
        return ModelUnavailable(
            f"{self.name} failed in the middle of its answer{self._quoted(body)}"
        )

    def _about_the_key(self, status: int) -> str:
        if not self._key:
            wanted = self._key_variable or "a key"
            return (
                f"{self.name} asks for an API key (HTTP {status}). Set {wanted} in the environment."
            )
        return (
            f"{self.name} refused the API key (HTTP {status}). "
            f"Check {self._key_variable}, and that this key may use this model."
        )

    def _quoted(self, body: Any) -> str:
        said = self._clean(_message(body)).rstrip(".")
        return f": {said}." if said else "."

    def _clean(self, text: str) -> str:
        text = " ".join(text.split())
        if self._key:
            text = self._forms_of_key.sub("***", text)
        return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


def _forms(key: str) -> re.Pattern[str]:
    """The key as a server may say it back: as it is, as in a URL, or cut short."""
    forms = [re.escape(form) for form in {key, quote(key), quote(key, safe="")}]
    if len(key) >= 2 * _TELLING:
        forms.append(re.escape(key[:_TELLING]) + r"\S*")
    return re.compile("|".join(sorted(forms, key=len, reverse=True)))


def retry_after_s(headers: Mapping[str, str], now: Now) -> float | None:
    """The seconds to wait that the server asks for, from 0 to an hour; None if it asks for none."""
    milliseconds = headers.get("retry-after-ms", "")
    try:
        return parse_retry_after(str(float(milliseconds) / 1_000), now)
    except ValueError:
        return parse_retry_after(headers.get("retry-after", ""), now)


def _passing(status: int) -> str:
    if status == 429:
        return "limits how often it may be asked, and that is reached"
    if status in (503, 529):
        return "is overloaded"
    return "failed"


def _message(body: Any) -> str:
    """What a server says of an error; there are about four shapes of that."""
    match body:
        case {"error": inner}:
            return _message(inner)
        case {"message": str(said)} | {"detail": str(said)}:
            return said
        case str(said) if "<html" not in said.lower():
            return said
        case _:
            return ""


def _status(body: Any) -> int | None:
    """The status that an error would have had before the answer began, if it tells."""
    kinds = sorted(_kinds(body))  # Codes come before names.
    given = [int(kind) for kind in kinds if re.fullmatch("[45][0-9][0-9]", kind)]
    return next(iter(given + [_STATUSES[kind] for kind in kinds if kind in _STATUSES]), None)


def _kinds(body: Any) -> set[str]:
    inner = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return set()
    return {str(inner.get("type")), str(inner.get("code"))}
