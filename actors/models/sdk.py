"""What the providers' SDKs have in common: both are made by the same generator.

Rule: an SDK is handed in as its module, so that this one can be read without any of them.
"""

from __future__ import annotations

from typing import Any

import httpx2

from actors.clock import Now
from actors.errors import ActorError
from actors.models.http import NO_KEY, AnswerTooBig, http_options
from actors.models.provider_errors import Endpoint

_BAD_REQUEST = (400, 422)


def client_options(sdk: Any, url: str, key: str, *, keep_alive: bool = True) -> dict[str, Any]:
    """Arguments for an SDK's client at `url`: it neither waits nor retries by itself."""
    http_client = sdk.DefaultAsyncHttpxClient(**http_options(url, keep_alive=keep_alive))
    return {
        "api_key": key or NO_KEY,
        "base_url": url,
        "max_retries": 0,
        "timeout": None,
        "http_client": http_client,
    }


def failure_of(error: Exception, sdk: Any, endpoint: Endpoint, now: Now) -> ActorError:
    """What an exception of an SDK, or of what lies under it, means."""
    if isinstance(error, sdk.APIStatusError):
        return endpoint.refusal(error.status_code, error.response.headers, error.body, now)
    if isinstance(error, (sdk.APIConnectionError, httpx2.HTTPError, OSError)):
        return endpoint.disconnected(str(error.__cause__ or error))
    if isinstance(error, AnswerTooBig):
        return endpoint.broken("sent far more than an answer can be.")
    return endpoint.broken("sent an answer that cannot be read.")


def is_bad_request(error: Exception) -> bool:
    """Whether the server understood the request and refused what it asks for."""
    return getattr(error, "status_code", None) in _BAD_REQUEST
