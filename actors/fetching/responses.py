"""What the answer of a web server means for who wants the page.

Rule: what may be otherwise in a moment is `FetchFailed`, and says when if the server did; anything
else that is no page is `FetchRefused`.
"""

from __future__ import annotations

from http import HTTPStatus

import httpx

from actors.clock import parse_retry_after, wall_clock
from actors.errors import FetchFailed, FetchRefused

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_READ = frozenset(
    {
        "application/pdf",
        "application/x-pdf",
        "application/xhtml+xml",
        # These say nothing; the library looks at the bytes.
        "",
        "application/octet-stream",
        "binary/octet-stream",
    }
)


def check_status(status: int, headers: httpx.Headers, url: httpx.URL) -> None:
    """Raise what a status other than success means."""
    if 200 <= status < 300:
        return
    told = f"{url} answered {status} {_phrase(status)}".rstrip() + "."
    if status >= 500 or status in _LATER:
        failed = FetchFailed(told)
        failed.retry_after_s = parse_retry_after(headers.get("Retry-After", ""), wall_clock)
        raise failed
    raise FetchRefused(told)


def check_kind(headers: httpx.Headers, url: httpx.URL) -> None:
    """Raise `FetchRefused` for what is no text, Markdown, HTML or PDF, before it is loaded."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not kind.startswith("text/") and kind not in _READ:
        raise FetchRefused(f"{url} is {kind}. The library reads text, Markdown, HTML and PDF.")


def kind_of(headers: httpx.Headers, url: httpx.URL) -> str | None:
    """What the body is said to be; Markdown that is said to be plain text is Markdown."""
    said: str | None = headers.get("Content-Type")
    base, semicolon, more = (said or "").partition(";")
    if base.strip().lower() == "text/plain" and url.path.lower().endswith((".md", ".markdown")):
        return f"text/markdown{semicolon}{more}"
    return said


def is_packed(headers: httpx.Headers, url: httpx.URL) -> bool:
    """Whether the body is gzip; raises `FetchRefused` for what was not asked for."""
    coding: str = headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise FetchRefused(f"{url} is packed as {coding}, which was not asked for.")
    return coding.endswith("gzip")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
